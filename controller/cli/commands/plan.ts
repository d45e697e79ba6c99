import type { PlanView, SpecBody } from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { parseDuration } from '../../../shared/duration.ts'
import { askingProgress } from '../asking.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Paint, type Session, show } from '../output.ts'
import { savePlan } from '../saved-plan.ts'
import { readSpec, type SpecFile, withClient } from '../session.ts'
import { isEmptyPlan, planText } from '../views/plan.ts'
import { movesText } from '../views/rollout-plan.ts'

export interface PlanOptions {
  readonly file: string
  readonly wait: string
  readonly diff: boolean
  readonly out?: string
  readonly together?: readonly string[]
}

export async function plan(session: Session, options: PlanOptions): Promise<ExitCode> {
  const waitMs = parseWait(options.wait)
  const spec = await readSpec(session, options.file)

  const view = await withClient(session, client =>
    askedPlan(session, client, { spec: spec.text, waitMs, ...sectionOf(options) }, spec.name),
  )

  const { paint } = session
  if (options.out !== undefined) savePlan(options.out, view, spec)
  show(session, view, shown => {
    const text = planText(shown, { paint, document: spec.name, showDiff: options.diff })
    return `${text}${appliedBy(shown, spec, { out: options.out, paint })}`
  })
  return isEmptyPlan(view) ? EXIT.ok : EXIT.changes
}

/** Tells meanwhile how many nodes have answered. */
export async function askedPlan(
  session: Session,
  client: Client,
  body: SpecBody,
  document: string,
): Promise<PlanView> {
  const asking = askingProgress(session)
  try {
    return await client.plan(body, document, progress => asking.update(progress))
  } finally {
    asking.stop()
  }
}

/** Groups that are changed as a whole. */
export function sectionOf({ together }: Pick<PlanOptions, 'together'>) {
  return together === undefined ? {} : { together: [...together] }
}

/** How the nodes would move, and the way to exactly this plan. */
function appliedBy(
  { digest, rollout, refused }: PlanView,
  spec: SpecFile,
  { out, paint }: { readonly out: string | undefined; readonly paint: Paint },
): string {
  if (rollout === undefined || digest === undefined) return ''
  const { together = [] } = rollout
  const section = together.length === 0 ? '' : ` --together ${together.join(' ')}`
  const given = out === undefined ? `-f ${spec.name} --plan ${digest}${section}` : `--plan ${out}`
  const moves = `\n${movesText(rollout, paint)}`
  return refused === undefined ? `${moves}Exactly this: tlsfleet apply ${given}\n` : moves
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
