// The fold: a rotation is its events. What the order of the phases does not allow throws, so that a
// wrong decision is not stored.

import { assert, unreachable } from '../../shared/assert.ts'
import type { PhaseRollout, Rotation, RotationEvent, RotationPhase } from './rotation.ts'

export class IllegalStep extends Error {
  override readonly name = 'IllegalStep'
}

const FORWARD: readonly RotationPhase[] = ['prepare', 'distribute', 'activate', 'retire', 'deny']

/** Undefined: nothing follows, the rotation ends. */
export function phaseAfter({
  phase,
  direction,
}: Pick<Rotation, 'phase' | 'direction'>): RotationPhase | undefined {
  const index = FORWARD.indexOf(phase)
  return direction === 'forward' ? FORWARD[index + 1] : index === 0 ? undefined : FORWARD[index - 1]
}

export function startRotation(id: string, event: RotationEvent): Rotation {
  if (event.kind !== 'created') throw new IllegalStep(`${id} begins with ${event.kind}`)
  return {
    id,
    subject: event.subject,
    author: event.actor,
    pace: event.pace,
    approvals: event.approvals ?? 0,
    isTainted: false,
    status: 'running',
    direction: 'forward',
    phase: 'prepare',
    phaseSinceMs: event.atMs,
    rollout: undefined,
    stopped: undefined,
    confirmedBy: [],
    version: 1,
    startedAtMs: event.atMs,
    endedAtMs: undefined,
  }
}

export function replayRotation(id: string, events: readonly RotationEvent[]): Rotation {
  const [first, ...rest] = events
  assert(first !== undefined, `rotation ${id} has no events`)
  return evolveAll(startRotation(id, first), rest)
}

export function evolveAll(rotation: Rotation, events: readonly RotationEvent[]): Rotation {
  return events.reduce(evolve, rotation)
}

export function evolve(rotation: Rotation, event: RotationEvent): Rotation {
  require(rotation, event, rotation.status === 'running', `it is ${rotation.status}`)
  const next = { ...rotation, version: rotation.version + 1 }
  switch (event.kind) {
    case 'created':
      throw refuse(rotation, event, 'it exists already')
    case 'entered': {
      require(rotation, event, event.phase === phaseAfter(rotation), `it is in ${rotation.phase}`)
      requireQuiet(rotation, event)
      return {
        ...next,
        phase: event.phase,
        phaseSinceMs: event.atMs,
        rollout: undefined,
        stopped: undefined,
        confirmedBy: [],
      }
    }
    case 'rollout-started':
      requireQuiet(rotation, event)
      return { ...next, rollout: noted(event.rollout, undefined, undefined) }
    case 'rollout-ended':
      require(rotation, event, isMoving(rotation, event.rollout), 'it is not the one that moves')
      return {
        ...next,
        rollout: noted(event.rollout, event.status, event.atMs),
      }
    case 'stopped':
      return { ...next, stopped: event.reason }
    case 'resumed':
      return { ...next, stopped: undefined }
    case 'confirmed': {
      const { author, confirmedBy } = rotation
      const isOwn = asksOthers(rotation) && event.actor === author
      require(rotation, event, !isOwn, `${author} has begun it`)
      require(rotation, event, !confirmedBy.includes(event.actor), 'it is confirmed by them')
      return { ...next, confirmedBy: [...confirmedBy, event.actor] }
    }
    case 'tainted':
      return { ...next, isTainted: true }
    case 'reversed':
      require(rotation, event, rotation.direction === 'forward', 'it is on its way back')
      require(rotation, event, rotation.phase !== 'deny', 'the old CA is denied')
      return {
        ...next,
        direction: 'reverse',
        // What retire had not begun with is undone together with activate.
        phase: rotation.phase === 'retire' ? 'activate' : rotation.phase,
        phaseSinceMs: event.atMs,
        rollout: rotation.rollout && { ...rotation.rollout, isOfWayThere: true },
        stopped: undefined,
        confirmedBy: [],
      }
    case 'ended':
      require(rotation, event, phaseAfter(rotation) === undefined, `it is in ${rotation.phase}`)
      requireQuiet(rotation, event)
      return { ...next, status: event.status, endedAtMs: event.atMs }
    default:
      return unreachable(event)
  }
}

function noted(
  id: string,
  ended: PhaseRollout['ended'],
  endedAtMs: number | undefined,
): PhaseRollout {
  return { id, ended, endedAtMs, isOfWayThere: false }
}

/** Does the next phase remove trust, and take the word of others than the author? */
export function asksOthers({ phase, direction, approvals }: Rotation): boolean {
  return approvals > 0 && direction === 'forward' && phase === 'activate'
}

/** A rollout of this rotation is under way. */
export function isMoving({ rollout }: Rotation, id = rollout?.id): boolean {
  return rollout !== undefined && rollout.id === id && rollout.ended === undefined
}

// Two worlds are never on their way at once.
function requireQuiet(rotation: Rotation, event: RotationEvent): void {
  require(rotation, event, !isMoving(rotation), `rollout ${rotation.rollout?.id} moves`)
}

function require(rotation: Rotation, event: RotationEvent, isAllowed: boolean, why: string): void {
  if (!isAllowed) throw refuse(rotation, event, why)
}

function refuse({ id }: Rotation, event: RotationEvent, why: string): IllegalStep {
  return new IllegalStep(`${event.kind} is not allowed in rotation ${id}: ${why}`)
}
