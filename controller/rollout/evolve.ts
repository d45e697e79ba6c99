// The fold: a rollout is its plan and the events so far. Whatever the tables of states do not allow
// throws, so a decision that is wrong is not stored. What is allowed when is in transitions.ts.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type {
  Now,
  PauseCause,
  Plan,
  Rollout,
  RolloutEvent,
  Step,
  StepState,
  Steps,
} from './rollout.ts'
import {
  batchOf,
  countSteps,
  firstSteps,
  phaseOf,
  plannedOf,
  stepOf,
  total,
  withStep,
} from './steps.ts'
import { type NodeEvent, refuse, requireNodeEvent, requireStatusEvent } from './transitions.ts'

export { IllegalTransition } from './transitions.ts'
export { isFailure, isInMotion, isSettled } from './steps.ts'

type StatusEvent = Exclude<RolloutEvent, NodeEvent>

/** The state before the first event is none, so the first event, `planned`, has its own function. */
export function startRollout(id: string, plan: Plan, event: RolloutEvent): Rollout {
  const [phase] = plan.phases
  if (event.kind !== 'planned' || phase === undefined)
    throw refuse({ id }, event, 'it is not first')
  return {
    id,
    plan,
    version: 1,
    status: 'planned',
    pausedBy: [],
    pausedTimeMs: undefined,
    toward: undefined,
    reason: event.reason,
    approvedBy: [],
    phaseIndex: 0,
    batchIndex: 0,
    incomplete: false,
    steps: firstSteps(phase, event, ({ from }) => ({ holds: from, generation: undefined })),
    gates: [],
    baseline: undefined,
    promoted: false,
    acknowledgedBy: undefined,
    section: undefined,
    settledTimeMs: undefined,
    progressTimeMs: event.timeMs,
    deferredTimeMs: undefined,
    startedAtMs: undefined,
    endedAtMs: undefined,
  }
}

/** Folds one event in. Throws IllegalTransition for an event that the tables of states do not allow. */
export function evolve(rollout: Rollout, event: RolloutEvent): Rollout {
  if ('node' in event) requireNodeEvent(rollout, event)
  else requireStatusEvent(rollout, event)
  const next = 'node' in event ? evolveNode(rollout, event) : evolveStatus(rollout, event)
  return { ...next, version: rollout.version + 1 }
}

export function evolveAll(rollout: Rollout, events: readonly RolloutEvent[]): Rollout {
  return events.reduce(evolve, rollout)
}

export function hasEnded(rollout: Pick<Rollout, 'endedAtMs'>): boolean {
  return rollout.endedAtMs !== undefined
}

/** Does this event give the node a new document? */
export function publishes(
  event: RolloutEvent,
): event is Extract<
  RolloutEvent,
  { kind: 'node-assigned' | 'node-permitted' | 'permit-withdrawn' | 'node-released' }
> {
  return (
    event.kind === 'node-assigned' ||
    event.kind === 'node-permitted' ||
    event.kind === 'permit-withdrawn' ||
    event.kind === 'node-released'
  )
}

function evolveStatus(rollout: Rollout, event: StatusEvent): Rollout {
  switch (event.kind) {
    case 'planned':
      throw refuse(rollout, event, 'it is the first event only')
    case 'approved':
      return { ...rollout, approvedBy: [...rollout.approvedBy, event.by] }
    case 'started':
      return progress({ ...rollout, status: 'staging', startedAtMs: event.atMs }, event)
    case 'staged':
      return progress({ ...rollout, status: 'running' }, event)
    case 'baseline-taken': {
      const { unseen, clusters } = event
      return { ...rollout, baseline: { unseen, clusters } }
    }
    case 'section-moved':
      return progress({ ...rollout, section: event.to }, event)
    case 'batch-settled':
      return { ...rollout, settledTimeMs: event.timeMs }
    case 'gate-judged':
      return { ...rollout, gates: withGate(rollout, event) }
    case 'downtime-acknowledged':
      return progress({ ...rollout, acknowledgedBy: event.by }, event)
    case 'promoted':
      return progress(resume({ ...rollout, promoted: true }, 'inconclusive', event), event)
    case 'batch-passed':
      return progress({ ...rollout, ...FRESH, batchIndex: rollout.batchIndex + 1 }, event)
    case 'phase-passed':
      return progress(nextPhase(rollout, event), event)
    case 'paused':
      return pause(rollout, event.cause, event)
    case 'resumed':
      return resume(rollout, event.cause, event)
    case 'draining':
      return { ...rollout, status: 'draining', toward: event.toward, reason: event.reason }
    case 'ended':
      return { ...rollout, status: event.status, endedAtMs: event.atMs }
    default:
      return unreachable(event)
  }
}

const FRESH = { gates: [], baseline: undefined, promoted: false, settledTimeMs: undefined } as const

function progress(rollout: Rollout, { timeMs }: Now): Rollout {
  return { ...rollout, progressTimeMs: timeMs }
}

function withGate(rollout: Rollout, event: Extract<RolloutEvent, { kind: 'gate-judged' }>) {
  const { gate, verdict, reason } = event
  return [...rollout.gates.filter(one => one.gate !== gate), { gate, verdict, reason }]
}

// What a node has after one phase is what it had before the next.
function nextPhase(rollout: Rollout, now: Now): Rollout {
  const phaseIndex = rollout.phaseIndex + 1
  const phase = phaseOf({ plan: rollout.plan, phaseIndex })
  const steps: Steps = firstSteps(phase, now, ({ node, from }) => {
    const before = stepOf(rollout, node)
    if (before === undefined) return { holds: from, generation: undefined }
    const { state, holds, generation } = before
    // What is staged there is still to be taken back, if this phase comes to nothing for it.
    return { holds, generation: state === 'done' ? undefined : generation }
  })
  const counts = countSteps(rollout)
  return {
    ...rollout,
    ...FRESH,
    acknowledgedBy: undefined,
    section: undefined,
    status: 'staging',
    phaseIndex,
    batchIndex: 0,
    steps,
    deferredTimeMs: undefined,
    incomplete: rollout.incomplete || counts.done < total(counts),
  }
}

