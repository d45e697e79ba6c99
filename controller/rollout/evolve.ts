// The fold: a rollout is its plan and the events so far. Whatever the tables of states do not allow
// throws, so a decision that is wrong is not stored.

import { assert, unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type {
  Rollout,
  RolloutEvent,
  RolloutPlan,
  RolloutStatus,
  Step,
  StepState,
} from './rollout.ts'

export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition'
}

type NodeEvent = Extract<RolloutEvent, { readonly node: string }>
type StatusEvent = Exclude<RolloutEvent, NodeEvent>

/** The state before the first event is none, so the first event, `planned`, has its own function. */
export function startRollout(id: string, plan: RolloutPlan, event: RolloutEvent): Rollout {
  if (event.kind !== 'planned') throw new IllegalTransition(`${id} begins with ${event.kind}`)
  const steps: Record<string, Step> = {}
  for (const { node } of plan.nodes) {
    assert(!Object.hasOwn(steps, node), `${node} is planned twice in ${id}`)
    steps[node] = {
      node,
      state: 'waiting',
      generation: undefined,
      reason: undefined,
      sinceMs: event.atMs,
    }
  }
  return {
    id,
    plan,
    version: 1,
    status: 'planned',
    toward: undefined,
    reason: undefined,
    steps,
    startedAtMs: undefined,
    endedAtMs: undefined,
  }
}

/** Folds one event in. Throws IllegalTransition for an event that the tables of states do not allow. */
export function evolve(rollout: Rollout, event: RolloutEvent): Rollout {
  return evolveAll(rollout, [event])
}

/** Folds many events in; copies the steps once, so that a wide event list stays linear. */
export function evolveAll(rollout: Rollout, events: readonly RolloutEvent[]): Rollout {
  const steps: Record<string, Step> = { ...rollout.steps }
  let next: Rollout = { ...rollout, steps }
  for (const event of events) {
    if ('node' in event) {
      steps[event.node] = evolveStep(next, event)
      next = { ...next, version: next.version + 1 }
    } else {
      next = { ...evolveStatus(next, event), version: next.version + 1 }
    }
  }
  return next
}

/** A step that may be disruptive, or may become so by a claim. */
export function isInMotion(step: Step): boolean {
  return step.state === 'permitted' || step.state === 'applying' || step.state === 'suspect'
}

export function isFailure(step: Step): boolean {
  return step.state === 'reverted' || step.state === 'refused' || step.state === 'broken'
}

export function isSettled(step: Step): boolean {
  return (
    isFailure(step) ||
    step.state === 'done' ||
    step.state === 'deferred' ||
    step.state === 'skipped'
  )
}

export function hasEnded(rollout: Rollout): boolean {
  return rollout.endedAtMs !== undefined
}

function evolveStatus(rollout: Rollout, event: StatusEvent): Rollout {
  const steps = Object.values(rollout.steps)
  switch (event.kind) {
    case 'planned':
      throw refuse(rollout, event, 'it is the first event only')
    case 'started':
      requireStatus(rollout, event, ['planned'])
      return { ...rollout, status: 'staging', startedAtMs: event.atMs }
    case 'staged':
      requireStatus(rollout, event, ['staging'])
      check(
        rollout,
        event,
        steps.every(step => step.state === 'staged' || isSettled(step)),
        'a step is not staged',
      )
      return { ...rollout, status: 'running' }
    case 'draining': {
      const from: readonly RolloutStatus[] =
        event.toward === 'aborted' ? ['planned', 'staging', 'running'] : ['staging', 'running']
      requireStatus(rollout, event, from)
      return { ...rollout, status: 'draining', toward: event.toward, reason: event.reason }
    }
    case 'ended':
      requireEnd(rollout, event, steps)
      return { ...rollout, status: event.status, endedAtMs: event.atMs }
    default:
      return unreachable(event)
  }
}

function requireEnd(
  rollout: Rollout,
  event: Extract<RolloutEvent, { kind: 'ended' }>,
  steps: readonly Step[],
): void {
  requireStatus(rollout, event, ['running', 'draining'])
  check(rollout, event, !steps.some(isInMotion), 'a step is in motion')
  if (rollout.status === 'draining') {
    check(rollout, event, event.status === rollout.toward, `it drains toward ${rollout.toward}`)
    return
  }
  const isDone = steps.every(step => step.state === 'done')
  check(rollout, event, steps.every(isSettled), 'a step is not settled')
  check(rollout, event, !steps.some(isFailure), 'a step failed, so it drains first')
  check(
    rollout,
    event,
    event.status === (isDone ? 'succeeded' : 'partial'),
    'the steps say otherwise',
  )
}

