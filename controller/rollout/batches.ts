// When a batch has passed, and what comes after it: soak, gates, promotion, barrier, end. Gates are
// three-valued; what is inconclusive pauses. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import { SNAPSHOT_MS_MAX } from '../../shared/contract/snapshots.ts'
import { evolve } from './evolve.ts'
import { nextGeneration, viewOf } from './judge.ts'
import type { FleetView, GateVerdict, Now, Rollout, RolloutEvent } from './rollout.ts'
import { isSaving } from './section.ts'
import { countSteps, FAILED, OPEN, phaseOf, plannedOf, stepsIn, sum, total } from './steps.ts'

/** Of a running rollout that is not paused and whose steps in reach are all settled. */
export function judgeBatch(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const phase = phaseOf(rollout)
  const batch = phase.batches[rollout.batchIndex]
  if (batch === undefined) return endsNow(rollout, fleet, now)
  if (rollout.settledTimeMs === undefined) {
    const settled: RolloutEvent = { kind: 'batch-settled', ...now }
    return [settled, ...judgeBatch(evolve(rollout, settled), fleet, now)]
  }
  const judged = newVerdicts(rollout, fleet)
  if (judged.length > 0) return judged.map(verdict => ({ kind: 'gate-judged', ...verdict, ...now }))
  const soakedMs = now.timeMs - rollout.settledTimeMs
  if (soakedMs < batch.soakMs) return []

  const isLast = rollout.batchIndex === phase.batches.length - 1
  const isLastOfAll = isLast && rollout.phaseIndex === rollout.plan.phases.length - 1
  const isEmpty = countSteps(rollout, rollout.batchIndex, rollout.batchIndex).done === 0
  if (isEmpty && !rollout.promoted && !isLastOfAll) return emptyBatch(rollout, fleet, now)
  const doubt = inconclusive(rollout, soakedMs - batch.soakMs)
  if (doubt !== undefined) return paused(rollout, fleet, 'inconclusive', doubt, now)
  const isJudged = gatesOf(rollout).every(gate => verdictOf(rollout, gate) !== undefined)
  if (!isJudged || (batch.promote === 'manual' && !rollout.promoted)) return []
  return isLast ? endPhase(rollout, fleet, now) : [{ kind: 'batch-passed', ...now }]
}

/** A gate that has failed drains the rollout. */
export function failedGate({ gates }: Rollout): Reason | undefined {
  const failed = gates.find(({ verdict }) => verdict === 'fail')
  return failed && { code: 'gate-failed', message: `${failed.gate}: ${failed.reason.message}` }
}

/** G2 wherever a cluster was seen before the batch, G4 as the plan says. */
export function gatesOf({ plan, baseline }: Pick<Rollout, 'plan' | 'baseline'>): readonly string[] {
  const { gates } = plan.settings
  const isCluster = baseline !== undefined && baseline.clusters.length > 0
  return isCluster && !gates.includes(CLUSTER_GATE) ? [CLUSTER_GATE, ...gates] : gates
}

export const CLUSTER_GATE = 'cluster'

function verdictOf(rollout: Rollout, gate: string): GateVerdict | undefined {
  return rollout.gates.find(one => one.gate === gate)
}

// On ties fail wins: what has failed is not judged again.
function newVerdicts(rollout: Rollout, { verdicts = [] }: FleetView): readonly GateVerdict[] {
  return verdicts.filter(({ gate, verdict }) => {
    const known = verdictOf(rollout, gate)?.verdict
    return gatesOf(rollout).includes(gate) && known !== verdict && known !== 'fail'
  })
}

// A gate that says nothing at all for too long is as good as one that does not know.
function inconclusive(rollout: Rollout, waitedMs: number): Reason | undefined {
  if (rollout.promoted) return undefined
  const { progressDeadlineMs } = rollout.plan.settings
  for (const gate of gatesOf(rollout)) {
    const known = verdictOf(rollout, gate)
    if (known?.verdict === 'inconclusive')
      return { code: 'gate-inconclusive', message: `${gate}: ${known.reason.message}` }
    if (known === undefined && waitedMs >= progressDeadlineMs)
      return { code: 'gate-silent', message: `${gate} has not said anything` }
  }
  return undefined
}

// It never passes by being empty. Where nobody is waited for, nothing more can come of it.
function emptyBatch(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  if (rollout.plan.settings.deferDeadlineMs === 0) return endsNow(rollout, fleet, now)
  const message = `no node of batch ${rollout.batchIndex + 1} was changed`
  return paused(rollout, fleet, 'inconclusive', { code: 'batch-empty', message }, now)
}

