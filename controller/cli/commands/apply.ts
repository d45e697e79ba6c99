import type { PlanView, RolloutView } from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { followRollout, hasEnded } from '../follow.ts'
import { type Session, printable } from '../output.ts'
import { readPlan } from '../saved-plan.ts'
import { type SpecFile, confirm, readSpec, withClient } from '../session.ts'
import { isEmptyPlan, planText } from '../views/plan.ts'
import { startedLine } from '../views/rollout.ts'
import { unheldText } from '../views/rollout-plan.ts'
import { askedPlan, parseWait, sectionOf } from './plan.ts'

export interface ApplyOptions {
  readonly file?: string
  /** Digest or file of the plan that was shown. */
  readonly plan?: string
  readonly wait: string
  readonly diff: boolean
  readonly yes?: boolean
  readonly quiet?: boolean
  readonly detach?: boolean
  /** Groups that are changed as a whole. */
  readonly together?: readonly string[]
  readonly acknowledgeDowntime?: boolean
}

export async function apply(session: Session, options: ApplyOptions): Promise<ExitCode> {
  const waitMs = parseWait(options.wait)
  if (options.plan !== undefined) return await applyShown(session, options, options.plan)
  const spec = await readSpec(session, requireFile(options))
  return await withClient(session, async client => {
    const isGiven = options.yes === true
    // Also where nobody reads it: asking the nodes takes a while, and here it is told how far that is.
    const body = { spec: spec.text, waitMs, ...sectionOf(options) }
    const plan = await askedPlan(session, client, body, spec.name)
    if (!isGiven || options.quiet !== true)
      showPlan(session, plan, { spec, showDiff: options.diff })
    // A spec that changes nothing on the nodes is still recorded, so that drift is measured by it.
    // Who was asked for a yes must not have it refused.
    const isSure =
      (plan.refused === undefined || isGiven) &&
      (await confirm(session, {
        attempt: `apply ${spec.name}`,
        text: 'Apply these changes?',
        isGiven: isGiven || isEmptyPlan(plan),
      }))
    if (!isSure) {
      session.terminal.err('nothing was applied\n')
      return EXIT.error
    }
    return await start(session, client, { spec, shown: plan.digest, waitMs }, options)
  })
}

function showPlan(
  session: Session,
  plan: PlanView,
  { spec, showDiff }: { readonly spec: SpecFile; readonly showDiff: boolean },
): void {
  const { terminal, paint, json } = session
  if (json) terminal.out(session.event({ type: 'plan', plan }))
  else terminal.out(`${planText(printable(plan), { paint, document: spec.name, showDiff })}\n`)
}

/** What was seen already is not asked about again. */
async function applyShown(
  session: Session,
  options: ApplyOptions,
  given: string,
): Promise<ExitCode> {
  const waitMs = parseWait(options.wait)
  const { digest, spec: saved, together } = readPlan(given)
  const spec = saved ?? (await readSpec(session, requireFile(options)))
  return await withClient(session, client =>
    start(
      session,
      client,
      { spec, shown: digest, waitMs },
      { ...(together && { together }), ...options },
    ),
  )
}

function requireFile({ file }: ApplyOptions): string {
  if (file !== undefined) return file
  throw new OperationalError('usage', 'could not apply without a fleet spec', {
    hint: 'give it with -f, or a saved plan with --plan',
  })
}

interface Started {
  readonly spec: SpecFile
  /** Digest of the plan that was shown. */
  readonly shown: string | undefined
  readonly waitMs: number
}

async function start(
  session: Session,
  client: Client,
  { spec, shown, waitMs }: Started,
  options: ApplyOptions,
): Promise<ExitCode> {
  const plan = shown === undefined ? {} : { plan: shown }
  const known = options.acknowledgeDowntime === true ? { acknowledgeDowntime: true } : {}
  const rollout = await client.startRollout(
    { spec: spec.text, waitMs, ...plan, ...sectionOf(options), ...known },
    spec.name,
  )
  showStarted(session, rollout, options)
  if (options.detach === true && !hasEnded(rollout)) return EXIT.ok
  return await followRollout(session, client, rollout)
}

function showStarted(session: Session, rollout: RolloutView, options: ApplyOptions): void {
  const { terminal, json, paint } = session
  if (json) {
    terminal.out(session.event({ type: 'rollout', rollout }))
    return
  }
  if (rollout.steps.length > 0) terminal.out(startedLine(printable(rollout)))
  terminal.out(unheldText(printable(rollout), paint))
  if (options.detach === true && !hasEnded(rollout))
    terminal.out(`follow it: tlsfleet rollout follow ${rollout.id}\n`)
}
