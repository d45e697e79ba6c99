// The programs of the node that a plan runs because files that they work on are switched, or because
// what they make is not what it should be. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { PlannedFile } from './planned-files.ts'
import type { Compiled, ToolIntent } from './services/service.ts'

export interface PlannedTool {
  readonly intent: ToolIntent
  /** Run again when the files are switched back. */
  readonly isUndone: boolean
  readonly summary: ChangeSummary
}

export function plannedTools(
  compiled: Compiled,
  files: readonly PlannedFile[],
  { isOffline }: { readonly isOffline: boolean },
): { readonly list: readonly PlannedTool[]; readonly notices: readonly Reason[] } {
  const due = compiled.tools.flatMap(intent => {
    const isUndone = files.some(file => intent.after.includes(file.path))
    return isUndone || intent.isStale
      ? [{ intent, isUndone, summary: summaryOf(intent, isUndone) }]
      : []
  })
  if (!isOffline) return { list: due, notices: [] }
  return { list: [], notices: due.map(({ intent }) => notRun(intent)) }
}

function summaryOf({ argv, what, reason }: ToolIntent, isUndone: boolean): ChangeSummary {
  const summary = isUndone ? `run ${what} on what has changed` : `run ${what}`
  return { resource: argv[0] ?? what, kind: 'tool', action: 'update', summary, reason }
}

function notRun({ argv, what }: ToolIntent): Reason {
  return {
    code: 'tool-offline',
    message: `${what} is not run in an image: run ${argv.join(' ')} there, or let it run at the first boot`,
  }
}
