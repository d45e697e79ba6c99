// What operators and agents ask of a rollout, as events, or why it is refused. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { SectionAct } from '../../shared/contract/agent-api.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { paused } from './batches.ts'
import { mayLease } from './budget.ts'
import { drain } from './decide.ts'
import { evolveAll, hasEnded, IllegalTransition } from './evolve.ts'
import { togetherIn } from './permits.ts'
import type { FleetView, Now, Rollout, RolloutEvent, Step } from './rollout.ts'
import { heldBefore } from './section.ts'
import { phaseOf, stepOf } from './steps.ts'

export type RolloutCommand =
  | {
      readonly kind: 'claim'
      readonly node: string
      readonly generation: number
      readonly sequence?: number | undefined
      /** In a coordinated phase: what it would do next. */
      readonly act?: SectionAct | undefined
    }
  | { readonly kind: 'approve'; readonly by: string }
  | { readonly kind: 'start' }
  | { readonly kind: 'pause'; readonly reason: Reason }
  | { readonly kind: 'resume' }
  | { readonly kind: 'promote'; readonly by: string }
  | { readonly kind: 'abort'; readonly reason: Reason }
  | { readonly kind: 'supersede'; readonly reason: Reason }
  | { readonly kind: 'skip'; readonly node: string; readonly reason: Reason }
  | { readonly kind: 'force-release'; readonly node: string; readonly reason: Reason }

export interface Refusal {
  readonly kind: 'refused'
  readonly reason: Reason
}

export function isRefusal(answer: readonly RolloutEvent[] | Refusal): answer is Refusal {
  return 'kind' in answer
}

// How long an answer to a claim may be on its way.
const REQUEST_TIMEOUT_MS = 60_000

/** Events (none: it holds already), or why it is refused. */
export function request(
  rollout: Rollout,
  command: RolloutCommand,
  fleet: FleetView,
  now: Now,
): readonly RolloutEvent[] | Refusal {
  if (command.kind === 'claim') return requestClaim(rollout, command, fleet, now)
  const asked = answer(rollout, command, fleet, now)
  if (isRefusal(asked)) return asked
  try {
    evolveAll(rollout, asked)
    return asked
  } catch (error) {
    if (!(error instanceof IllegalTransition)) throw error
    return refusal('illegal-transition', error.message)
  }
}

function answer(
  rollout: Rollout,
  command: Exclude<RolloutCommand, { kind: 'claim' }>,
  fleet: FleetView,
  now: Now,
): readonly RolloutEvent[] | Refusal {
  switch (command.kind) {
    case 'approve':
      return [{ kind: 'approved', by: command.by, ...now }]
    case 'start':
      return fleet.frozen === undefined
        ? [{ kind: 'started', ...now }]
        : { kind: 'refused', reason: fleet.frozen }
    case 'pause':
      if (rollout.pausedBy.includes('manual')) return []
      return paused(rollout, fleet, 'manual', command.reason, now)
    case 'resume':
      return requestResume(rollout, now)
    case 'promote':
      return [
        { kind: isUnacknowledged(rollout) ? ACKNOWLEDGED : 'promoted', by: command.by, ...now },
      ]
    case 'abort':
      return requestDrain(rollout, { toward: 'aborted', reason: command.reason }, fleet, now)
    case 'supersede':
      return requestDrain(rollout, { toward: 'superseded', reason: command.reason }, fleet, now)
    case 'skip':
      return [{ kind: 'node-skipped', node: command.node, reason: command.reason, ...now }]
    case 'force-release':
      return requestForce(rollout, command, now)
    default:
      return unreachable(command)
  }
}

const ACKNOWLEDGED = 'downtime-acknowledged'

// What is promoted first in a coordinated phase is its downtime.
function isUnacknowledged(rollout: Rollout): boolean {
  const { acknowledgedBy, status } = rollout
  return status === 'running' && acknowledgedBy === undefined && phaseOf(rollout).coordinated
}

