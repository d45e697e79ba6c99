// While a new content is prepared, the one in force is kept up. One report says both. Pure.

import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { isHeldBack } from './next-look.ts'

/** `prepared`: of the content that is prepared. `kept`: of the one in force. */
export function withKeptUp(
  prepared: readonly ServiceReport[],
  kept: readonly ServiceReport[],
): readonly ServiceReport[] {
  return prepared.map(report => {
    const live = kept.find(({ service }) => service === report.service)
    if (live === undefined) return report
    // What was live is not well: that it is prepared for something else is no news beside that.
    if (live.outcome === 'failed' && (live.broken === true || live.activations > 0)) return live
    const activations = report.activations + live.activations
    const notice = noticeOf(live)
    if (notice === undefined) return activations === 0 ? report : { ...report, activations }
    const notices = [notice, ...report.notices].slice(0, NOTICES_MAX)
    return { ...report, activations, notices }
  })
}

function noticeOf(live: ServiceReport): Reason | undefined {
  const { outcome, reason } = live
  if (outcome !== 'failed' && outcome !== 'restored' && !isHeldBack(live)) return undefined
  return { code: reason.code, message: `what is in force is ${outcome}: ${reason.message}` }
}

// As many as a report takes.
const NOTICES_MAX = 32
