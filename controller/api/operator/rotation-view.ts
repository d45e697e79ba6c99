import type {
  RotationNodeView,
  RotationSummary,
  RotationView,
} from '../../../shared/contract/rotations.ts'
import type { RotationNode } from '../../rotation/barriers.ts'
import { missingConfirmations, needsConfirmation } from '../../rotation/decide.ts'
import { asksOthers, isMoving } from '../../rotation/evolve.ts'
import { type Blocker, isOpen, type Rotation } from '../../rotation/rotation.ts'
import type { Seen } from '../../rotation/view.ts'
import type { StoredRotationEvent } from '../../store/rotations-store.ts'

// Enough to see what is wrong; the total says how many there are.
const BLOCKERS_MAX = 200

export function rotationSummary(rotation: Rotation): RotationSummary {
  const { subject, stopped, rollout, endedAtMs } = rotation
  const { id, status, phase, direction, phaseSinceMs, pace, isTainted, version } = rotation
  const { author, approvals, confirmedBy } = rotation
  return {
    id,
    kind: subject.kind,
    from: String(subject.from),
    to: String(subject.to),
    status,
    phase,
    direction,
    phaseSinceMs,
    pace,
    isTainted,
    author,
    approvals,
    confirmedBy: [...confirmedBy],
    ...(stopped === undefined ? {} : { stopped }),
    ...(rollout === undefined ? {} : { rollout: rollout.id }),
    version,
    startedAtMs: rotation.startedAtMs,
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
  }
}

export function rotationView(
  rotation: Rotation,
  seen: Seen,
  events: readonly StoredRotationEvent[],
): RotationView {
  const { barrier } = seen.view
  const isRunning = isOpen(rotation)
  const blockers = isRunning ? barrier.blockers : []
  return {
    ...rotationSummary(rotation),
    waitsFor: waitsFor(rotation, seen),
    needsOthers: isRunning && asksOthers(rotation) ? missingConfirmations(rotation) : 0,
    barrier: {
      verdict: isRunning ? barrier.verdict : 'holds',
      blockers: blockers.slice(0, BLOCKERS_MAX),
      total: blockers.length,
    },
    nodes: nodeViews(rotation, seen.nodes, blockers),
    history: events.map(historyView),
  }
}

function waitsFor(rotation: Rotation, { view }: Seen): RotationView['waitsFor'] {
  if (!isOpen(rotation)) return 'nothing'
  if (isMoving(rotation)) return 'rollout'
  if (rotation.stopped !== undefined) return 'resume'
  if (view.barrier.verdict !== 'holds') return 'barrier'
  return needsConfirmation(rotation) ? 'advance' : 'nothing'
}

function nodeViews(
  { subject }: Rotation,
  nodes: readonly RotationNode[],
  blockers: readonly Blocker[],
): RotationNodeView[] {
  const byNode = Map.groupBy(blockers, ({ node }) => node)
  return nodes.map(node => {
    const isConcerned = subject.kind === 'identity' ? node.isEnrolled : node.isInvolved
    return {
      node: node.node,
      place: placeOf(byNode.get(node.node) ?? [], isConcerned),
      online: node.isOnline,
    }
  })
}

function placeOf(blockers: readonly Blocker[], isConcerned: boolean): RotationNodeView['place'] {
  if (blockers.length === 0) return isConcerned ? 'there' : 'elsewhere'
  if (blockers.some(({ reason }) => reason.code === 'node-silent')) return 'silent'
  return blockers.every(({ isUnknown }) => isUnknown) ? 'on-its-way' : 'behind'
}

function historyView({ version, event }: StoredRotationEvent) {
  const { atMs, actor, kind } = event
  return {
    version,
    atMs,
    actor,
    kind,
    ...('phase' in event ? { phase: event.phase } : {}),
    ...('rollout' in event ? { rollout: event.rollout } : {}),
    ...('reason' in event ? { reason: event.reason } : {}),
  }
}
