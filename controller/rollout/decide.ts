// What happens next in a rollout. Pure: the rollout, the fleet as last seen and the time in, events
// out. Nothing here is remembered; asking again after the events were folded in gives the rest.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { failedGate, judgeBatch, overdue, paused, releases, withdrawals } from './batches.ts'
import { evolveAll } from './evolve.ts'
import { judgeBeforePermit, judgeDeferred, judgeMotion, unclearFor, viewOf } from './judge.ts'
import { permits, redGroup } from './permits.ts'
import { judgeSection } from './section.ts'
import type { FleetView, Now, Rollout, RolloutEvent, Step } from './rollout.ts'
import {
  countSteps,
  FAILED,
  IN_MOTION,
  markedStepsIn,
  OPEN,
  phaseOf,
  stepsIn,
  sum,
} from './steps.ts'

// Bounds the transaction that stores the events; the next decision makes the rest.
const PREPARATIONS_MAX = 256

// The longest message that a Reason may carry, less room for the name of the node.
const MESSAGE_LENGTH_MAX = 3_800

/** What follows from the fleet as last observed. Empty when nothing is to be done. */
export function decide(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  switch (rollout.status) {
    case 'planned':
      return mayStart(rollout, fleet) ? [{ kind: 'started', ...now }] : []
    case 'staging':
    case 'running':
      return decideActive(rollout, fleet, now)
    case 'draining':
      return decideDraining(rollout, fleet, now)
    case 'succeeded':
    case 'partial':
    case 'failed':
    case 'aborted':
    case 'superseded':
      return []
    default:
      return unreachable(rollout.status)
  }
}

function mayStart({ plan, approvedBy }: Rollout, fleet: FleetView): boolean {
  const { approvals, autoStart } = plan.settings
  const isFree = fleet.frozen === undefined && redGroup({ plan }, fleet) === undefined
  return autoStart && isFree && approvedBy.length >= approvals
}

function decideActive(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const events = judgeMotion(rollout, fleet, now)
  events.push(...judgeSection(evolveAll(rollout, events), now))
  const moved = evolveAll(rollout, events)
  const stop = drainAfterFailure(moved, fleet, now)
  if (stop.length > 0) return [...events, ...stop]

  const freeze = judgeFreeze(moved, fleet, now)
  const next = evolveAll(moved, freeze)
  events.push(...freeze)
  if (next.pausedBy.length > 0) return events
  const late = overdue(next, now)
  if (late !== undefined) return [...events, ...paused(next, fleet, 'deadline', late, now)]

  const unclear = unclearFor(next, fleet, now)
  if (unclear !== undefined)
    return [...events, ...paused(next, fleet, 'inconclusive', unclear, now)]

  const more = next.status === 'staging' ? stage(next, fleet, now) : run(next, fleet, now)
  const last = drainAfterFailure(evolveAll(next, more), fleet, now)
  return [...events, ...more, ...last]
}

function judgeFreeze(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const isFrozen = rollout.pausedBy.includes('frozen')
  if (fleet.frozen === undefined)
    return isFrozen ? [{ kind: 'resumed', cause: 'frozen', ...now }] : []
  return isFrozen ? [] : paused(rollout, fleet, 'frozen', fleet.frozen, now)
}

function stage(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const events = prepare(rollout, fleet, now)
  const next = evolveAll(rollout, events)
  if (drainReason(next) !== undefined) return events
  const counts = countSteps(next)
  const lacking = counts.waiting + counts.assigned
  const isWhole = !phaseOf(next).coordinated || sum(counts, [...FAILED, 'deferred']) === 0
  return lacking === 0 && isWhole ? [...events, { kind: 'staged', ...now }] : events
}

