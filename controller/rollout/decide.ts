// What happens next in a rollout. Pure: the rollout, the fleet as last seen and the time in, events
// out. Nothing here is remembered; asking again after the events were folded in gives the rest.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { evolveAll, hasEnded, isFailure, isInMotion, isSettled } from './evolve.ts'
import { judgeBeforePermit, judgeMotion, nextGeneration, plannedSteps, viewOf } from './judge.ts'
import type { FleetView, Rollout, RolloutEvent } from './rollout.ts'

// Bounds the transaction that stores the events; the rest is assigned by the next decision.
const ASSIGNMENTS_MAX = 256

// The longest message that a Reason may carry, less room for the name of the node.
const MESSAGE_LENGTH_MAX = 3_800

export type RolloutCommand =
  | { readonly kind: 'claim'; readonly node: string; readonly generation: number }
  | { readonly kind: 'abort'; readonly reason: Reason }

export interface Refusal {
  readonly kind: 'refused'
  readonly reason: Reason
}

/** What follows from the fleet as last observed. Empty when nothing is to be done. */
export function decide(rollout: Rollout, fleet: FleetView, nowMs: number): readonly RolloutEvent[] {
  switch (rollout.status) {
    case 'planned':
      return [{ kind: 'started', atMs: nowMs }]
    case 'staging':
      return decideStaging(rollout, fleet, nowMs)
    case 'running':
      return decideRunning(rollout, fleet, nowMs)
    case 'draining':
      return decideDraining(rollout, fleet, nowMs)
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

/** An operator's or an agent's request as events (none: it holds already), or why it is refused. */
export function request(
  rollout: Rollout,
  command: RolloutCommand,
  fleet: FleetView,
  nowMs: number,
): readonly RolloutEvent[] | Refusal {
  switch (command.kind) {
    case 'claim':
      return requestClaim(rollout, command, nowMs)
    case 'abort':
      return requestAbort(rollout, command.reason, fleet, nowMs)
    default:
      return unreachable(command)
  }
}

function decideStaging(rollout: Rollout, fleet: FleetView, atMs: number): readonly RolloutEvent[] {
  const events: RolloutEvent[] = []
  let assignments = 0
  for (const step of plannedSteps(rollout)) {
    const view = viewOf(fleet, step.node)
    if (step.state === 'waiting' && view?.online === true && assignments++ >= ASSIGNMENTS_MAX)
      continue
    events.push(...judgeBeforePermit(step, view, atMs))
  }
  const next = evolveAll(rollout, events)
  const drain = drainAfterFailure(next, fleet, atMs)
  if (drain.length > 0) return [...events, ...drain]
  const isStaged = Object.values(next.steps).every(
    step => step.state === 'staged' || isSettled(step),
  )
  return isStaged ? [...events, { kind: 'staged', atMs }] : events
}

function decideRunning(rollout: Rollout, fleet: FleetView, atMs: number): readonly RolloutEvent[] {
  const events = judgeMotion(rollout, fleet, atMs)
  const moved = evolveAll(rollout, events)
  const drain = drainAfterFailure(moved, fleet, atMs)
  if (drain.length > 0) return [...events, ...drain]
  if (Object.values(moved.steps).some(isInMotion)) return events

  const permit = permitNext(moved, fleet, atMs)
  events.push(...permit)
  const next = evolveAll(moved, permit)
  const drainAtLast = drainAfterFailure(next, fleet, atMs)
  if (drainAtLast.length > 0) return [...events, ...drainAtLast]
  const steps = Object.values(next.steps)
  if (!steps.every(isSettled)) return events
  const status = steps.every(step => step.state === 'done') ? 'succeeded' : 'partial'
  return [...events, ...releases(next, fleet, atMs), { kind: 'ended', status, atMs }]
}

function decideDraining(rollout: Rollout, fleet: FleetView, atMs: number): readonly RolloutEvent[] {
  const judged = judgeMotion(rollout, fleet, atMs)
  const events = [...judged, ...withdrawals(evolveAll(rollout, judged), fleet, DRAINING, atMs)]
  const next = evolveAll(rollout, events)
  if (Object.values(next.steps).some(isInMotion)) return events
  const { toward } = next
  // No event leads toward superseded yet.
  if (toward !== 'failed' && toward !== 'aborted') return events
  return [...events, ...releases(next, fleet, atMs), { kind: 'ended', status: toward, atMs }]
}

/** The first staged node in plan order that can take a permit, and those before it that cannot. */
function permitNext(rollout: Rollout, fleet: FleetView, atMs: number): readonly RolloutEvent[] {
  const events: RolloutEvent[] = []
  for (const step of plannedSteps(rollout)) {
    if (step.state !== 'staged') continue
    const view = viewOf(fleet, step.node)
    const hindrance = judgeBeforePermit(step, view, atMs)
    events.push(...hindrance)
    if (hindrance.some(event => event.kind === 'node-refused')) return events
    if (hindrance.length > 0) continue
    const generation = nextGeneration(step, view)
    events.push({ kind: 'node-permitted', node: step.node, generation, atMs })
    return events
  }
  return events
}

function drainAfterFailure(
  rollout: Rollout,
  fleet: FleetView,
  atMs: number,
): readonly RolloutEvent[] {
  const failed = plannedSteps(rollout).find(isFailure)
  if (failed === undefined) return []
  const message = failed.reason?.message.slice(0, MESSAGE_LENGTH_MAX) ?? 'no reason given'
  const reason = { code: `node-${failed.state}`, message: `${failed.node}: ${message}` }
  return drain(rollout, fleet, { toward: 'failed', reason }, atMs)
}

// Permits are withdrawn by the same append: none can be claimed once draining is stored.
function drain(
  rollout: Rollout,
  fleet: FleetView,
  { toward, reason }: { readonly toward: 'failed' | 'aborted'; readonly reason: Reason },
  atMs: number,
): readonly RolloutEvent[] {
  return [{ kind: 'draining', toward, reason, atMs }, ...withdrawals(rollout, fleet, reason, atMs)]
}

function withdrawals(
  rollout: Rollout,
  fleet: FleetView,
  reason: Reason,
  atMs: number,
): readonly RolloutEvent[] {
  return plannedSteps(rollout)
    .filter(step => step.state === 'permitted')
    .map(step => {
      const generation = nextGeneration(step, viewOf(fleet, step.node))
      return { kind: 'permit-withdrawn', node: step.node, generation, reason, atMs }
    })
}

/** Every node that was given something and is neither done nor broken gets its old content back. */
function releases(rollout: Rollout, fleet: FleetView, atMs: number): readonly RolloutEvent[] {
  return plannedSteps(rollout).flatMap(step => {
    const view = viewOf(fleet, step.node)
    const keeps = step.state === 'done' || step.state === 'broken'
    if (keeps || step.generation === undefined || view === undefined) return []
    const generation = nextGeneration(step, view)
    return [{ kind: 'node-released' as const, node: step.node, generation, atMs }]
  })
}

function requestClaim(
  rollout: Rollout,
  { node, generation }: { readonly node: string; readonly generation: number },
  atMs: number,
): readonly RolloutEvent[] | Refusal {
  const step = Object.hasOwn(rollout.steps, node) ? rollout.steps[node] : undefined
  if (step === undefined) return refusal('not-in-rollout', `${node} is not in ${rollout.id}`)
  if (step.generation !== generation) {
    const current = step.generation === undefined ? 'none' : `${step.generation}`
    const message = `generation ${generation} is not the current one of ${node}, which is ${current}`
    return refusal('permit-stale', message)
  }
  switch (step.state) {
    case 'permitted':
      if (rollout.status !== 'running') break
      return [{ kind: 'permit-claimed', node, generation, atMs }]
    // The answer to the first claim may have been lost; and what holds its permit may go on.
    case 'applying':
    case 'suspect':
    case 'broken':
    case 'done':
      return []
    case 'waiting':
    case 'assigned':
    case 'staged':
    case 'reverted':
    case 'refused':
    case 'deferred':
    case 'skipped':
      break
    default:
      return unreachable(step.state)
  }
  return refusal('not-permitted', `${node} has no permit: its step is ${step.state}`)
}

function requestAbort(
  rollout: Rollout,
  reason: Reason,
  fleet: FleetView,
  atMs: number,
): readonly RolloutEvent[] | Refusal {
  if (rollout.status === 'aborted' || rollout.toward === 'aborted') return []
  if (rollout.status === 'draining' || hasEnded(rollout)) {
    return refusal('illegal-transition', `${rollout.id} cannot be aborted: it is ${rollout.status}`)
  }
  return drain(rollout, fleet, { toward: 'aborted', reason }, atMs)
}

function refusal(code: string, message: string): Refusal {
  return { kind: 'refused', reason: { code, message } }
}

const DRAINING: Reason = { code: 'draining', message: 'the rollout is being stopped' }