function pause(rollout: Rollout, cause: PauseCause, { timeMs }: Now): Rollout {
  const pausedTimeMs = rollout.pausedTimeMs ?? timeMs
  return { ...rollout, pausedBy: [...rollout.pausedBy, cause].toSorted(), pausedTimeMs }
}

/** The last cause that goes moves what is measured on by the length of the pause. */
function resume(rollout: Rollout, cause: PauseCause, { timeMs }: Now): Rollout {
  const pausedBy = rollout.pausedBy.filter(one => one !== cause)
  const { pausedTimeMs, settledTimeMs, progressTimeMs, deferredTimeMs } = rollout
  if (pausedTimeMs === undefined || pausedBy.length > 0) return { ...rollout, pausedBy }
  const moved = (anchorMs: number) => anchorMs + timeMs - Math.max(anchorMs, pausedTimeMs)
  return {
    ...rollout,
    pausedBy,
    pausedTimeMs: undefined,
    settledTimeMs: settledTimeMs === undefined ? undefined : moved(settledTimeMs),
    // What it was paused for begins anew.
    progressTimeMs: STARTS_ANEW.includes(cause) ? timeMs : moved(progressTimeMs),
    deferredTimeMs: deferredTimeMs === undefined ? undefined : moved(deferredTimeMs),
  }
}

const STARTS_ANEW: readonly PauseCause[] = ['deadline', 'inconclusive']

function evolveNode(rollout: Rollout, event: NodeEvent): Rollout {
  const step = stepOf(rollout, event.node)
  if (step === undefined) throw refuse(rollout, event, 'the node is not in the plan')
  const phase = phaseOf(rollout)
  const state = stateAfter(event, step)
  const next: Step = {
    node: step.node,
    state,
    generation: generationAfter(event, step),
    holds: event.kind === 'node-done' ? plannedOf(rollout, step.node)?.to : step.holds,
    reason: reasonAfter(event, step),
    sinceMs: event.atMs,
    timeMs: state === step.state ? step.timeMs : event.timeMs,
    healthyTimeMs: event.kind === 'node-healthy' ? event.timeMs : undefined,
    claimSequence: claimAfter(event, step),
    held: heldAfter(event, step),
  }
  const moved = { ...rollout, steps: withStep(phase, rollout.steps, next) }
  return anchored(moved, event)
}

// What was taken back needs no taking back once more.
function generationAfter(event: NodeEvent, step: Step): number | undefined {
  if (event.kind === 'node-released') return undefined
  return publishes(event) ? event.generation : step.generation
}

function claimAfter(event: NodeEvent, step: Step): number | undefined {
  if (event.kind === 'permit-claimed') return event.sequence
  return event.kind === 'node-permitted' ? undefined : step.claimSequence
}

// A permit begins anew; whatever else happens does not start what is stopped.
function heldAfter(event: NodeEvent, step: Step): Step['held'] {
  if (event.kind === 'node-held') return event.at
  return event.kind === 'node-permitted' ? undefined : step.held
}

function anchored(rollout: Rollout, event: NodeEvent): Rollout {
  switch (event.kind) {
    case 'node-deferred': {
      const deferredTimeMs = rollout.deferredTimeMs ?? event.timeMs
      return { ...rollout, deferredTimeMs }
    }
    case 'node-returned': {
      const isLast = countSteps(rollout).deferred === 0
      const reopens = batchOf(rollout, event.node) <= rollout.batchIndex
      const opened = reopens ? { ...rollout, settledTimeMs: undefined } : rollout
      return progress(isLast ? { ...opened, deferredTimeMs: undefined } : opened, event)
    }
    case 'node-skipped': {
      const isLast = countSteps(rollout).deferred === 0
      return progress(isLast ? { ...rollout, deferredTimeMs: undefined } : rollout, event)
    }
    case 'node-staged':
    case 'node-refused':
    case 'permit-claimed':
    case 'node-held':
    case 'node-healthy':
    case 'node-done':
    case 'node-reverted':
    case 'node-broken':
    case 'lease-forced':
      return progress(rollout, event)
    // Nothing is gained by these alone.
    case 'node-assigned':
    case 'node-permitted':
    case 'permit-withdrawn':
    case 'node-suspected':
    case 'node-released':
      return rollout
    default:
      return unreachable(event)
  }
}

function stateAfter(event: NodeEvent, step: Step): StepState {
  switch (event.kind) {
    case 'node-assigned':
      return 'assigned'
    case 'node-staged':
    case 'permit-withdrawn':
      return 'staged'
    case 'node-refused':
      return 'refused'
    case 'node-deferred':
      return 'deferred'
    case 'node-returned':
      return 'waiting'
    case 'node-skipped':
      return 'skipped'
    case 'node-permitted':
      return 'permitted'
    case 'permit-claimed':
    case 'node-held':
      return 'applying'
    case 'node-suspected':
      return 'suspect'
    case 'node-done':
      return 'done'
    case 'node-reverted':
      return 'reverted'
    case 'node-broken':
    case 'lease-forced':
      return 'broken'
    case 'node-healthy':
    case 'node-released':
      return step.state
    default:
      return unreachable(event)
  }
}

// A release changes what the node has, not why its step ended as it did.
function reasonAfter(event: NodeEvent, step: Step): Reason | undefined {
  if (event.kind === 'node-released') return step.reason
  return 'reason' in event ? event.reason : undefined
}
