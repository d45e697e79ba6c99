// Issuing identity certificates, for enrolment and for renewal alike.

import { assert } from '../../../shared/assert.ts'
import { SERVICE_NAMES } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { type ProofSubject, verifyProof } from '../../../shared/pki/proof.ts'
import { parsePublicKey, publicKeyDigest, weakKeyReason } from '../../../shared/pki/keys.ts'
import { IDENTITY_LIFETIME_MS, issueLeaf } from '../../ca/authority.ts'
import type { IdentityRecord, Transaction } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'

export interface ProvenKey {
  readonly publicKeyPem: string
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly digest: string
}

/** The caller holds the private key, and the key is fit for use. Throws `key-unparsable`, `weak-key`, `proof-invalid`. */
export function requireProof(
  subject: ProofSubject,
  request: { readonly publicKey: string; readonly proof: string },
): ProvenKey {
  const publicKey = parsePublicKey(request.publicKey)
  const weak = weakKeyReason(publicKey)
  if (weak !== undefined) throw new OperationalError('weak-key', weak.message)
  if (!verifyProof({ ...subject, publicKey, proof: request.proof }))
    throw new OperationalError('proof-invalid', 'the proof of possession does not fit the key')
  return { publicKeyPem: request.publicKey, digest: publicKeyDigest(publicKey) }
}

/**
 * The chain for this key: the one that it has already, so that a retry after a lost answer changes
 * nothing, or a new one.
 */
export async function identityChain(
  { authorities, clock, random }: ApiContext,
  tx: Transaction,
  node: string,
  key: ProvenKey,
): Promise<string> {
  const nowMs = clock.now()
  const issued = await tx.identities.findByKey(node, key.digest)
  if (issued !== undefined && issued.deniedAtMs === undefined && issued.notAfterMs > nowMs)
    return issued.certificateChain
  if (issued !== undefined || (await isForeign(tx, node, key)))
    throw new OperationalError('key-reused', 'the key was used before', { hint: 'Make a new key.' })

  const { chainPem, facts } = issueLeaf(
    authorities.identity.issuer,
    {
      profile: 'identity',
      nodeId: node,
      publicKeyPem: key.publicKeyPem,
      lifetimeMs: IDENTITY_LIFETIME_MS,
    },
    { nowMs, random },
  )
  assert(facts.publicKeyDigest === key.digest, 'the certificate is for the key that was proven')
  const record: IdentityRecord = {
    fingerprint: facts.fingerprint,
    node,
    publicKeyDigest: key.digest,
    certificateChain: chainPem,
    notAfterMs: facts.notAfterMs,
    issuedAtMs: nowMs,
    deniedAtMs: undefined,
  }
  await tx.identities.insert(record)
  return chainPem
}

// A key of another node, or one that serves TLS somewhere.
async function isForeign(tx: Transaction, node: string, key: ProvenKey): Promise<boolean> {
  if (await tx.identities.keyUsedByOther(node, key.digest)) return true
  for (const service of SERVICE_NAMES) {
    if (await tx.leaves.keyUsedByOther(node, service, key.digest)) return true
    if ((await tx.leaves.findByKey(node, service, key.digest)) !== undefined) return true
  }
  return false
}
