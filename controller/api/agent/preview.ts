// POST preview: an agent's plan for a content that it was asked about.

import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { PreviewAnswer } from '../../../shared/contract/report.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'

export function previewRoute(app: App, { previews }: ApiContext): void {
  app.post(
    AGENT_ROUTES.preview,
    { config: { policy: { kind: 'agent' } }, schema: { body: PreviewAnswer } },
    async request => {
      const { node } = agentOf(request)
      // Too late, or asked by a controller that was restarted: nothing is lost with it.
      return { accepted: previews.answer(node, request.body) }
    },
  )
}