/** Gives documents to nodes that wait, and takes note of what came of them. */
function prepare(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const back = judgeDeferred(rollout, fleet, now, PREPARATIONS_MAX)
  const here = evolveAll(rollout, back)
  const events: RolloutEvent[] = [...back]
  // Staging is ramped too: the others are given nothing before the canaries have taken it well.
  const canaries = countSteps(here, 0)
  const reach = canaries.waiting + canaries.assigned > 0 ? 0 : undefined
  const judge = (steps: Iterable<Step>) => {
    for (const step of steps) {
      if (events.length >= PREPARATIONS_MAX) return
      events.push(...judgeBeforePermit(here, step, viewOf(fleet, step.node), now))
    }
  }
  judge(markedStepsIn(here, fleet.ripe, ['assigned'], reach))
  judge(stepsIn(here, ['waiting'], reach))
  return events
}

function run(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const prepared = prepare(rollout, fleet, now)
  const ready = evolveAll(rollout, prepared)
  if (drainReason(ready) !== undefined) return prepared
  const baseline = takeBaseline(ready, fleet, now)
  // Nobody moves before it is known how things were.
  if (baseline === 'pending') return prepared
  const known = acknowledge(evolveAll(ready, baseline), now)
  const before = evolveAll(ready, [...baseline, ...known])
  const permitted = permits(before, fleet, now)
  const next = evolveAll(before, permitted)
  const events = [...prepared, ...baseline, ...known, ...permitted]
  if (drainReason(next) !== undefined) return events
  if (sum(countSteps(next, next.batchIndex), OPEN) > 0) return events
  return [...events, ...judgeBatch(next, fleet, now)]
}

// What was acknowledged with the plan is not asked once more.
function acknowledge(rollout: Rollout, now: Now): readonly RolloutEvent[] {
  const { plan, acknowledgedBy } = rollout
  const isOpen = phaseOf(rollout).coordinated && acknowledgedBy === undefined
  if (plan.acknowledged !== true || !isOpen) return []
  return [{ kind: 'downtime-acknowledged', by: plan.author, ...now }]
}

function takeBaseline(
  { baseline: taken }: Rollout,
  { baseline }: FleetView,
  now: Now,
): readonly RolloutEvent[] | 'pending' {
  if (taken !== undefined || baseline === undefined) return []
  return baseline === 'pending' ? 'pending' : [{ kind: 'baseline-taken', ...baseline, ...now }]
}

function decideDraining(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const judged = judgeMotion(rollout, fleet, now)
  judged.push(...judgeSection(evolveAll(rollout, judged), now))
  const events = [...judged, ...withdrawals(evolveAll(rollout, judged), fleet, DRAINING, now)]
  const next = evolveAll(rollout, events)
  if (sum(countSteps(next), IN_MOTION) > 0 || next.toward === undefined) return events
  const released = releases(next, fleet, now)
  if (!released.isWhole) return [...events, ...released.events]
  return [...events, ...released.events, { kind: 'ended', status: next.toward, ...now }]
}

/** Why it cannot go on, or undefined. */
function drainReason(rollout: Rollout): Reason | undefined {
  const gate = failedGate(rollout)
  if (gate !== undefined) return gate
  const { maxFailures } = phaseOf(rollout)
  if (sum(countSteps(rollout), FAILED) <= maxFailures) return undefined
  const failed = [...stepsIn(rollout, FAILED)].toSorted((a, b) => b.timeMs - a.timeMs)[0]
  const message = failed?.reason?.message.slice(0, MESSAGE_LENGTH_MAX) ?? 'no reason given'
  return { code: `node-${failed?.state}`, message: `${failed?.node}: ${message}` }
}

function drainAfterFailure(rollout: Rollout, fleet: FleetView, now: Now): readonly RolloutEvent[] {
  const reason = drainReason(rollout)
  return reason === undefined ? [] : drain(rollout, fleet, { toward: 'failed', reason }, now)
}

/** Permits are withdrawn by the same append: none can be claimed once draining is stored. */
export function drain(
  rollout: Rollout,
  fleet: FleetView,
  { toward, reason }: Pick<Extract<RolloutEvent, { kind: 'draining' }>, 'toward' | 'reason'>,
  now: Now,
): readonly RolloutEvent[] {
  return [{ kind: 'draining', toward, reason, ...now }, ...withdrawals(rollout, fleet, reason, now)]
}

const DRAINING: Reason = { code: 'draining', message: 'the rollout is being stopped' }
