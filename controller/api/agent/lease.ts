// POST lease: an agent claims the permit of exactly its current generation, before the point of no
// return. Renewals and corrections ask here too: in a group they take the same leases.

import { type LeaseAnswer, LeaseRequest } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'

export function leaseRoute(app: App, { runner, wakeRunner }: ApiContext): void {
  app.post(
    AGENT_ROUTES.lease,
    { config: { policy: { kind: 'agent' } }, schema: { body: LeaseRequest } },
    async (request): Promise<LeaseAnswer> => {
      const { node } = agentOf(request)
      const { generation, digest, purpose, sequence, act } = request.body
      const more = { purpose, ...(sequence === undefined ? {} : { sequence }), act }
      const answer = await runner.claim(node, generation, digest, more)
      wakeRunner()
      return answer
    },
  )
}
