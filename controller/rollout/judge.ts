// What a node, as last seen, says about its step: one step in, its events out. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { FleetView, NodeView, Rollout, RolloutEvent, Step } from './rollout.ts'

/** A node that claimed its permit and then is silent for longer may or may not be at work. */
export const APPLY_MS_MAX = 600_000

/** Steps that hold no permit: assign, take note of staging, refuse, defer. */
export function judgeBeforePermit(
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
export function judgeMotion(rollout: Rollout, fleet: FleetView, atMs: number): RolloutEvent[] {
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

export function plannedSteps(rollout: Rollout): readonly Step[] {
  return rollout.plan.nodes.flatMap(({ node }) => rollout.steps[node] ?? [])
}

// Absent: the node was removed from the fleet since the plan.
export function viewOf(fleet: FleetView, node: string): NodeView | undefined {
  return Object.hasOwn(fleet.nodes, node) ? fleet.nodes[node] : undefined
}

// A report counts only for the document that the step published last.
function outcomeOf(step: Step, view: NodeView): NodeView['outcome'] {
  const isCurrent = step.generation !== undefined && step.generation === view.observedGeneration
  return isCurrent ? view.outcome : undefined
}

export function nextGeneration(step: Step, view: NodeView | undefined): number {
  return Math.max(view?.highestGeneration ?? 0, step.generation ?? 0) + 1
}

function reasonOf(view: NodeView): Reason {
  return view.reason ?? { code: 'no-reason', message: `the node reports ${view.outcome}` }
}

const OFFLINE: Reason = { code: 'offline', message: 'the agent is not connected' }
const REMOVED: Reason = { code: 'node-removed', message: 'the node was removed from the fleet' }
const SILENT: Reason = {
  code: 'silent',
  message: 'the agent claimed its permit and has not been heard of since',
}
