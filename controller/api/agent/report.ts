// POST report: what an agent says about its own node. Shown and judged, never trusted.

import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { Report } from '../../../shared/contract/report.ts'
import { countDrift } from '../../metrics/measures.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { createReportWriter, type NoteReport } from '../report-writer.ts'
import { createClaims } from '../self-signed-claims.ts'

export function reportRoute(app: App, context: ApiContext): void {
  const { clock, wakeRunner } = context
  const claims = createClaims(context.log)
  const note: NoteReport = async (tx, record) => {
    await context.noteDrift(tx, record)
    return claims.note(tx, record)
  }
  const writer = createReportWriter({ ...context, note, onNews: () => context.trust.wake() })
  app.post(
    AGENT_ROUTES.report,
    { config: { policy: { kind: 'agent' } }, schema: { body: Report } },
    async request => {
      const { node } = agentOf(request)
      const record = { node, report: request.body, receivedAtMs: clock.now() }
      const accepted = await writer.put(record)
      if (accepted) {
        countDrift(context.measures, record.report)
        wakeRunner()
      }
      // A repeated or overtaken report is no fault: what the agent wanted to be known is known.
      return { accepted }
    },
  )
}
