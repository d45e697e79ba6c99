// Rollouts and fleets in a given state, for table tests.

import { startRollout } from '../../../controller/rollout/evolve.ts'
import type {
  FleetView,
  NodeView,
  Rollout,
  RolloutEvent,
  Step,
  StepState,
} from '../../../controller/rollout/rollout.ts'
import { withStep, phaseOf } from '../../../controller/rollout/steps.ts'
import { nowAt, planOf, samplePlan, T0 } from '../../contract/samples.ts'

export const WHY = { code: 'because', message: 'because of that' }

/** A rollout of the nodes named in `steps`, in their order, each in its state with generation 5 (waiting: none). */
export function rolloutWith(
  status: Rollout['status'],
  steps: Readonly<Record<string, StepState>>,
  more: Partial<Rollout> = {},
): Rollout {
  const names = Object.keys(steps)
  const plan = planOf(samplePlan(names))
  const rollout = startRollout('r1', plan, { kind: 'planned', ...nowAt() })
  let made = rollout.steps
  for (const [node, state] of Object.entries(steps)) {
    const generation = state === 'waiting' ? undefined : 5
    const step: Step = {
      node,
      state,
      generation,
      holds: undefined,
      reason: undefined,
      sinceMs: T0,
      timeMs: 0,
      healthyTimeMs: undefined,
      claimSequence: undefined,
      held: undefined,
    }
    made = withStep(phaseOf(rollout), made, step)
  }
  const toward = status === 'draining' ? { toward: 'failed' as const } : {}
  return { ...rollout, status, ...toward, steps: made, ...more }
}

/** A node that is online, was given generation 5 and has reported nothing about it. */
export function nodeView(node: string, more: Partial<NodeView> = {}): NodeView {
  return {
    node,
    online: true,
    highestGeneration: 5,
    observedGeneration: undefined,
    observedContent: undefined,
    sequence: undefined,
    outcome: undefined,
    reason: undefined,
    silentMs: 0,
    inactive: false,
    broken: false,
    ...more,
  }
}

/** A node whose report for generation 5 says this. */
export function reporting(
  node: string,
  outcome: NodeView['outcome'],
  more: Partial<NodeView> = {},
): NodeView {
  return nodeView(node, { observedGeneration: 5, outcome, reason: WHY, ...more })
}

export function fleetOf(...views: readonly NodeView[]): FleetView {
  const nodes = new Map(views.map(view => [view.node, view]))
  return { nodes, groups: new Map(), groupsOf: new Map() }
}

/** `node-permitted a 6`: what a test of decisions compares. */
export function brief(events: readonly RolloutEvent[]): readonly string[] {
  return events.map(event => {
    const parts: string[] = [event.kind]
    if ('node' in event) parts.push(event.node)
    if ('generation' in event) parts.push(`${event.generation}`)
    if ('toward' in event) parts.push(event.toward)
    if ('status' in event) parts.push(event.status)
    if ('cause' in event) parts.push(event.cause)
    return parts.join(' ')
  })
}