// Which states of a step, in which states of the rollout, an event may find.
const TABLE = {
  'node-assigned': { during: ['staging'], from: ['waiting'] },
  'node-staged': { during: ['staging'], from: ['assigned'] },
  'node-refused': { during: ['staging', 'running'], from: ['assigned', 'staged', 'permitted'] },
  'node-deferred': { during: ['staging', 'running'], from: ['waiting', 'assigned', 'staged'] },
  'node-permitted': { during: ['running'], from: ['staged'] },
  'permit-claimed': { during: ['running'], from: ['permitted'] },
  'permit-withdrawn': { during: ['running', 'draining'], from: ['permitted'] },
  'node-suspected': { during: ['running', 'draining'], from: ['applying'] },
  // A permitted step needs no claim when nothing disruptive was left to do.
  'node-done': {
    during: ['running', 'draining'],
    from: ['permitted', 'applying', 'suspect', 'broken'],
  },
  'node-reverted': {
    during: ['running', 'draining'],
    from: ['permitted', 'applying', 'suspect', 'broken'],
  },
  'node-broken': { during: ['running', 'draining'], from: ['permitted', 'applying', 'suspect'] },
  'node-released': {
    during: ['running', 'draining'],
    from: ['waiting', 'assigned', 'staged', 'reverted', 'refused', 'deferred', 'skipped'],
  },
} as const satisfies Record<
  NodeEvent['kind'],
  { readonly during: readonly RolloutStatus[]; readonly from: readonly StepState[] }
>

function evolveStep(rollout: Rollout, event: NodeEvent): Step {
  const step = Object.hasOwn(rollout.steps, event.node) ? rollout.steps[event.node] : undefined
  if (step === undefined) throw refuse(rollout, event, 'the node is not in the plan')
  const allowed: {
    readonly during: readonly RolloutStatus[]
    readonly from: readonly StepState[]
  } = TABLE[event.kind]
  requireStatus(rollout, event, allowed.during)
  check(rollout, event, allowed.from.includes(step.state), `the step is ${step.state}`)
  requireGeneration(rollout, event, step)
  if (event.kind === 'node-permitted') requireQuiet(rollout, event)
  return {
    node: step.node,
    state: stateAfter(event, step),
    generation: publishes(event) ? event.generation : step.generation,
    reason: reasonAfter(event, step),
    sinceMs: event.atMs,
  }
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
    case 'node-permitted':
      return 'permitted'
    case 'permit-claimed':
      return 'applying'
    case 'node-suspected':
      return 'suspect'
    case 'node-done':
      return 'done'
    case 'node-reverted':
      return 'reverted'
    case 'node-broken':
      return 'broken'
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

function requireGeneration(rollout: Rollout, event: NodeEvent, step: Step): void {
  if (publishes(event)) {
    const isHigher = event.generation > (step.generation ?? 0)
    check(
      rollout,
      event,
      isHigher,
      `generation ${event.generation} is not above ${step.generation}`,
    )
  } else if (event.kind === 'permit-claimed') {
    const isCurrent = event.generation === step.generation
    check(rollout, event, isCurrent, `the permit is for generation ${step.generation}`)
  }
  const isNeeded = event.kind !== 'node-released' || step.generation !== undefined
  check(rollout, event, isNeeded, 'the node was never given anything')
}

// One node at a time, and none after a failure: checked here too, where no decision gets past.
function requireQuiet(rollout: Rollout, event: NodeEvent): void {
  for (const step of Object.values(rollout.steps)) {
    check(rollout, event, !isInMotion(step), `${step.node} is in motion`)
    check(rollout, event, !isFailure(step), `${step.node} failed`)
  }
}

function requireStatus(
  rollout: Rollout,
  event: RolloutEvent,
  allowed: readonly RolloutStatus[],
): void {
  check(rollout, event, allowed.includes(rollout.status), `the rollout is ${rollout.status}`)
}

function check(rollout: Rollout, event: RolloutEvent, condition: boolean, why: string): void {
  if (!condition) throw refuse(rollout, event, why)
}

function refuse(rollout: Rollout, event: RolloutEvent, why: string): IllegalTransition {
  const node = 'node' in event ? ` of ${event.node}` : ''
  return new IllegalTransition(`${event.kind}${node} is not allowed in ${rollout.id}: ${why}`)
}
