// POST probe: what an agent sees of another node, or of its own cluster, when it was asked to look.

import { ProbeAnswer } from '../../../shared/contract/probes.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'

export function probeRoute(app: App, { probes }: ApiContext): void {
  app.post(
    AGENT_ROUTES.probe,
    { config: { policy: { kind: 'agent' } }, schema: { body: ProbeAnswer } },
    async request => {
      const { node } = agentOf(request)
      const { probeId, sighting } = request.body
      // Too late, or asked by a controller that was restarted: whoever needs it asks again.
      return { accepted: probes.answer(node, probeId, sighting) }
    },
  )
}
