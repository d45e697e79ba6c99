// POST enroll: the one route without a client certificate that changes something. A token is good
// for one node and one key; the same key may come again until the token expires, so that an agent
// that lost the answer joins all the same.

import { type EnrollAnswer, EnrollRequest } from '../../../shared/contract/agent-api.ts'
import { ENROLL_ROUTES } from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { Secret } from '../../../shared/secret.ts'
import { matchesSecret } from '../../ca/enrollment-token.ts'
import type { EnrollmentTokenRecord, NodeRecord, Transaction } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { createTokenBuckets } from '../token-bucket.ts'
import { identityChain, type ProvenKey, requireProof } from './identity.ts'
import { SIGN_BODY_BYTES_MAX } from './sign-limit.ts'

// Whole fleets enrol from behind one address; guessing a token of 256 bits is hopeless anyway.
const PER_ADDRESS = { burst: 100, perSecond: 20 }
const OVERALL = { burst: 200, perSecond: 100 }

export function enrollRoute(app: App, context: ApiContext): void {
  const { clock, log } = context
  const addresses = createTokenBuckets(PER_ADDRESS)
  const overall = createTokenBuckets(OVERALL)
  app.post(
    ENROLL_ROUTES.enroll,
    {
      config: { policy: { kind: 'enroll' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: EnrollRequest },
    },
    async (request): Promise<EnrollAnswer> => {
      const nowMs = clock.monotonic()
      if (!addresses.take(request.ip, nowMs) || !overall.take('', nowMs))
        throw new OperationalError('too-many-requests', 'too many enrolments at once', {
          retryable: true,
        })
      const { tokenId } = request.body
      const key = requireProof({ purpose: 'enroll', context: [tokenId] }, request.body)

      const outcome = await context.store.transaction(tx => enroll(context, tx, request.body, key))

      if (outcome.kind === 'refused') {
        log.warn({ tokenId, code: outcome.code, remote: request.ip }, 'enrolment refused')
        throw new OperationalError(outcome.code, REFUSALS[outcome.code], { hint: HINT })
      }
      // It will poll in a moment: a rollout that starts before that must not leave it out.
      context.presence.heard(outcome.node)
      if (outcome.hasReplaced) await context.refreshDenied()
      log.info({ node: outcome.node, tokenId, remote: request.ip }, 'node enrolled')
      return {
        fleet: context.fleet,
        node: outcome.node,
        certificateChain: outcome.certificateChain,
        identityTrust: [...context.authorities.current().identity.roots],
        agentUrl: context.urls.agent,
      }
    },
  )
}

const REFUSALS = {
  'token-invalid': 'the enrollment token is not valid',
  'token-expired': 'the enrollment token has expired',
  'token-used': 'the enrollment token was used with another key',
} as const
const HINT = 'An operator makes a new one: tlsfleet node token NAME'

type Outcome =
  | { readonly kind: 'refused'; readonly code: keyof typeof REFUSALS }
  | {
      readonly kind: 'enrolled'
      readonly node: string
      readonly certificateChain: string
      /** Older identities of the node were denied. */
      readonly hasReplaced: boolean
    }

async function enroll(
  context: ApiContext,
  tx: Transaction,
  request: EnrollRequest,
  key: ProvenKey,
): Promise<Outcome> {
  const nowMs = context.clock.now()
  const token = await tx.tokens.get(request.tokenId)
  const node = token === undefined ? undefined : await tx.nodes.get(token.node)
  const code = await refusal(tx, token, { secret: new Secret(request.tokenSecret), key, nowMs })
  if (code !== undefined || token === undefined || node === undefined) {
    const reason = { code: code ?? 'token-invalid', message: REFUSALS[code ?? 'token-invalid'] }
    // The id as it was sent may be anything; only one that exists is worth a record.
    if (token !== undefined) await audit(tx, { token, nowMs, action: 'enroll-refused', reason })
    return { kind: 'refused', code: code ?? 'token-invalid' }
  }

  const hasReplaced = await replaceIdentities(tx, node, key, nowMs)
  const certificateChain = await identityChain(context, tx, node.name, key)
  await tx.nodes.setEnrolled(node.name, nowMs)
  await audit(tx, { token, nowMs, action: 'enroll' })
  return { kind: 'enrolled', node: node.name, certificateChain, hasReplaced }
}

async function refusal(
  tx: Transaction,
  token: EnrollmentTokenRecord | undefined,
  given: { readonly secret: Secret; readonly key: ProvenKey; readonly nowMs: number },
): Promise<keyof typeof REFUSALS | undefined> {
  // Compared also when there is no such token, so that both take as long.
  const matches = matchesSecret(given.secret, token?.secretHash ?? NO_HASH)
  if (token === undefined || !matches) return 'token-invalid'
  if (token.redeemedBy !== undefined && token.redeemedBy !== given.key.digest) return 'token-used'
  if (token.expiresAtMs <= given.nowMs) return 'token-expired'
  return (await tx.tokens.redeem(token.id, given.key.digest)) ? undefined : 'token-used'
}

const NO_HASH = '0'.repeat(64)

// Whoever enrols anew has a new disk or a new key: what was issued before is nobody's any more.
async function replaceIdentities(
  tx: Transaction,
  node: NodeRecord,
  key: ProvenKey,
  nowMs: number,
): Promise<boolean> {
  const isRetry = (await tx.identities.findByKey(node.name, key.digest)) !== undefined
  if (node.enrolledAtMs === undefined || isRetry) return false
  await tx.identities.deny(node.name, { cause: 'replaced', atMs: nowMs })
  return true
}

function audit(
  tx: Transaction,
  entry: {
    readonly token: EnrollmentTokenRecord
    readonly nowMs: number
    readonly action: 'enroll' | 'enroll-refused'
    readonly reason?: { readonly code: string; readonly message: string }
  },
): Promise<void> {
  const { token, nowMs, action, reason } = entry
  return tx.audit.append({
    atMs: nowMs,
    actor: `token:${token.id}`,
    action,
    subject: token.node,
    ...(reason === undefined ? {} : { reason }),
  })
}
