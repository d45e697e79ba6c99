// What a node, as last seen, says about its step: one step in, its events out. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { FleetView, NodeView, Now, Rollout, RolloutEvent, Step, Vantage } from './rollout.ts'
import { markedStepsIn, phaseOf, plannedOf, stepsIn } from './steps.ts'

/** Steps that hold no permit: assign, take note of staging, refuse, defer. */
export function judgeBeforePermit(
  rollout: Rollout,
  step: Step,
  view: NodeView | undefined,
  now: Now,
): readonly RolloutEvent[] {
  const { node, state } = step
  if (state !== 'waiting' && state !== 'assigned' && state !== 'staged') return []
  if (view === undefined) return defer(rollout, step, REMOVED, now)
  const outcome = outcomeOf(step, view)
  if (isRefusal(step, outcome)) {
    return [{ kind: 'node-refused', node, reason: reasonOf(view), ...now }]
  }
  if (outcome === 'waiting' && view.inactive) return defer(rollout, step, reasonOf(view), now)
  const isReady = outcome === 'staged' || outcome === 'in-sync' || outcome === 'changed'
  if (state === 'assigned' && isReady) return [{ kind: 'node-staged', node, ...now }]
  if (!view.online) return defer(rollout, step, OFFLINE, now)
  if (state !== 'waiting') return []
  return [{ kind: 'node-assigned', node, generation: nextGeneration(step, view), ...now }]
}

// What a waiting node reports is about a document of before.
function isRefusal({ state }: Step, outcome: NodeView['outcome']): boolean {
  const isBad = outcome === 'failed' || outcome === 'unsupported' || outcome === 'restored'
  return isBad && state !== 'waiting'
}

// A group that is stopped as a whole waits for every node.
function defer(
  rollout: Rollout,
  { node }: Step,
  reason: Reason,
  now: Now,
): readonly RolloutEvent[] {
  return phaseOf(rollout).coordinated ? [] : [{ kind: 'node-deferred', node, reason, ...now }]
}

/** Deferred nodes that are there again, so many at most. */
export function judgeDeferred(
  rollout: Rollout,
  fleet: FleetView,
  now: Now,
  most: number,
): readonly RolloutEvent[] {
  const events: RolloutEvent[] = []
  for (const step of markedStepsIn(rollout, fleet.ripe, ['deferred'])) {
    if (events.length >= most) break
    if (isBack(viewOf(fleet, step.node)))
      events.push({ kind: 'node-returned', node: step.node, ...now })
  }
  return events
}

/** What it said last, of whatever document: a permit that was taken back says nothing new. */
export function isBack(view: NodeView | undefined): boolean {
  return view?.online === true && !view.inactive
}

/** Steps that hold a permit, or broke: what their reports and their silence say. */
export function judgeMotion(rollout: Rollout, fleet: FleetView, now: Now): RolloutEvent[] {
  const events: RolloutEvent[] = []
  for (const step of stepsIn(rollout, MOVING)) {
    const view = viewOf(fleet, step.node)
    const at = { now, vantage: vantageOn(fleet, view) }
    if (step.state === 'permitted') events.push(...judgePermitted(rollout, step, view, at))
    else if (step.state !== 'broken') events.push(...judgeApplying(rollout, step, view, at))
    else if (view !== undefined) events.push(...judgeOutcome(rollout, step, view, at))
  }
  return events
}

interface Moment {
  readonly now: Now
  readonly vantage: Vantage | undefined
}

function vantageOn({ vantageOf }: FleetView, view: NodeView | undefined): Vantage | undefined {
  const generation = view?.observedGeneration
  return view === undefined || generation === undefined
    ? undefined
    : vantageOf?.(view.node, generation)
}

/** States that are judged by what nodes say, and by how long they say nothing. */
export const MOVING = ['permitted', 'applying', 'suspect', 'broken'] as const

