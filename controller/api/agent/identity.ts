// Issuing identity certificates, for enrolment and for both ways of renewal alike.

import { assert } from '../../../shared/assert.ts'
import { SERVICE_NAMES } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { type ProofSubject, verifyProof } from '../../../shared/pki/proof.ts'
import { parsePublicKey, publicKeyDigest, weakKeyReason } from '../../../shared/pki/keys.ts'
import { issueLeaf } from '../../ca/authority.ts'
import { cloneReason } from '../../ca/succession.ts'
import type { IdentityRecord, Transaction } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'
import { refusalOf, refusedIdentity } from '../identity-refusal.ts'
import { lockNode } from '../lock-node.ts'

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
  { authorities, clock, random, identityPolicy }: ApiContext,
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
    authorities.current().identity.issuer,
    {
      profile: 'identity',
      nodeId: node,
      publicKeyPem: key.publicKeyPem,
      lifetimeMs: identityPolicy.lifetimeMs,
    },
    { nowMs, random },
  )
  assert(facts.publicKeyDigest === key.digest, 'the certificate is for the key that was proven')
  await tx.identities.insert({
    fingerprint: facts.fingerprint,
    node,
    publicKeyDigest: key.digest,
    certificateChain: chainPem,
    notAfterMs: facts.notAfterMs,
    issuedAtMs: nowMs,
    confirmedAtMs: undefined,
    deniedAtMs: undefined,
    deniedFor: undefined,
  })
  return chainPem
}

export type Renewal =
  | {
      readonly kind: 'renewed'
      readonly certificateChain: string
      /** One that was never used was denied in favour of this one. */
      readonly hasSuperseded: boolean
    }
  /** Two machines share the identity. The node is locked, which the transaction must keep. */
  | { readonly kind: 'cloned' }

/** A new certificate in place of the one that was presented, whose key the caller has proven. */
export async function renewIdentity(
  context: ApiContext,
  tx: Transaction,
  presented: IdentityRecord,
  key: ProvenKey,
): Promise<Renewal> {
  const { node, generation } = presented
  const nowMs = context.clock.now()
  if (key.digest === presented.publicKeyDigest)
    throw new OperationalError('key-reused', 'a renewal is for a new key')
  const newest = await tx.identities.newestConfirmed(node)
  // The same question again, after a lost answer, is no second machine.
  const isRepeated = (await tx.identities.findByKey(node, key.digest)) !== undefined
  const reason = isRepeated
    ? undefined
    : cloneReason({ identity: presented, newest, nowMs, isRenewal: true })
  if (reason !== undefined) {
    await lockNode(tx, { node, cause: 'cloned', reason, actor: `node:${node}`, nowMs })
    return { kind: 'cloned' }
  }
  // Asked again in the transaction: the node may have been locked since the request was let in.
  if (presented.deniedFor !== undefined) throw refusedIdentity(refusalOf(presented.deniedFor))
  const hasSuperseded = !isRepeated && (await tx.identities.supersede(node, generation, nowMs))
  return {
    kind: 'renewed',
    certificateChain: await identityChain(context, tx, node, key),
    hasSuperseded,
  }
}

/** For whatever is issued to an agent: its identity is good at the moment of the transaction too. */
export async function requireGoodIdentity(
  tx: Transaction,
  { node, fingerprint }: { readonly node: string; readonly fingerprint: string },
): Promise<IdentityRecord> {
  const identity = await tx.identities.get(fingerprint)
  if (identity?.node !== node) throw refusedIdentity('identity-unknown')
  if (identity.deniedFor !== undefined) throw refusedIdentity(refusalOf(identity.deniedFor))
  return identity
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
