// POST report: what an agent says about its own node. Shown and judged, never trusted.

import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { Report } from '../../../shared/contract/report.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { createReportWriter } from '../report-writer.ts'

export function reportRoute(app: App, context: ApiContext): void {
  const { clock, wakeRunner } = context
  const writer = createReportWriter(context)
  app.post(
    AGENT_ROUTES.report,
    { config: { policy: { kind: 'agent' } }, schema: { body: Report } },
    async request => {
      const { node } = agentOf(request)
      const record = { node, report: request.body, receivedAtMs: clock.now() }
      const accepted = await writer.put(record)
      if (accepted) wakeRunner()
      // A repeated or overtaken report is no fault: what the agent wanted to be known is known.
      return { accepted }
    },
  )
}
