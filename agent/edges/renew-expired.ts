// Coming back after the identity has ended: the agent listener does not let us in any more, so we
// ask where we were enrolled, by a signature of the old key over this one connection.

import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import {
  parseRenewAnswer,
  type RenewAnswer,
  type RenewExpiredRequest,
} from '../../shared/contract/agent-api.ts'
import {
  CHANNEL_BINDING_BYTES,
  CHANNEL_BINDING_LABEL,
  ENROLL_ROUTES,
} from '../../shared/contract/protocol.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { parsePrivateKey, publicKeyDigest } from '../../shared/pki/keys.ts'
import { signProof } from '../../shared/pki/proof.ts'
import type { Identity } from '../remote.ts'
import { contentOf, parsed } from './controller-request.ts'
import { isUntrustedCode, notTrusted, refuseOther } from './controller-trust.ts'
import { postOnce, unreachableAt } from './one-request.ts'

export interface RenewExpired {
  readonly identity: Identity
  readonly publicKeyPem: string
  /** Of the new key. */
  readonly proof: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Throws as the methods of Remote do. */
export async function renewExpired(renewal: RenewExpired): Promise<RenewAnswer> {
  const { identity, publicKeyPem, proof, timeoutMs, signal } = renewal
  const { enrollUrl } = identity
  if (enrollUrl === undefined)
    throw new OperationalError(
      'identity-refused',
      'could not renew an identity that has ended: this node does not know where it was enrolled',
      { hint: 'enrol the node again with a new token' },
    )
  const url = new URL(ENROLL_ROUTES.renewExpired, enrollUrl)
  const body = (socket: TLSSocket): RenewExpiredRequest => ({
    fingerprint: sha256(new X509Certificate(identity.certificateChain).raw),
    publicKey: publicKeyPem,
    proof,
    oldKeyProof: proveOldKey(identity, publicKeyPem, socket),
  })
  try {
    const answer = await postOnce({ url, tls: verified(identity), timeoutMs, signal, body })
    return parsed(parseRenewAnswer, contentOf(answer, url.pathname))
  } catch (error) {
    if (error instanceof OperationalError) throw error
    const code = systemErrorCode(error) ?? ''
    throw isUntrustedCode(code) ? notTrusted(code, error) : unreachableAt(enrollUrl, error)
  }
}

function verified(identity: Identity) {
  return {
    ca: [...identity.identityTrust],
    rejectUnauthorized: true,
    checkServerIdentity: (host: string, peer: { readonly raw: Buffer }) =>
      refuseOther(host, new X509Certificate(peer.raw), identity),
  }
}

function proveOldKey(
  { node, privateKey }: Identity,
  publicKeyPem: string,
  socket: TLSSocket,
): string {
  const channel = socket
    .exportKeyingMaterial(CHANNEL_BINDING_BYTES, CHANNEL_BINDING_LABEL, Buffer.alloc(0))
    .toString('base64url')
  return signProof({
    purpose: 'renew-expired',
    context: [node, publicKeyDigest(publicKeyPem), channel],
    key: parsePrivateKey(privateKey),
  })
}