function requestClaim(
  rollout: Rollout,
  { node, generation, sequence, act }: Extract<RolloutCommand, { kind: 'claim' }>,
  fleet: FleetView,
  now: Now,
): readonly RolloutEvent[] | Refusal {
  const step = stepOf(rollout, node)
  if (step === undefined) return refusal('not-in-rollout', `${node} is not in ${rollout.id}`)
  if (step.generation !== generation) {
    const current = step.generation === undefined ? 'none' : `${step.generation}`
    const message = `generation ${generation} is not the current one of ${node}, which is ${current}`
    return refusal('permit-stale', message)
  }
  switch (step.state) {
    case 'permitted': {
      if (rollout.status !== 'running') break
      if (rollout.pausedBy.length > 0)
        return refusal('paused', `${rollout.id} is paused (${rollout.pausedBy.join(', ')})`)
      if (fleet.frozen !== undefined) return { kind: 'refused', reason: fleet.frozen }
      const together = togetherIn(rollout)
      const held = mayLease({ node, ...(together === undefined ? {} : { together }) }, fleet)
      if (held !== undefined) return { kind: 'refused', reason: held }
      return [{ kind: 'permit-claimed', node, generation, sequence, ...now }]
    }
    // The answer to the first claim may have been lost; and what holds its permit may go on.
    case 'applying':
    case 'suspect': {
      if (act !== undefined) return held(step, act, now)
      const isAnew = sequence !== undefined && sequence < (step.claimSequence ?? 0)
      const mayChange = rollout.status === 'running' && rollout.pausedBy.length === 0
      const again: RolloutEvent = { kind: 'permit-claimed', node, generation, sequence, ...now }
      return isAnew && mayChange ? [again] : []
    }
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

// How far the node is, said once.
function held(step: Step, act: SectionAct, now: Now): readonly RolloutEvent[] {
  const at = heldBefore(act)
  const isNews = step.held !== at || step.state === 'suspect'
  return isNews ? [{ kind: 'node-held', node: step.node, at, ...now }] : []
}

function requestResume({ pausedBy }: Rollout, now: Now): readonly RolloutEvent[] | Refusal {
  const causes = pausedBy.filter(cause => cause !== 'frozen')
  if (causes.length > 0) return causes.map(cause => ({ kind: 'resumed', cause, ...now }))
  if (pausedBy.length === 0) return []
  return refusal('frozen', 'it is frozen, and goes on by itself when the freeze is lifted')
}

function requestDrain(
  rollout: Rollout,
  end: { readonly toward: 'aborted' | 'superseded'; readonly reason: Reason },
  fleet: FleetView,
  now: Now,
): readonly RolloutEvent[] | Refusal {
  if (rollout.status === end.toward || rollout.toward === end.toward) return []
  if (rollout.status === 'draining' || hasEnded(rollout)) {
    const verb = end.toward
    return refusal('illegal-transition', `${rollout.id} cannot be ${verb}: it is ${rollout.status}`)
  }
  return drain(rollout, fleet, end, now)
}

function requestForce(
  rollout: Rollout,
  { node, reason }: Extract<RolloutCommand, { kind: 'force-release' }>,
  now: Now,
): readonly RolloutEvent[] | Refusal {
  const step = stepOf(rollout, node)
  if (step?.state !== 'suspect' && step?.state !== 'broken')
    return refusal('illegal-transition', `the step of ${node} is ${step?.state ?? 'in no rollout'}`)
  // A suspect one has been silent for as long as an apply may take already.
  const silentMs = step.state === 'suspect' ? 0 : rollout.plan.settings.applyMsMax
  const leftMs = step.timeMs + silentMs + REQUEST_TIMEOUT_MS - now.timeMs
  if (leftMs > 0) {
    const message = `${node} may still be at work; its lease can be taken in ${Math.ceil(leftMs / 1000)} s`
    return refusal('too-early', message)
  }
  return [{ kind: 'lease-forced', node, reason, ...now }]
}

function refusal(code: string, message: string): Refusal {
  return { kind: 'refused', reason: { code, message } }
}
