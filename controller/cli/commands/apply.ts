import type { PlanView, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { Client } from '../client.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { followRollout, hasEnded } from '../follow.ts'
import { type Session, printable, toJsonLine } from '../output.ts'
import { type SpecFile, confirm, readSpec, withClient } from '../session.ts'
import { isEmptyPlan, planText } from '../views/plan.ts'
import { startedLine } from '../views/rollout.ts'
import { parseWait } from './plan.ts'

export interface ApplyOptions {
  readonly file: string
  readonly wait: string
  readonly diff: boolean
  readonly yes?: boolean
  readonly quiet?: boolean
  readonly detach?: boolean
}

export async function apply(session: Session, options: ApplyOptions): Promise<ExitCode> {
  const waitMs = parseWait(options.wait)
  const spec = await readSpec(session, options.file)
  return await withClient(session, async client => {
    const isGiven = options.yes === true
    if (!isGiven || options.quiet !== true) {
      const plan = await client.plan({ spec: spec.text, waitMs }, spec.name)
      showPlan(session, plan, { spec, showDiff: options.diff })
      // A spec that changes nothing on the nodes is still recorded, so that drift is measured by it.
      const isSure = await confirm(session, {
        attempt: `apply ${spec.name}`,
        text: 'Apply these changes?',
        isGiven: isGiven || isEmptyPlan(plan),
      })
      if (!isSure) {
        session.terminal.err('nothing was applied\n')
        return EXIT.error
      }
    }
    return await start(session, client, spec, options)
  })
}

function showPlan(
  session: Session,
  plan: PlanView,
  { spec, showDiff }: { readonly spec: SpecFile; readonly showDiff: boolean },
): void {
  const { terminal, paint, json } = session
  if (json) terminal.out(toJsonLine({ type: 'plan', plan }))
  else terminal.out(`${planText(printable(plan), { paint, document: spec.name, showDiff })}\n`)
}

async function start(
  session: Session,
  client: Client,
  spec: SpecFile,
  options: ApplyOptions,
): Promise<ExitCode> {
  const rollout = await client.startRollout({ spec: spec.text }, spec.name)
  showStarted(session, rollout, options)
  if (options.detach === true && !hasEnded(rollout)) return EXIT.ok
  return await followRollout(session, client, rollout)
}

function showStarted(session: Session, rollout: RolloutView, options: ApplyOptions): void {
  const { terminal, json } = session
  if (json) {
    terminal.out(toJsonLine({ type: 'rollout', rollout }))
    return
  }
  if (rollout.steps.length > 0) terminal.out(startedLine(printable(rollout)))
  if (options.detach === true && !hasEnded(rollout))
    terminal.out(`follow it: tlsfleet rollout follow ${rollout.id}\n`)
}
