// POST renew: a new identity certificate for the same node and a new key.

import { RenewRequest } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { identityChain, requireProof } from './identity.ts'
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
    async request => {
      const agent = agentOf(request)
      limit.take(agent.node)
      const key = requireProof({ purpose: 'renew', context: [agent.node] }, request.body)
      if (key.digest === agent.publicKeyDigest)
        throw new OperationalError('key-reused', 'a renewal is for a new key')
      const certificateChain = await store.transaction(async tx => {
        const chain = await identityChain(context, tx, agent.node, key)
        const audit = { actor: `node:${agent.node}`, action: 'identity-renew', subject: agent.node }
        await tx.audit.append({ atMs: clock.now(), ...audit })
        return chain
      })
      log.info({ node: agent.node }, 'identity renewed')
      return { certificateChain }
    },
  )
}
