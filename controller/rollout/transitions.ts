// Which event may find which state: the tables of the model, checked where no decision gets past.

import { unreachable } from '../../shared/assert.ts'
import type { Rollout, RolloutEvent, RolloutStatus, StepState } from './rollout.ts'
import { whyNotMoved } from './section.ts'
import {
  batchOf,
  countSteps,
  FAILED,
  IN_MOTION,
  OPEN,
  phaseOf,
  stepOf,
  sum,
  total,
} from './steps.ts'

export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition'
}

export type NodeEvent = Extract<RolloutEvent, { readonly node: string }>
type StatusEvent = Exclude<RolloutEvent, NodeEvent>

// Which states of a step, in which states of the rollout, an event may find.
const TABLE = {
  'node-assigned': { during: ['staging', 'running'], from: ['waiting'] },
  'node-staged': { during: ['staging', 'running'], from: ['assigned'] },
  'node-refused': { during: ['staging', 'running'], from: ['assigned', 'staged', 'permitted'] },
  'node-deferred': { during: ['staging', 'running'], from: ['waiting', 'assigned', 'staged'] },
  'node-returned': { during: ['staging', 'running'], from: ['deferred'] },
  'node-skipped': {
    during: ['planned', 'staging', 'running'],
    from: ['waiting', 'assigned', 'staged', 'deferred'],
  },
  'node-permitted': { during: ['running'], from: ['staged'] },
  // Once more by an agent that counts its reports anew, because its node was rebuilt.
  'permit-claimed': { during: ['running'], from: ['permitted', 'applying', 'suspect'] },
  'node-held': { during: ['running', 'draining'], from: ['applying', 'suspect'] },
  'permit-withdrawn': { during: ['running', 'draining'], from: ['permitted'] },
  'node-suspected': { during: ['running', 'draining'], from: ['applying'] },
  'node-healthy': {
    during: ['running', 'draining'],
    from: ['permitted', 'applying', 'suspect', 'broken'],
  },
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
  'lease-forced': { during: ['running', 'draining'], from: ['suspect', 'broken'] },
  'node-released': {
    during: ['running', 'draining'],
    from: ['waiting', 'assigned', 'staged', 'reverted', 'refused', 'deferred', 'skipped'],
  },
} as const satisfies Record<
  NodeEvent['kind'],
  { readonly during: readonly RolloutStatus[]; readonly from: readonly StepState[] }
>

type RolloutId = Pick<Rollout, 'id'>

/** Throws IllegalTransition. */
export function requireNodeEvent(rollout: Rollout, event: NodeEvent): void {
  const step = stepOf(rollout, event.node)
  if (step === undefined) throw refuse(rollout, event, 'the node is not in the plan')
  const allowed: {
    readonly during: readonly RolloutStatus[]
    readonly from: readonly StepState[]
  } = TABLE[event.kind]
  requireStatus(rollout, event, allowed.during)
  check(rollout, event, allowed.from.includes(step.state), `the step is ${step.state}`)
  requireGeneration(rollout, event, step.generation)
  const { coordinated } = phaseOf(rollout)
  const isDeferral = event.kind === 'node-deferred'
  check(rollout, event, !(coordinated && isDeferral), 'a coordinated phase waits for every node')
  if (event.kind === 'node-permitted') requirePermit(rollout, event)
  if (event.kind === 'permit-claimed')
    check(rollout, event, rollout.pausedBy.length === 0, 'the rollout is paused')
}

function requireGeneration(rollout: Rollout, event: NodeEvent, current: number | undefined): void {
  if (!('generation' in event)) return
  if (event.kind === 'permit-claimed')
    return check(rollout, event, event.generation === current, `the permit is for ${current}`)
  const isHigher = event.generation > (current ?? 0)
  check(rollout, event, isHigher, `generation ${event.generation} is not above ${current}`)
  const isNeeded = event.kind !== 'node-released' || current !== undefined
  check(rollout, event, isNeeded, 'the node was never given anything')
}

