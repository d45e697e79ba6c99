// What happens next in a rotation. Pure: the rotation and the world as last seen in, events or one
// act on a rollout out. Nothing is remembered here; asking again after the act gives the rest.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { RolloutStatus } from '../rollout/rollout.ts'
import { asksOthers, isMoving, phaseAfter } from './evolve.ts'
import { isOpen, type Rotation, type RotationEvent, type RotationView } from './rotation.ts'

export type Decision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'events'; readonly events: readonly RotationEvent[] }
  /** Of the phase, for all nodes that are not there yet. */
  | { readonly kind: 'start-rollout' }
  /** It brings about what is not wanted any more. */
  | { readonly kind: 'abort-rollout'; readonly rollout: string; readonly reason: Reason }

export type RotationCommand =
  | { readonly kind: 'advance'; readonly reason: Reason }
  | { readonly kind: 'resume'; readonly reason: Reason }
  | { readonly kind: 'abort'; readonly reason: Reason }
  | { readonly kind: 'taint'; readonly reason: Reason }

export interface Refusal {
  readonly kind: 'refused'
  readonly reason: Reason
}

const NOTHING: Decision = { kind: 'nothing' }
const CONTROLLER = 'controller'

export function decide(rotation: Rotation, view: RotationView, atMs: number): Decision {
  if (!isOpen(rotation)) return NOTHING
  const by = { atMs, actor: CONTROLLER }
  const { rollout } = view
  if (rollout !== undefined && !isMoving(rotation) && !hasEnded(rollout.status))
    return events({ kind: 'rollout-started', rollout: rollout.id, ...by })
  if (isMoving(rotation)) return decideMoving(rotation, view, atMs)
  if (rotation.stopped !== undefined) return NOTHING
  if (view.movable > 0) return isPausing(rotation, atMs) ? NOTHING : { kind: 'start-rollout' }
  if (view.barrier.verdict !== 'holds' || needsConfirmation(rotation)) return NOTHING

  const next = phaseAfter(rotation)
  if (next !== undefined)
    return events({ kind: 'entered', phase: next, reason: reasonToEnter(rotation), ...by })
  const status = rotation.direction === 'forward' ? 'completed' : 'reversed'
  return events({ kind: 'ended', status, ...by })
}

/** An operator's request as events (none: it holds already), or why it is refused. */
export function request(
  rotation: Rotation,
  command: RotationCommand,
  given: { readonly actor: string; readonly atMs: number; readonly wasPermitted: boolean },
): readonly RotationEvent[] | Refusal {
  const { id, status, direction, phase, stopped } = rotation
  const by = { actor: given.actor, atMs: given.atMs, reason: command.reason }
  if (!isOpen(rotation)) return refusal(`${id} has ended: it is ${status}`)
  switch (command.kind) {
    case 'advance':
      if (!mayNeedConfirmation(rotation))
        return refusal(`${id} waits for no confirmation in ${phase}: it goes on by itself`)
      if (!needsConfirmation(rotation) || rotation.confirmedBy.includes(given.actor)) return []
      if (asksOthers(rotation) && given.actor === rotation.author) return refuseAuthor(rotation)
      return [{ kind: 'confirmed', ...by }]
    case 'resume':
      return stopped === undefined ? [] : [{ kind: 'resumed', ...by }]
    case 'abort':
      if (direction === 'reverse') return []
      if (phase === 'deny') return refusal(`${id} cannot be taken back: the old CA is denied`)
      if (phase === 'retire' && given.wasPermitted)
        return refusal(
          `${id} cannot be taken back: the first node was permitted to drop the old CA; let it end, and rotate anew`,
        )
      return [{ kind: 'reversed', ...by }]
    case 'taint':
      return rotation.isTainted ? [] : [{ kind: 'tainted', ...by }]
    default:
      return unreachable(command)
  }
}

/** Would this phase wait for an operator although its barrier holds? */
export function needsConfirmation(rotation: Rotation): boolean {
  return missingConfirmations(rotation) > 0
}