function judgePermitted(
  rollout: Rollout,
  step: Step,
  view: NodeView | undefined,
  { now, vantage }: Moment,
): readonly RolloutEvent[] {
  const { node } = step
  const takeBack = (reason: Reason): readonly RolloutEvent[] => {
    const generation = nextGeneration(step, view)
    const withdrawn = { kind: 'permit-withdrawn', node, generation, reason, ...now } as const
    return [withdrawn, ...defer(rollout, step, reason, now)]
  }
  if (view === undefined) return takeBack(REMOVED)
  const judged = judgeOutcome(rollout, step, view, { vantage, now })
  if (judged.length > 0) return judged
  const outcome = outcomeOf(step, view)
  if (outcome === 'failed' || outcome === 'unsupported') {
    const kind = view.broken ? 'node-broken' : 'node-refused'
    return [{ kind, node, reason: reasonOf(view), ...now }]
  }
  if (outcome === 'waiting' && view.inactive) return takeBack(reasonOf(view))
  if (!view.online) return takeBack(OFFLINE)
  const { permitTtlMs } = rollout.plan.settings
  const isStale = step.healthyTimeMs === undefined && now.timeMs - step.timeMs >= permitTtlMs
  if (!isStale) return []
  const generation = nextGeneration(step, view)
  return [{ kind: 'permit-withdrawn', node, generation, reason: UNCLAIMED, ...now }]
}

// A node that was removed can never tell how it ended, and no permit may wait for it for ever.
function judgeApplying(
  rollout: Rollout,
  step: Step,
  view: NodeView | undefined,
  { now, vantage }: Moment,
): readonly RolloutEvent[] {
  const { node } = step
  if (view === undefined) return [{ kind: 'node-broken', node, reason: REMOVED, ...now }]
  const judged = judgeOutcome(rollout, step, view, { vantage, now })
  if (judged.length > 0) return judged
  const outcome = outcomeOf(step, view)
  if (outcome === 'failed' || outcome === 'unsupported') {
    return [{ kind: 'node-broken', node, reason: reasonOf(view), ...now }]
  }
  // It claimed and was stopped before it switched: nothing has changed, and nothing will until its
  // operator starts it, which neither the rollout nor an abort can wait for.
  if (outcome === 'waiting' && view.inactive) {
    return [{ kind: 'node-reverted', node, reason: reasonOf(view), ...now }]
  }
  const { applyMsMax } = rollout.plan.settings
  const isSilent = step.state === 'applying' && view.silentMs > applyMsMax
  return isSilent ? [{ kind: 'node-suspected', node, reason: SILENT, ...now }] : []
}

/** The two good ends: on the new content and well for long enough, or back on the old one. */
function judgeOutcome(
  rollout: Rollout,
  step: Step,
  view: NodeView,
  { now, vantage }: Moment,
): readonly RolloutEvent[] {
  const { node, healthyTimeMs } = step
  const outcome = outcomeOf(step, view)
  if (outcome === 'restored') {
    return [{ kind: 'node-reverted', node, reason: reasonOf(view), ...now }]
  }
  if (outcome !== 'in-sync' && outcome !== 'changed') return []
  const { minHealthyMs } = rollout.plan.settings
  // A node's own word is never the only evidence.
  const sight = sightOf(rollout, view.node, vantage)
  const isDoubtful = sight.kind === 'contradicted' || sight.kind === 'unclear'
  // Why it broke stays said for as long as others see it so.
  if (isDoubtful && step.state === 'broken') return []
  const isWatched = minHealthyMs > 0 || isDoubtful
  if (isWatched && healthyTimeMs === undefined) return [{ kind: 'node-healthy', node, ...now }]
  const watchedMs = now.timeMs - (healthyTimeMs ?? now.timeMs)
  if (sight.kind === 'contradicted') {
    if (watchedMs < CONTRADICTION_GRACE_MS) return []
    return [
      { kind: 'node-broken', node, reason: contradicted(rollout, node, vantage?.reason), ...now },
    ]
  }
  if (sight.kind !== 'proven' || watchedMs < minHealthyMs) return []
  const { lacking } = sight
  return [{ kind: 'node-done', node, ...(lacking && { reason: lacking }), ...now }]
}

// A process that was just restarted may be seen a moment too early, or through a connection of before.
const CONTRADICTION_GRACE_MS = 10_000

type Sight =
  /** `lacking`: what there is no proof of, for want of somebody to ask. */
  | { readonly kind: 'proven'; readonly lacking: Reason | undefined }
  | { readonly kind: 'awaited' | 'contradicted' | 'unclear' }

