// The words of a rollout: plan, steps, events and the state that folding the events gives. Only
// types and constants; decide.ts and evolve.ts hold the rules. This is the plain rollout (one
// phase, one node at a time, stop at the first failure) in the shape of the full model: batches,
// gates, groups and budgets add fields and events, they do not replace these.

import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { Reason } from '../../shared/contract/schema.ts'

export type RolloutStatus =
  | 'planned'
  | 'staging'
  | 'running'
  | 'draining'
  | 'succeeded'
  | 'partial'
  | 'failed'
  | 'aborted'
  | 'superseded'

export type StepState =
  | 'waiting'
  | 'assigned'
  | 'staged'
  | 'permitted'
  | 'applying'
  | 'suspect'
  | 'done'
  | 'reverted'
  | 'refused'
  | 'broken'
  | 'deferred'
  | 'skipped'

/** Immutable. `nodes` is the order in which they move. */
export interface RolloutPlan {
  readonly revision: number
  readonly author: string
  readonly nodes: readonly PlannedNode[]
}

export interface PlannedNode {
  readonly node: string
  /** Digest of the content that the node has now; undefined for its first one. */
  readonly from: string | undefined
  /** Digest of `content`. */
  readonly to: string
  readonly content: DesiredContent
}

export interface Step {
  readonly node: string
  readonly state: StepState
  /** The generation that this step last published. */
  readonly generation: number | undefined
  /** Why it is where it is. */
  readonly reason: Reason | undefined
  /** Wall clock of the last event, for people. */
  readonly sinceMs: number
}

export interface Rollout {
  readonly id: string
  readonly plan: RolloutPlan
  /** Events so far; the optimistic lock. */
  readonly version: number
  readonly status: RolloutStatus
  /** Where a drain ends. */
  readonly toward: 'failed' | 'aborted' | 'superseded' | undefined
  readonly reason: Reason | undefined
  readonly steps: Readonly<Record<string, Step>>
  readonly startedAtMs: number | undefined
  readonly endedAtMs: number | undefined
}

/** `atMs` is the wall clock, for people; no decision reads it. */
export type RolloutEvent = { readonly atMs: number } & (
  | { readonly kind: 'planned' }
  | { readonly kind: 'started' }
  /** `to` becomes the node's document with mode `stage`, as `generation`. */
  | { readonly kind: 'node-assigned'; readonly node: string; readonly generation: number }
  | { readonly kind: 'node-staged'; readonly node: string }
  | { readonly kind: 'node-refused'; readonly node: string; readonly reason: Reason }
  | { readonly kind: 'node-deferred'; readonly node: string; readonly reason: Reason }
  /** Every step is staged, refused, deferred or skipped. */
  | { readonly kind: 'staged' }
  /** The same content with mode `enforce`, as `generation`. */
  | { readonly kind: 'node-permitted'; readonly node: string; readonly generation: number }
  | { readonly kind: 'permit-claimed'; readonly node: string; readonly generation: number }
  | {
      readonly kind: 'permit-withdrawn'
      readonly node: string
      readonly generation: number
      readonly reason: Reason
    }
  | { readonly kind: 'node-suspected'; readonly node: string; readonly reason: Reason }
  | { readonly kind: 'node-done'; readonly node: string }
  | { readonly kind: 'node-reverted'; readonly node: string; readonly reason: Reason }
  | { readonly kind: 'node-broken'; readonly node: string; readonly reason: Reason }
  | { readonly kind: 'draining'; readonly toward: 'failed' | 'aborted'; readonly reason: Reason }
  /** Gives a node back its `from` content (or, with none, an empty one) as `generation`; for steps that are neither done nor broken when a rollout ends early. */
  | { readonly kind: 'node-released'; readonly node: string; readonly generation: number }
  | { readonly kind: 'ended'; readonly status: 'succeeded' | 'partial' | 'failed' | 'aborted' }
)

/** What `decide` sees of a node. */
export interface NodeView {
  readonly node: string
  readonly online: boolean
  /** Highest generation ever given out. */
  readonly highestGeneration: number
  /** From the last report; undefined before the first. */
  readonly observedGeneration: number | undefined
  readonly observedContent: string | undefined
  /** The worst outcome over the services of the report for `observedGeneration`. */
  readonly outcome:
    | 'in-sync'
    | 'changed'
    | 'staged'
    | 'waiting'
    | 'restored'
    | 'failed'
    | 'unsupported'
    | undefined
  readonly reason: Reason | undefined
  /** Milliseconds of the wall clock since the node was heard of. */
  readonly silentMs: number
  /** The report says that a stopped service is what it waits for. */
  readonly inactive: boolean
  /** A failure that happened after the switch and was not restored. */
  readonly broken: boolean
}

export interface FleetView {
  readonly nodes: Readonly<Record<string, NodeView>>
}