/** Operators whose confirmation the next phase lacks. */
export function missingConfirmations(rotation: Rotation): number {
  if (!mayNeedConfirmation(rotation)) return 0
  const needed = asksOthers(rotation) ? rotation.approvals : 1
  return Math.max(0, needed - rotation.confirmedBy.length)
}

function mayNeedConfirmation(rotation: Rotation): boolean {
  // Neither haste nor a compromised key makes one person two.
  if (asksOthers(rotation)) return true
  const { phase, direction, pace, isTainted } = rotation
  if (direction === 'reverse' || isTainted || pace === 'auto') return false
  if (phase === 'retire' || phase === 'deny') return false
  return pace === 'step' || phase === 'activate'
}

function decideMoving(rotation: Rotation, { rollout }: RotationView, atMs: number): Decision {
  const by = { atMs, actor: CONTROLLER }
  // Of a store that was restored: nobody can say how it ended.
  if (rollout === undefined) return stop(rotation, 'aborted', ROLLOUT_GONE, atMs)
  const { id, status } = rollout
  if (!hasEnded(status))
    return wasStartedBefore(rotation)
      ? { kind: 'abort-rollout', rollout: id, reason: REVERSED }
      : NOTHING
  // Deferred nodes are moved when they are there again.
  if (status === 'succeeded' || status === 'partial' || wasStartedBefore(rotation))
    return events({ kind: 'rollout-ended', rollout: id, status, ...by })
  const why = rollout.reason?.message
  const message = `rollout ${id} is ${status}${why === undefined ? '' : `: ${why}`}`
  return stop(rotation, status, { code: 'rollout-stopped', message }, atMs)
}

function stop(rotation: Rotation, status: RolloutStatus, reason: Reason, atMs: number): Decision {
  const { rollout } = rotation
  const by = { atMs, actor: CONTROLLER }
  const ended: readonly RotationEvent[] =
    rollout === undefined ? [] : [{ kind: 'rollout-ended', rollout: rollout.id, status, ...by }]
  return events(...ended, { kind: 'stopped', reason, ...by })
}

// What was deferred is tried again, and not ten times a second.
const RETRY_AFTER_MS = 2_000

function isPausing({ rollout }: Rotation, atMs: number): boolean {
  const endedAtMs = rollout?.ended === 'partial' ? rollout.endedAtMs : undefined
  return endedAtMs !== undefined && Math.abs(atMs - endedAtMs) < RETRY_AFTER_MS
}

// A rollout that is still there when the way back begins is one of the way there.
function wasStartedBefore({ direction, rollout }: Rotation): boolean {
  return direction === 'reverse' && rollout?.isOfWayThere === true
}

export function hasEnded(status: RolloutStatus): boolean {
  switch (status) {
    case 'planned':
    case 'staging':
    case 'running':
    case 'draining':
      return false
    case 'succeeded':
    case 'partial':
    case 'failed':
    case 'aborted':
    case 'superseded':
      return true
    default:
      return unreachable(status)
  }
}

function reasonToEnter({ phase, confirmedBy }: Rotation): Reason {
  return confirmedBy.length > 0
    ? { code: 'confirmed', message: `the barrier of ${phase} holds, and an operator wants it` }
    : { code: 'barrier-holds', message: `the barrier of ${phase} holds` }
}

function refuseAuthor({ id, author, approvals }: Rotation): Refusal {
  const who = approvals === 1 ? 'another operator confirms' : `${approvals} other operators confirm`
  const message = `${author} has begun ${id}: ${who} that trust is removed`
  return { kind: 'refused', reason: { code: 'author-confirms', message } }
}

function refusal(message: string): Refusal {
  return { kind: 'refused', reason: { code: 'illegal-transition', message } }
}

function events(...list: readonly RotationEvent[]): Decision {
  return { kind: 'events', events: list }
}

const REVERSED: Reason = {
  code: 'rotation-reversed',
  message: 'the rotation that this rollout is a part of is being taken back',
}
const ROLLOUT_GONE: Reason = {
  code: 'rollout-gone',
  message: 'the rollout of this phase is not in the store any more',
}