// Within its batch, under the issue rule, and none after too many failures or in a pause.
function requirePermit(rollout: Rollout, event: NodeEvent): void {
  check(rollout, event, rollout.pausedBy.length === 0, 'the rollout is paused')
  const batch = batchOf(rollout, event.node)
  check(rollout, event, batch <= rollout.batchIndex, `batch ${batch} is not reached yet`)
  const counts = countSteps(rollout)
  const phase = phaseOf(rollout)
  const failures = sum(counts, FAILED)
  check(rollout, event, failures <= phase.maxFailures, 'too many steps have failed')
  if (phase.coordinated) {
    check(rollout, event, counts.waiting + counts.assigned === 0, 'a step is not staged')
    const isKnown = rollout.acknowledgedBy !== undefined
    return check(rollout, event, isKnown, 'nobody has acknowledged the downtime')
  }
  const motion = sum(counts, IN_MOTION)
  const isStrict = phase.batches[rollout.batchIndex]?.rule !== 'wide'
  const isFree = isStrict
    ? failures + motion <= phase.maxFailures
    : motion < rollout.plan.settings.maxParallel
  check(rollout, event, isFree, `${motion} steps are in motion`)
}

const ACTIVE = ['staging', 'running'] as const

/** Throws IllegalTransition. */
export function requireStatusEvent(rollout: Rollout, event: StatusEvent): void {
  const { plan, pausedBy } = rollout
  const need = (condition: boolean, why: string) => check(rollout, event, condition, why)
  switch (event.kind) {
    case 'planned':
      return need(false, 'it is the first event only')
    case 'approved':
      requireStatus(rollout, event, ['planned'])
      need(event.by !== plan.author, 'who made the plan does not approve it')
      return need(!rollout.approvedBy.includes(event.by), `${event.by} has approved it`)
    case 'started':
      requireStatus(rollout, event, ['planned'])
      return need(rollout.approvedBy.length >= plan.settings.approvals, 'it lacks approvals')
    case 'staged':
      return requireStaged(rollout, event)
    case 'baseline-taken':
      requireStatus(rollout, event, ['running'])
      return need(rollout.baseline === undefined, 'the batch has its baseline')
    case 'section-moved': {
      requireStatus(rollout, event, event.to === 'back' ? ['running', 'draining'] : ['running'])
      const missing = whyNotMoved(rollout, event.to)
      return need(missing === undefined, missing ?? '')
    }
    case 'batch-settled':
      requireStatus(rollout, event, ['running'])
      need(rollout.settledTimeMs === undefined, 'it is settled already')
      return need(openInReach(rollout) === 0, 'a step is not settled')
    case 'gate-judged':
      requireStatus(rollout, event, ['running'])
      return need(rollout.settledTimeMs !== undefined, 'the batch is not settled')
    case 'downtime-acknowledged':
      requireStatus(rollout, event, ['running'])
      need(phaseOf(rollout).coordinated, 'nothing is stopped as a whole')
      return need(rollout.acknowledgedBy === undefined, 'it is acknowledged already')
    case 'promoted':
      return requireStatus(rollout, event, ['running'])
    case 'batch-passed':
    case 'phase-passed':
      return requirePassed(rollout, event)
    case 'paused':
      requireStatus(rollout, event, ACTIVE)
      return need(!pausedBy.includes(event.cause), `it is paused (${event.cause}) already`)
    case 'resumed':
      requireStatus(rollout, event, ACTIVE)
      return need(pausedBy.includes(event.cause), `it is not paused (${event.cause})`)
    case 'draining': {
      const isAbort = event.toward === 'aborted'
      return requireStatus(rollout, event, isAbort ? ['planned', ...ACTIVE] : ACTIVE)
    }
    case 'ended':
      return requireEnd(rollout, event)
    default:
      return unreachable(event)
  }
}

