// What happens next in a rollout. Pure: the rollout, the fleet as last seen and the time in, events
// out. Nothing here is remembered; asking again after the events were folded in gives the rest.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { evolveAll, hasEnded, isFailure, isInMotion, isSettled } from './evolve.ts'
import type { FleetView, NodeView, Rollout, RolloutEvent, Step } from './rollout.ts'

/** A node that claimed its permit and then is silent for longer may or may not be at work. */
export const APPLY_MS_MAX = 600_000

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

/** Steps that hold no permit: assign, take note of staging, refuse, defer. */
function judgeBeforePermit(
  step: Step,
  view: NodeView | undefined,
  atMs: number,
): readonly RolloutEvent[] {
  const { node, state } = step
  if (state !== 'waiting' && state !== 'assigned' && state !== 'staged') return []
  if (view === undefined) return [{ kind: 'node-deferred', node, reason: REMOVED, atMs }]
  const outcome = outcomeOf(step, view)
  if (outcome === 'failed' || outcome === 'unsupported' || outcome === 'restored') {
    return [{ kind: 'node-refused', node, reason: reasonOf(view), atMs }]
  }
  if (outcome === 'waiting' && view.inactive) {
    return [{ kind: 'node-deferred', node, reason: reasonOf(view), atMs }]
  }
  const isReady = outcome === 'staged' || outcome === 'in-sync' || outcome === 'changed'
  if (state === 'assigned' && isReady) return [{ kind: 'node-staged', node, atMs }]
  if (!view.online) return [{ kind: 'node-deferred', node, reason: OFFLINE, atMs }]
  if (state !== 'waiting') return []
  return [{ kind: 'node-assigned', node, generation: nextGeneration(step, view), atMs }]
}

/** Steps that hold a permit, or broke: what their reports and their silence say. */
function judgeMotion(rollout: Rollout, fleet: FleetView, atMs: number): RolloutEvent[] {
  return plannedSteps(rollout).flatMap(step => {
    const view = viewOf(fleet, step.node)
    switch (step.state) {
      case 'permitted':
        return judgePermitted(step, view, atMs)
      case 'applying':
      case 'suspect':
        return judgeApplying(step, view, atMs)
      case 'broken':
        return view === undefined ? [] : judgeOutcome(step, view, atMs)
      case 'waiting':
      case 'assigned':
      case 'staged':
      case 'done':
      case 'reverted':
      case 'refused':
      case 'deferred':
      case 'skipped':
        return []
      default:
        return unreachable(step.state)
    }
  })
}

function judgePermitted(
  step: Step,
  view: NodeView | undefined,
  atMs: number,
): readonly RolloutEvent[] {
  const { node } = step
  const takeBack = (reason: Reason): readonly RolloutEvent[] => [
    { kind: 'permit-withdrawn', node, generation: nextGeneration(step, view), reason, atMs },
    { kind: 'node-deferred', node, reason, atMs },
  ]
  if (view === undefined) return takeBack(REMOVED)
  const judged = judgeOutcome(step, view, atMs)
  if (judged.length > 0) return judged
  const outcome = outcomeOf(step, view)
  if (outcome === 'failed' || outcome === 'unsupported') {
    const kind = view.broken ? 'node-broken' : 'node-refused'
    return [{ kind, node, reason: reasonOf(view), atMs }]
  }
  if (outcome === 'waiting' && view.inactive) return takeBack(reasonOf(view))
  return view.online ? [] : takeBack(OFFLINE)
}

// A node that was removed can never tell how it ended, and no permit may wait for it for ever.
function judgeApplying(
  step: Step,
  view: NodeView | undefined,
  atMs: number,
): readonly RolloutEvent[] {
  const { node } = step
  if (view === undefined) return [{ kind: 'node-broken', node, reason: REMOVED, atMs }]
  const judged = judgeOutcome(step, view, atMs)
  if (judged.length > 0) return judged
  const outcome = outcomeOf(step, view)
  if (outcome === 'failed' || outcome === 'unsupported') {
    return [{ kind: 'node-broken', node, reason: reasonOf(view), atMs }]
  }
  // It claimed and was stopped before it switched: nothing has changed, and nothing will until its
  // operator starts it, which neither the rollout nor an abort can wait for.
  if (outcome === 'waiting' && view.inactive) {
    return [{ kind: 'node-reverted', node, reason: reasonOf(view), atMs }]
  }
  const isSilent = step.state === 'applying' && view.silentMs > APPLY_MS_MAX
  return isSilent ? [{ kind: 'node-suspected', node, reason: SILENT, atMs }] : []
}

/** The two good ends: on the new content, or back on the old one. */
function judgeOutcome(step: Step, view: NodeView, atMs: number): readonly RolloutEvent[] {
  const outcome = outcomeOf(step, view)
  if (outcome === 'in-sync' || outcome === 'changed') {
    return [{ kind: 'node-done', node: step.node, atMs }]
  }
  if (outcome !== 'restored') return []
  return [{ kind: 'node-reverted', node: step.node, reason: reasonOf(view), atMs }]
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

function plannedSteps(rollout: Rollout): readonly Step[] {
  return rollout.plan.nodes.flatMap(({ node }) => rollout.steps[node] ?? [])
}

// Absent: the node was removed from the fleet since the plan.
function viewOf(fleet: FleetView, node: string): NodeView | undefined {
  return Object.hasOwn(fleet.nodes, node) ? fleet.nodes[node] : undefined
}

// A report counts only for the document that the step published last.
function outcomeOf(step: Step, view: NodeView): NodeView['outcome'] {
  const isCurrent = step.generation !== undefined && step.generation === view.observedGeneration
  return isCurrent ? view.outcome : undefined
}

function nextGeneration(step: Step, view: NodeView | undefined): number {
  return Math.max(view?.highestGeneration ?? 0, step.generation ?? 0) + 1
}

function reasonOf(view: NodeView): Reason {
  return view.reason ?? { code: 'no-reason', message: `the node reports ${view.outcome}` }
}

function refusal(code: string, message: string): Refusal {
  return { kind: 'refused', reason: { code, message } }
}

const OFFLINE: Reason = { code: 'offline', message: 'the agent is not connected' }
const REMOVED: Reason = { code: 'node-removed', message: 'the node was removed from the fleet' }
const SILENT: Reason = {
  code: 'silent',
  message: 'the agent claimed its permit and has not been heard of since',
}
const DRAINING: Reason = { code: 'draining', message: 'the rollout is being stopped' }
