import { OperationalError } from '../../../shared/errors.ts'
import { parseDuration } from '../../../shared/duration.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { readSpec, withClient } from '../session.ts'
import { isEmptyPlan, planText } from '../views/plan.ts'

export interface PlanOptions {
  readonly file: string
  readonly wait: string
  readonly diff: boolean
}

export async function plan(session: Session, options: PlanOptions): Promise<ExitCode> {
  const waitMs = parseWait(options.wait)
  const spec = await readSpec(session, options.file)

  const view = await withClient(session, client =>
    client.plan({ spec: spec.text, waitMs }, spec.name),
  )

  const { paint } = session
  show(session, view, shown =>
    planText(shown, { paint, document: spec.name, showDiff: options.diff }),
  )
  return isEmptyPlan(view) ? EXIT.ok : EXIT.changes
}

// Of the contract: agents that have not answered by then will not.
const WAIT_MAX_MS = 60_000

export function parseWait(text: string): number {
  const waitMs = parseDuration(text)
  if (waitMs !== undefined && waitMs <= WAIT_MAX_MS) return waitMs
  throw new OperationalError('usage', `could not read --wait ${text}`, {
    hint: 'give a time of at most 60s, for example --wait 15s',
  })
}
