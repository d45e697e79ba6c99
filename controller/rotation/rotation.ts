// The words of a rotation: how one CA, or one issuer, follows another without anybody losing trust in
// anybody. A rotation is a way between two worlds; each phase is one step on it, and the way back
// leads through the same worlds. Only types; decide.ts, evolve.ts and barriers.ts hold the rules.
//
//                 trust of old        trust of both, old      trust of both, new      trust of new
//     forward  ->           distribute             activate                  retire            -> deny
//     reverse  <-  prepare  <- distribute          <- activate

import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { RolloutStatus } from '../rollout/rollout.ts'

/** `issuer`: of services, by another fleet spec; the CAs of the controller stay as they are. */
export type RotationKind = 'service' | 'identity' | 'issuer'

export type RotationPhase = 'prepare' | 'distribute' | 'activate' | 'retire' | 'deny'

/** With `reverse` a phase is the one that is being undone. */
export type Direction = 'forward' | 'reverse'

export type RotationStatus = 'running' | 'completed' | 'reversed'

/** What goes on without an operator: nothing, all but `retire`, everything. */
export type Pace = 'step' | 'normal' | 'auto'

/** Ids of authorities, or numbers of revisions. */
export type RotationSubject =
  | { readonly kind: 'service'; readonly from: string; readonly to: string }
  | { readonly kind: 'identity'; readonly from: string; readonly to: string }
  | { readonly kind: 'issuer'; readonly from: number; readonly to: number }

/** The last rollout of the phase. */
export interface PhaseRollout {
  readonly id: string
  /** Undefined while it moves. */
  readonly ended: RolloutStatus | undefined
  readonly endedAtMs: number | undefined
  /** Begun before the rotation turned back. */
  readonly isOfWayThere: boolean
}

export interface Rotation {
  readonly id: string
  readonly subject: RotationSubject
  /** The operator who has begun it. */
  readonly author: string
  readonly pace: Pace
  /** Operators who must confirm that trust is removed, none of them the author. 0: anybody does who may. */
  readonly approvals: number
  /** The CA that is left is compromised: nothing waits for an operator, but for those approvals. */
  readonly isTainted: boolean
  readonly status: RotationStatus
  readonly direction: Direction
  readonly phase: RotationPhase
  /** When the phase began; what was seen before says nothing about it. */
  readonly phaseSinceMs: number
  readonly rollout: PhaseRollout | undefined
  /** Why it goes no further until an operator resumes it. */
  readonly stopped: Reason | undefined
  /** Operators who have asked for the next phase; forgotten when it begins. */
  readonly confirmedBy: readonly string[]
  /** Events so far; the optimistic lock. */
  readonly version: number
  readonly startedAtMs: number
  readonly endedAtMs: number | undefined
}

export type RotationEvent = {
  /** Wall clock, for people. */
  readonly atMs: number
  readonly actor: string
} & (
  | {
      readonly kind: 'created'
      readonly subject: RotationSubject
      readonly pace: Pace
      /** As the fleet spec asked for when it began; absent: of none. */
      readonly approvals?: number | undefined
    }
  | { readonly kind: 'entered'; readonly phase: RotationPhase; readonly reason: Reason }
  | { readonly kind: 'rollout-started'; readonly rollout: string }
  | {
      readonly kind: 'rollout-ended'
      readonly rollout: string
      readonly status: RolloutStatus
    }
  | { readonly kind: 'stopped'; readonly reason: Reason }
  | { readonly kind: 'resumed'; readonly reason: Reason }
  | { readonly kind: 'confirmed'; readonly reason: Reason }
  | { readonly kind: 'tainted'; readonly reason: Reason }
  /** From here on backwards, beginning with the phase that it is in. */
  | { readonly kind: 'reversed'; readonly reason: Reason }
  | { readonly kind: 'ended'; readonly status: 'completed' | 'reversed' }
)

/** Who keeps a barrier from holding. */
export interface Blocker {
  readonly node: string
  readonly service?: ServiceName
  readonly listener?: string
  readonly reason: Reason
  /** Nobody knows; silence is neither a yes nor a no. */
  readonly isUnknown: boolean
}

export interface Barrier {
  readonly verdict: 'holds' | 'blocked' | 'unknown'
  readonly blockers: readonly Blocker[]
}

/** What `decide` sees of the world. */
export interface RotationView {
  /** Of the last rollout of the phase, or of one that this rotation made and has not noted yet. */
  readonly rollout:
    | {
        readonly id: string
        readonly status: RolloutStatus
        readonly reason: Reason | undefined
      }
    | undefined
  /** Nodes that a rollout of this phase would move, and that are there. */
  readonly movable: number
  /** Of the phase: what must hold before the next one. */
  readonly barrier: Barrier
}

export function isOpen(rotation: Rotation): boolean {
  return rotation.status === 'running'
}

/** The world that a phase brings about: how its trust, its signer and its fleet spec are. */
export interface World {
  readonly trust: 'old' | 'both' | 'new'
  readonly side: 'old' | 'new'
}

/** Undefined: the phase moves nothing on nodes. */
export function worldOf({
  phase,
  direction,
}: Pick<Rotation, 'phase' | 'direction'>): World | undefined {
  switch (phase) {
    case 'prepare':
    case 'deny':
      return undefined
    case 'distribute':
      return { trust: direction === 'forward' ? 'both' : 'old', side: 'old' }
    case 'activate':
      return { trust: 'both', side: direction === 'forward' ? 'new' : 'old' }
    case 'retire':
      return { trust: 'new', side: 'new' }
  }
}
