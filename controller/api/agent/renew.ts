// POST renew: a new identity certificate for the same node and a new key. GET whoami: an agent tries
// its new identity before it forgets the one before.

import { type RenewAnswer, RenewRequest, type WhoIsIt } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { refusedIdentity } from '../identity-refusal.ts'
import { renewIdentity, requireGoodIdentity, requireProof } from './identity.ts'
import { SIGN_BODY_BYTES_MAX, type SignLimit } from './sign-limit.ts'

export function renewRoute(app: App, context: ApiContext, limit: SignLimit): void {
  const { store, clock, log } = context
  app.post(
    AGENT_ROUTES.renew,
    {
      config: { policy: { kind: 'agent' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: RenewRequest },
    },
    async (request): Promise<RenewAnswer> => {
      const agent = agentOf(request)
      const { node } = agent
      limit.take(node)
      const key = requireProof({ purpose: 'renew', context: [node] }, request.body)
      const outcome = await store.transaction(async tx => {
        const presented = await requireGoodIdentity(tx, agent)
        const renewal = await renewIdentity(context, tx, presented, key)
        if (renewal.kind === 'renewed') {
          const audit = { actor: `node:${node}`, action: 'identity-renew', subject: node }
          await tx.audit.append({ atMs: clock.now(), ...audit })
        }
        return renewal
      })
      if (outcome.kind === 'cloned') {
        log.warn({ node, remote: request.ip }, 'two machines share an identity; node locked')
        await context.lockedOut(node, request.raw.socket)
        throw refusedIdentity('identity-cloned')
      }
      if (outcome.hasSuperseded) await context.refreshDenied()
      log.info({ node }, 'identity renewed')
      return renewAnswer(context, outcome.certificateChain)
    },
  )
}

/** With the roots of now: whoever was away has missed what polls have told. */
export function renewAnswer({ authorities }: ApiContext, certificateChain: string): RenewAnswer {
  return { certificateChain, identityTrust: [...authorities.current().identity.roots] }
}

export function whoamiRoute(app: App, { fleet }: ApiContext): void {
  app.get(
    AGENT_ROUTES.whoami,
    { config: { policy: { kind: 'agent' } } },
    async (request): Promise<WhoIsIt> => ({ fleet, node: agentOf(request).node }),
  )
}
