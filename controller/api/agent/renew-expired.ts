// POST renew-expired: an agent that was away until its identity ended comes back by proof of the old
// key. The proof is bound to this one TLS connection (RFC 9266), to which both sides have added their
// randomness: it is of no use on another one, so no challenge has to be asked for and remembered.

import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { RenewExpiredRequest, type RenewAnswer } from '../../../shared/contract/agent-api.ts'
import {
  CHANNEL_BINDING_BYTES,
  CHANNEL_BINDING_LABEL,
  ENROLL_ROUTES,
} from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { isSignedBy } from '../../../shared/pki/facts.ts'
import { parseCertificate } from '../../../shared/pki/pem.ts'
import { verifyProof } from '../../../shared/pki/proof.ts'
import { intermediatesOf } from '../../ca/generations.ts'
import type { IdentityRecord, Transaction } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { type IdentityRefusal, refusalOf, refusedIdentity } from '../identity-refusal.ts'
import { createTokenBuckets } from '../token-bucket.ts'
import { type ProvenKey, type Renewal, renewIdentity, requireProof } from './identity.ts'
import { renewAnswer } from './renew.ts'
import { createSignLimit, SIGN_BODY_BYTES_MAX } from './sign-limit.ts'

// As for enrolments: whole fleets come back from behind one address after an outage.
const PER_ADDRESS = { burst: 100, perSecond: 20 }

export function renewExpiredRoute(app: App, context: ApiContext): void {
  const { clock, log, store } = context
  const addresses = createTokenBuckets(PER_ADDRESS)
  const limit = createSignLimit(clock)
  app.post(
    ENROLL_ROUTES.renewExpired,
    {
      config: { policy: { kind: 'enroll' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: RenewExpiredRequest },
    },
    async (request): Promise<RenewAnswer> => {
      if (!addresses.take(request.ip, clock.monotonic()))
        throw new OperationalError('too-many-requests', 'too many renewals at once', {
          retryable: true,
        })
      const question = { ...request.body, channel: channelBinding(request.raw.socket) }
      const outcome = await store.transaction(tx =>
        renewExpired(context, tx, question, node => limit.take(node)),
      )

      const { node } = outcome
      if (outcome.kind === 'refused') {
        log.warn({ node, code: outcome.code, remote: request.ip }, 'late renewal refused')
        throw refusedIdentity(outcome.code)
      }
      if (outcome.kind === 'cloned') {
        log.warn({ node, remote: request.ip }, 'two machines share an identity; node locked')
        await context.lockedOut(node)
        throw refusedIdentity('identity-cloned')
      }
      if (outcome.hasSuperseded) await context.refreshDenied()
      // It will poll in a moment, as after an enrolment.
      context.presence.heard(node)
      log.info({ node, remote: request.ip }, 'identity renewed after its end')
      return renewAnswer(context, outcome.certificateChain)
    },
  )
}

type Question = RenewExpiredRequest & { readonly channel: string }
type Outcome = (Renewal | { readonly kind: 'refused'; readonly code: IdentityRefusal }) & {
  readonly node: string
}

async function renewExpired(
  context: ApiContext,
  tx: Transaction,
  question: Question,
  takeTurn: (node: string) => void,
): Promise<Outcome> {
  const nowMs = context.clock.now()
  const identity = await tx.identities.get(question.fingerprint)
  if (identity === undefined) throw refusedIdentity('identity-unknown')
  const { node } = identity
  const key = requireProof({ purpose: 'renew', context: [node] }, question)
  // Before anything is said about the identity: whoever only knows its fingerprint learns nothing.
  requireOldKey(identity, question, key)
  takeTurn(node)

  const lateMs = nowMs - identity.notAfterMs
  const renewal = await judged(context, tx, identity, { key, lateMs })
  const code = renewal.kind === 'refused' ? renewal.code : undefined
  await tx.audit.append({
    atMs: nowMs,
    actor: `node:${node}`,
    action: code === undefined ? 'identity-renew-expired' : 'identity-renew-refused',
    subject: node,
    reason: { code: code ?? 'identity-proven-late', message: lateness(lateMs) },
  })
  return { ...renewal, node }
}

async function judged(
  context: ApiContext,
  tx: Transaction,
  identity: IdentityRecord,
  { key, lateMs }: { readonly key: ProvenKey; readonly lateMs: number },
): Promise<Renewal | { readonly kind: 'refused'; readonly code: IdentityRefusal }> {
  const { deniedFor } = identity
  if (deniedFor !== undefined && deniedFor !== 'superseded')
    return { kind: 'refused', code: refusalOf(deniedFor) }
  if (lateMs > context.identityPolicy.graceMs)
    return { kind: 'refused', code: 'identity-grace-over' }
  if (!isOfKnownCa(context, identity)) return { kind: 'refused', code: 'identity-ca-denied' }
  const renewal = await renewIdentity(context, tx, identity, key)
  if (renewal.kind === 'renewed')
    await tx.identities.confirm(identity.fingerprint, context.clock.now())
  return renewal
}

// The record says who it is, so a CA that is retired is no reason against it. One that is denied is: what
// it has signed is not to be worth anything any more.
function isOfKnownCa({ authorities }: ApiContext, { certificateChain }: IdentityRecord): boolean {
  const leaf = new X509Certificate(certificateChain)
  return authorities
    .current()
    .identity.all.filter(({ state }) => state !== 'denied')
    .flatMap(intermediatesOf)
    .some(pem => isSignedBy(leaf, parseCertificate(pem)))
}

function requireOldKey(identity: IdentityRecord, question: Question, key: ProvenKey): void {
  const { publicKey } = new X509Certificate(identity.certificateChain)
  const context = [identity.node, key.digest, question.channel]
  const isProven = verifyProof({
    purpose: 'renew-expired',
    context,
    publicKey,
    proof: question.oldKeyProof,
  })
  if (!isProven)
    throw new OperationalError(
      'proof-invalid',
      'the proof does not fit the old key and this connection',
      { hint: 'TLS must reach the controller itself: nothing in between may take it apart.' },
    )
}

function channelBinding(socket: Socket): string {
  if (!(socket instanceof TLSSocket)) throw refusedIdentity('identity-missing')
  return socket
    .exportKeyingMaterial(CHANNEL_BINDING_BYTES, CHANNEL_BINDING_LABEL, Buffer.alloc(0))
    .toString('base64url')
}

function lateness(lateMs: number): string {
  return lateMs <= 0
    ? 'the identity has not ended yet'
    : `the identity ended ${Math.ceil(lateMs / 3_600_000)} h ago`
}
