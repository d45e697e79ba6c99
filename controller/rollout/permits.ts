// Who may move next: the issue rule of the batch, the order of products, and the budgets of the
// groups. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import { mayLease } from './budget.ts'
import { judgeBeforePermit, nextGeneration, viewOf } from './judge.ts'
import { whySectionWaits } from './section.ts'
import type { FleetView, Now, Rollout, RolloutEvent, Step } from './rollout.ts'
import {
  batchOf,
  countSteps,
  FAILED,
  IN_MOTION,
  OPEN,
  phaseOf,
  plannedOf,
  stepOf,
  stepsIn,
  sum,
} from './steps.ts'

/** Permits for staged steps in reach, in plan order, as many as may move at once now. */
export function permits(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  if (phaseOf(rollout).coordinated) return permitsTogether(rollout, fleet, now)
  const events: RolloutEvent[] = []
  const promised = promisedNodes(rollout)
  let room = roomOf(rollout)
  // Groups of which another member only waits for a lease that is about to be given back.
  const open = new Set<string>()
  // What stands on others waits for them.
  const rank = lowestRank(rollout)
  for (const step of stagedInOrder(rollout, fleet)) {
    if (room <= 0) return events
    if (plannedOf(rollout, step.node)?.rank !== rank) continue
    const view = viewOf(fleet, step.node)
    const hindrance = judgeBeforePermit(rollout, step, view, now)
    events.push(...hindrance)
    if (hindrance.some(event => event.kind === 'node-refused')) return events
    if (hindrance.length > 0 || view === undefined) continue
    const held = mayLease({ node: step.node, promised }, fleet)
    if (held?.code === 'budget-leased')
      for (const name of fleet.groupsOf.get(step.node) ?? []) open.add(name)
    if (held !== undefined || leadsOpen(step.node, fleet, open)) continue
    promised.add(step.node)
    room--
    const generation = nextGeneration(step, view)
    events.push({ kind: 'node-permitted', node: step.node, generation, ...now })
  }
  return events
}

// One that is out itself is not kept waiting: the others may be waiting for it.
function leadsOpen(node: string, fleet: FleetView, open: ReadonlySet<string>): boolean {
  return (fleet.groupsOf.get(node) ?? []).some(name => {
    const group = fleet.groups.get(name)
    return open.has(name) && group?.leader === node && !group.out.has(node)
  })
}

/**
 * Decided now, because who is out and who leads may have changed since the plan: who is out first, as
 * that makes nothing worse; who leads last, as every other order changes the leader more often. The
 * others in the order of the plan.
 */
function* stagedInOrder(rollout: Rollout, fleet: FleetView): Generator<Step> {
  const first = new Set<string>()
  const last = new Set<string>()
  for (const { out, leader } of fleet.groups.values()) {
    for (const node of out.keys()) first.add(node)
    if (leader !== undefined) last.add(leader)
  }
  for (const node of first) last.delete(node)
  yield* stagedAmong(rollout, first)
  for (const step of stepsIn(rollout, ['staged'], rollout.batchIndex))
    if (!first.has(step.node) && !last.has(step.node)) yield step
  yield* stagedAmong(rollout, last)
}

function stagedAmong(rollout: Rollout, nodes: ReadonlySet<string>): readonly Step[] {
  return [...nodes].toSorted().flatMap(node => {
    const step = stepOf(rollout, node)
    const isInReach = step?.state === 'staged' && batchOf(rollout, node) <= rollout.batchIndex
    return isInReach ? [step] : []
  })
}

// Of all that are open in reach; a batch is in the order of ranks.
function lowestRank(rollout: Rollout): number {
  let lowest = Number.POSITIVE_INFINITY
  for (let batch = 0; batch <= rollout.batchIndex; batch++) {
    const [first] = stepsIn(rollout, OPEN, batch, batch)
    const rank = first === undefined ? undefined : plannedOf(rollout, first.node)?.rank
    if (rank !== undefined && rank < lowest) lowest = rank
  }
  return lowest
}

/** Nodes whose permits are out: they will take a lease, and count as if they had. */
function promisedNodes(rollout: Rollout): Set<string> {
  return new Set(stepsIn(rollout, ['permitted']).map(({ node }) => node))
}

