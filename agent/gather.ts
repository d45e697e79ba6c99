// The part of a switch that waits for other nodes: the service is saved, and stopped with theirs before
// anything is switched, and started with theirs afterwards. Each step can be repeated; a node that was
// booted in between has its service stopped once more.

import type { SectionAct } from '../shared/contract/agent-api.ts'
import type { Mode } from '../shared/contract/desired-state.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Host } from './host.ts'
import type { Journal } from './journal.ts'
import type { ActionablePlan, ServicePlan } from './plan.ts'
import type { AskAct } from './section.ts'
import type { Snapshots } from './snapshots.ts'

interface GatherTools {
  readonly host: Host
  readonly askAct?: AskAct | undefined
  /** Absent: nothing is saved. */
  readonly snapshots?: Pick<Snapshots, 'save' | 'copy'> | undefined
}

/** While the service still runs; once it is done that is noted, and not done again. Throws why it goes back. */
export async function saveFirst(
  { snapshots }: GatherTools,
  journal: Journal,
  note: (change: Pick<Journal, 'snapshot'>) => Promise<Journal>,
): Promise<Journal> {
  const { snapshot } = journal
  if (snapshots === undefined || snapshot === undefined || snapshot.isSaved) return journal
  await snapshots.save(journal)
  return note({ snapshot: { ...snapshot, isSaved: true } })
}

/** From the claim until all are stopped, with `note` before the service is. Throws why it goes back. */
export async function stopTogether(
  tools: GatherTools,
  journal: Journal,
  note: (step: 'stopped') => Promise<Journal>,
): Promise<Journal> {
  let current = journal
  if (journal.step === 'gathering') {
    await requireAct(tools, journal, 'stop')
    current = await note('stopped')
  }
  const isAnew = await stopService(tools.host, journal)
  await tools.snapshots?.copy(journal, { isAnew })
  await requireAct(tools, journal, 'switch')
  return current
}

/** Everything is switched: until all may start. Throws why it goes back. */
export async function awaitStart(tools: GatherTools, journal: Journal): Promise<void> {
  await stopService(tools.host, journal)
  await requireAct(tools, journal, 'start')
}

async function requireAct(
  { askAct }: GatherTools,
  { together }: Journal,
  act: SectionAct,
): Promise<void> {
  if (together === undefined) return
  const back = askAct === undefined ? NOBODY : await askAct(together, act)
  if (back !== undefined) throw new OperationalError(back.code, back.message)
}

const NOBODY: Reason = {
  code: 'together-unanswered',
  message: 'there is no controller to ask what the other nodes do',
}

const LOOK_INTERVAL_MS = 200

/** False: it was stopped already. */
async function stopService({ services, clock }: Host, { unit, verify }: Journal): Promise<boolean> {
  const startedMs = clock.monotonic()
  for (let isAsked = false; ; isAsked = true) {
    const state = await services.show(unit)
    if (state === undefined || (GONE.includes(state.activeState) && !state.busy)) return isAsked
    if (!isAsked) await services.activate(unit, 'stop')
    else if (clock.monotonic() - startedMs >= verify.deadlineMs)
      throw new OperationalError('stop-overdue', `could not stop ${unit}: it is ${state.subState}`)
    if (isAsked) await clock.sleep(LOOK_INTERVAL_MS)
  }
}

const GONE: readonly string[] = ['inactive', 'failed']

/** Whatever its product could do without: it is stopped and started with the others. */
export function asRestart(plan: ActionablePlan): ActionablePlan {
  return { ...plan, owed: { ...plan.owed, verb: 'restart' } }
}

/** What this node must not do alone; undefined: it may. To prepare it is no matter. */
export function refusedAlone(
  { service, coordinated, unit, compiled }: ActionablePlan,
  mode: Mode,
): ServicePlan | undefined {
  if (coordinated === undefined || mode !== 'enforce') return undefined
  const { version } = compiled
  return { kind: 'blocked', service, outcome: 'unsupported', reason: coordinated, unit, version }
}