/** What other nodes see of one that reports the new content. */
function sightOf(rollout: Rollout, node: string, vantage: Vantage | undefined): Sight {
  // What was promoted, or is being stopped, does not wait for what nobody may ever see.
  const isExcused = rollout.promoted || rollout.status === 'draining'
  if (vantage === undefined) return { kind: 'proven', lacking: undefined }
  switch (vantage.kind) {
    case 'agrees':
      return { kind: 'proven', lacking: undefined }
    case 'none':
      return { kind: 'proven', lacking: vantage.reason ?? ALONE }
    case 'pending':
      return { kind: 'awaited' }
    case 'disagrees':
      return { kind: 'contradicted' }
    case 'unreachable': {
      if (rollout.baseline?.unseen.includes(node) === true)
        return { kind: 'proven', lacking: unseen('nor could they before', vantage.reason) }
      return isExcused
        ? { kind: 'proven', lacking: unseen('and nobody waits for it', vantage.reason) }
        : { kind: 'unclear' }
    }
    default:
      return unreachable(vantage.kind)
  }
}

function unseen(why: string, reason: Reason | undefined): Reason {
  const detail = reason === undefined ? '' : ` (${reason.message})`
  return {
    code: 'no-second-vantage',
    message: `no second vantage: other nodes cannot reach it, ${why}${detail}`,
  }
}

function contradicted(rollout: Rollout, node: string, found: Reason | undefined): Reason {
  const services = plannedOf(rollout, node)?.content.services.map(({ service }) => service) ?? []
  const detail = found === undefined ? '' : `: ${found.message}`
  const message = `${node} reports success, but ${services.join(', ')} looks otherwise from another node${detail}`
  return { code: 'contradicted', message }
}

/** Who was seen before, says that all is well, and cannot be seen by anybody: neither a pass nor a failure. */
export function unclearFor(rollout: Rollout, fleet: FleetView, now: Now): Reason | undefined {
  for (const step of stepsIn(rollout, ['permitted', 'applying', 'suspect'])) {
    if (step.healthyTimeMs === undefined) continue
    const vantage = vantageOn(fleet, viewOf(fleet, step.node))
    const sinceMs = Math.max(step.healthyTimeMs, rollout.progressTimeMs)
    const isUnclear = sightOf(rollout, step.node, vantage).kind === 'unclear'
    if (!isUnclear || now.timeMs - sinceMs < UNCLEAR_MS) continue
    const detail = vantage?.reason === undefined ? '' : `: ${vantage.reason.message}`
    const message = `${step.node} reports success, but no other node can reach it any more${detail}`
    return { code: 'vantage-unreachable', message }
  }
  return undefined
}

// Several looks, by several nodes where there are several.
const UNCLEAR_MS = 60_000

// Absent: the node was removed from the fleet since the plan.
export function viewOf(fleet: FleetView, node: string): NodeView | undefined {
  return fleet.nodes.get(node)
}

// A report counts only for the document that the step published last.
function outcomeOf(step: Step, view: NodeView): NodeView['outcome'] {
  const isCurrent = step.generation !== undefined && step.generation === view.observedGeneration
  // What was on its way when the permit was claimed says nothing of how it went.
  const isOld = (view.sequence ?? 0) <= (step.claimSequence ?? -1)
  return isCurrent && !isOld ? view.outcome : undefined
}

export function nextGeneration(step: Step, view: NodeView | undefined): number {
  return Math.max(view?.highestGeneration ?? 0, step.generation ?? 0) + 1
}

function reasonOf(view: NodeView): Reason {
  return view.reason ?? { code: 'no-reason', message: `the node reports ${view.outcome}` }
}

const ALONE: Reason = {
  code: 'no-second-vantage',
  message: 'no second vantage: no other agent is there to look',
}
const OFFLINE: Reason = { code: 'offline', message: 'the agent is not connected' }
const REMOVED: Reason = { code: 'node-removed', message: 'the node was removed from the fleet' }
const SILENT: Reason = {
  code: 'silent',
  message: 'the agent claimed its permit and has not been heard of since',
}
const UNCLAIMED: Reason = {
  code: 'permit-unclaimed',
  message: 'the agent did not claim its permit in time',
}