// Serial while no failure is tolerated; else doubling with what is done, up to the limit.
function roomOf(rollout: Rollout): number {
  const phase = phaseOf(rollout)
  const counts = countSteps(rollout)
  const motion = sum(counts, IN_MOTION)
  const failures = sum(counts, FAILED)
  if (phase.batches[rollout.batchIndex]?.rule !== 'wide')
    return phase.maxFailures + 1 - failures - motion
  const { maxParallel } = rollout.plan.settings
  return Math.min(maxParallel, 2 ** Math.floor(Math.log2(counts.done + 1))) - motion
}

/** Nodes of a coordinated phase: a group is stopped, changed and started as a whole, or not at all. */
export function togetherIn(rollout: Rollout): ReadonlySet<string> | undefined {
  const phase = phaseOf(rollout)
  if (!phase.coordinated) return undefined
  return new Set(phase.batches.flatMap(({ nodes }) => nodes.map(({ node }) => node)))
}

function permitsTogether(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const together = togetherIn(rollout)
  const counts = countSteps(rollout)
  const isReady = counts.waiting + counts.assigned + sum(counts, [...FAILED, 'deferred']) === 0
  if (rollout.acknowledgedBy === undefined || !isReady || counts.staged === 0) return []
  if (together === undefined) return []
  const events: RolloutEvent[] = []
  for (const step of stepsIn(rollout, ['staged'])) {
    const view = viewOf(fleet, step.node)
    const hindrance = judgeBeforePermit(rollout, step, view, now)
    if (hindrance.length > 0) return hindrance
    const isAble = view?.online === true && !view.inactive
    if (!isAble || mayLease({ node: step.node, together }, fleet) !== undefined) return []
    const generation = nextGeneration(step, view)
    events.push({ kind: 'node-permitted', node: step.node, generation, ...now })
  }
  return events
}

/** Why a step that could move does not; undefined: it has ended, or it moves. Waiting is a value. */
export function whyWaiting(rollout: Rollout, fleet: FleetView, step: Step): Reason | undefined {
  const { state, node } = step
  if (state === 'deferred' || state === 'suspect') return step.reason
  if (rollout.status === 'planned') return notStarted(rollout, fleet)
  if (state === 'applying') return whySectionWaits(rollout, step)
  if (state !== 'waiting' && state !== 'assigned' && state !== 'staged') return undefined
  if (rollout.pausedBy.length > 0) {
    if (fleet.frozen !== undefined) return fleet.frozen
    return { code: 'paused', message: `the rollout is paused (${rollout.pausedBy.join(', ')})` }
  }
  if (viewOf(fleet, node)?.online !== true)
    return { code: 'offline', message: 'the agent is not connected' }
  if (rollout.status === 'staging')
    return { code: 'staging', message: 'no node is permitted before all have staged' }
  const phase = phaseOf(rollout)
  if (phase.coordinated && rollout.acknowledgedBy === undefined)
    return { code: 'unacknowledged', message: DOWNTIME }
  if (state !== 'staged') return { code: 'staging', message: 'the node is being prepared' }
  return (
    mayLease({ node, promised: promisedNodes(rollout) }, fleet) ?? {
      code: 'batch',
      message: `batch ${rollout.batchIndex + 1} of ${phase.batches.length} is under way`,
    }
  )
}

const DOWNTIME =
  'an operator acknowledges the downtime (`promote`): all of these nodes are stopped, changed and started together'

/** G0: a change is not begun in a cluster that is not well already, unless an operator says so or it is about an earlier change. */
export function redGroup({ plan }: Pick<Rollout, 'plan'>, fleet: FleetView): Reason | undefined {
  if (plan.kind !== 'change') return undefined
  for (const { name, health } of fleet.groups.values()) {
    if (health !== 'red') continue
    const message = `group ${name} is red already; \`start\` begins all the same`
    return { code: 'group-red', message }
  }
  return undefined
}

function notStarted({ plan, approvedBy }: Rollout, fleet: FleetView): Reason {
  const missing = plan.settings.approvals - approvedBy.length
  if (missing > 0) return { code: 'approval-missing', message: `${missing} approvals are missing` }
  if (fleet.frozen !== undefined) return fleet.frozen
  const red = redGroup({ plan }, fleet)
  if (red !== undefined) return red
  return { code: 'not-started', message: 'an operator starts it' }
}