function requireStaged(rollout: Rollout, event: RolloutEvent): void {
  requireStatus(rollout, event, ['staging'])
  const counts = countSteps(rollout)
  check(rollout, event, counts.waiting + counts.assigned === 0, 'a step is not staged')
  const isWhole = sum(counts, [...FAILED, 'deferred']) === 0
  check(rollout, event, isWhole || !phaseOf(rollout).coordinated, 'a step is not staged')
}

function requirePassed(
  rollout: Rollout,
  event: Extract<RolloutEvent, { kind: 'batch-passed' | 'phase-passed' }>,
): void {
  requireStatus(rollout, event, ['running'])
  const phase = phaseOf(rollout)
  const need = (condition: boolean, why: string) => check(rollout, event, condition, why)
  need(rollout.pausedBy.length === 0, 'the rollout is paused')
  const isLast = rollout.batchIndex === phase.batches.length - 1
  need(
    isLast === (event.kind === 'phase-passed'),
    `batch ${rollout.batchIndex} is passed otherwise`,
  )
  requireBatchPassed(rollout, event)
  if (event.kind === 'batch-passed') return
  need(rollout.phaseIndex < rollout.plan.phases.length - 1, 'it is the last phase')
  const counts = countSteps(rollout)
  const isWhole = sum(counts, [...FAILED, 'deferred']) === 0
  need(isWhole || !phase.barrier, `phase ${phase.name} is not complete`)
}

function requireBatchPassed(rollout: Rollout, event: RolloutEvent): void {
  const { batchIndex, settledTimeMs } = rollout
  const phase = phaseOf(rollout)
  const batch = phase.batches[batchIndex]
  const need = (condition: boolean, why: string) => check(rollout, event, condition, why)
  need(openInReach(rollout) === 0, 'a step is not settled')
  const soakedMs = settledTimeMs === undefined ? -1 : event.timeMs - settledTimeMs
  need(soakedMs >= (batch?.soakMs ?? 0), 'the soak is not over')
  need(sum(countSteps(rollout), FAILED) <= phase.maxFailures, 'too many steps have failed')
  need(!rollout.gates.some(({ verdict }) => verdict === 'fail'), 'a gate has failed')
  const done = countSteps(rollout, batchIndex, batchIndex).done
  need(rollout.promoted || done > 0, 'no step of the batch is done')
}

function requireEnd(rollout: Rollout, event: Extract<RolloutEvent, { kind: 'ended' }>): void {
  requireStatus(rollout, event, ['running', 'draining'])
  const need = (condition: boolean, why: string) => check(rollout, event, condition, why)
  const counts = countSteps(rollout)
  need(sum(counts, IN_MOTION) === 0, 'a step is in motion')
  if (rollout.status === 'draining')
    return need(event.status === rollout.toward, `it drains toward ${rollout.toward}`)
  const { plan, phaseIndex } = rollout
  const isLast = phaseIndex === plan.phases.length - 1
  const isWhole = isLast && !rollout.incomplete && counts.done === total(counts)
  need(sum(counts, FAILED) <= phaseOf(rollout).maxFailures, 'it failed, so it drains first')
  need(openInReach(rollout) === 0, 'a step is not settled')
  need(event.status === (isWhole ? 'succeeded' : 'partial'), 'the steps say otherwise')
}

function openInReach(rollout: Rollout): number {
  return sum(countSteps(rollout, rollout.batchIndex), OPEN)
}

function requireStatus(
  rollout: Rollout,
  event: RolloutEvent,
  allowed: readonly RolloutStatus[],
): void {
  check(rollout, event, allowed.includes(rollout.status), `the rollout is ${rollout.status}`)
}

function check(rollout: RolloutId, event: RolloutEvent, condition: boolean, why: string): void {
  if (!condition) throw refuse(rollout, event, why)
}

export function refuse({ id }: RolloutId, event: RolloutEvent, why: string): IllegalTransition {
  const node = 'node' in event ? ` of ${event.node}` : ''
  return new IllegalTransition(`${event.kind}${node} is not allowed in ${id}: ${why}`)
}