function endPhase(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const phase = phaseOf(rollout)
  const counts = countSteps(rollout)
  const isLast = rollout.phaseIndex === rollout.plan.phases.length - 1
  const isAwaited = isLast || phase.barrier
  const { deferredTimeMs } = rollout
  if (isAwaited && counts.deferred > 0 && deferredTimeMs !== undefined) {
    const waitedMs = now.timeMs - deferredTimeMs
    if (waitedMs < rollout.plan.settings.deferDeadlineMs) return []
  }
  const isBlocked = phase.barrier && sum(counts, [...FAILED, 'deferred']) > 0
  if (isLast || isBlocked) return endsNow(rollout, fleet, now)
  const leftBehind = releases(rollout, fleet, now, node => !plannedLater(rollout, node))
  if (!leftBehind.isWhole) return leftBehind.events
  return [...leftBehind.events, { kind: 'phase-passed', ...now }]
}

function plannedLater({ plan, phaseIndex }: Rollout, node: string): boolean {
  return plannedOf({ plan, phaseIndex: phaseIndex + 1 }, node) !== undefined
}

function endsNow(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const counts = countSteps(rollout)
  const isLast = rollout.phaseIndex === rollout.plan.phases.length - 1
  const isWhole = isLast && !rollout.incomplete && counts.done === total(counts)
  const status = isWhole ? 'succeeded' : 'partial'
  const { events, isWhole: isOver } = releases(rollout, fleet, now)
  return isOver ? [...events, { kind: 'ended', status, ...now }] : events
}

/**
 * Every node that was given something and is neither done nor broken gets back what it holds; so many
 * at once, as a fleet is too much for one transaction. `isWhole`: these are all.
 */
export function releases(
  rollout: Rollout,
  fleet: FleetView,
  now: Now,
  isMeant: (node: string) => boolean = () => true,
): { readonly events: readonly RolloutEvent[]; readonly isWhole: boolean } {
  const events: RolloutEvent[] = []
  for (const { node, ...step } of stepsIn(rollout, RELEASED)) {
    const view = viewOf(fleet, node)
    if (step.generation === undefined || view === undefined || !isMeant(node)) continue
    if (events.length >= RELEASES_MAX) return { events, isWhole: false }
    const generation = nextGeneration({ node, ...step }, view)
    events.push({ kind: 'node-released', node, generation, ...now })
  }
  return { events, isWhole: true }
}

const RELEASES_MAX = 256

const RELEASED = [
  'waiting',
  'assigned',
  'staged',
  'permitted',
  'applying',
  'suspect',
  'reverted',
  'refused',
  'deferred',
  'skipped',
] as const

/** A pause takes permits back that nobody has claimed yet, in the same append. */
export function paused(
  rollout: Rollout,
  fleet: FleetView,
  cause: Extract<RolloutEvent, { kind: 'paused' }>['cause'],
  reason: Reason,
  now: Now,
): readonly RolloutEvent[] {
  return [{ kind: 'paused', cause, reason, ...now }, ...withdrawals(rollout, fleet, reason, now)]
}

export function withdrawals(
  rollout: Rollout,
  fleet: FleetView,
  reason: Reason,
  now: Now,
): readonly RolloutEvent[] {
  return [...stepsIn(rollout, ['permitted'])].map(step => {
    const generation = nextGeneration(step, viewOf(fleet, step.node))
    return { kind: 'permit-withdrawn', node: step.node, generation, reason, ...now }
  })
}

/** A step in reach is open, and for too long nothing has come of it. */
export function overdue(rollout: Rollout, { timeMs }: Now): Reason | undefined {
  const reach = rollout.status === 'running' ? rollout.batchIndex : undefined
  if (sum(countSteps(rollout, reach), OPEN) === 0) return undefined
  // An operator is waited for, who may take as long as there is to a window.
  const isAsked = phaseOf(rollout).coordinated && rollout.acknowledgedBy === undefined
  if (rollout.status === 'running' && isAsked) return undefined
  const { progressDeadlineMs } = rollout.plan.settings
  const waitedMs = timeMs - rollout.progressTimeMs
  if (waitedMs < progressDeadlineMs) return undefined
  // A snapshot ends by the timeout of its node, which nobody else knows; who is silent is suspect before.
  if (isSaving(rollout) && waitedMs < SNAPSHOT_MS_MAX + progressDeadlineMs) return undefined
  const minutes = Math.round(progressDeadlineMs / 60_000)
  return { code: 'no-progress', message: `nothing has moved for ${minutes} minutes` }
}
