// What the store keeps of rollouts and leases.

import type { DesiredState } from '../../shared/contract/desired-state.ts'
import type { Report, Served, ServiceReport } from '../../shared/contract/report.ts'
import type { Changes } from '../rollout/change-log.ts'
import type { Plan, Rollout, RolloutEvent } from '../rollout/rollout.ts'
import type { Counts } from '../rollout/steps.ts'

/** What the store knows of a node of a rollout: the part that deciding needs, read at once. */
export interface RolloutMember {
  readonly node: string
  readonly enrolledAtMs: number | undefined
  readonly seenAtMs: number | undefined
  readonly desired: Pick<DesiredState, 'generation' | 'digest' | 'contentDigest'> | undefined
  /** As `DesiredStates.highestGeneration`. */
  readonly highestGeneration: number
  readonly report: ReportExcerpt | undefined
}

export type ReportExcerpt = Pick<
  Report,
  'observedGeneration' | 'observedDigest' | 'refusedGeneration' | 'problem'
> & {
  readonly sequence: number
  readonly receivedAtMs: number
  readonly services: readonly (Pick<
    ServiceReport,
    'service' | 'outcome' | 'reason' | 'activations' | 'broken' | 'cluster'
  > & { readonly served: readonly Pick<Served, 'ok' | 'reason'>[] })[]
}

/** A rollout without its plan and steps, which are as many as nodes. */
export interface RolloutSummary
  extends Pick<
    Rollout,
    'id' | 'version' | 'status' | 'toward' | 'reason' | 'gates' | 'startedAtMs' | 'endedAtMs'
  > {
  readonly revision: number
  readonly author: string
  /** How many steps of its current phase are in each state. */
  readonly counts: Counts
}

export interface RolloutPage {
  readonly before?: string
  readonly limit: number
  readonly statuses?: readonly Rollout['status'][]
}

export interface Rollouts {
  /**
   * Stores the plan and the first events (version 0). Fails with `overlapping-rollout` when a node of
   * the plan is in a rollout that has not ended.
   */
  insert(rollout: {
    readonly id: string
    readonly plan: Plan
    readonly events: readonly RolloutEvent[]
    readonly atMs: number
  }): Promise<Rollout>
  get(id: string): Promise<Rollout | undefined>
  /** Newest first, older than `before`; of these statuses when there are any. */
  list(page: RolloutPage): Promise<readonly Rollout[]>
  /** The same without what is as large as the fleet. */
  summaries(page: RolloutPage): Promise<readonly RolloutSummary[]>
  /** Rollouts that have not ended. */
  active(): Promise<readonly Rollout[]>
  events(
    id: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<
    readonly { readonly version: number; readonly atMs: number; readonly event: RolloutEvent }[]
  >
  /** The nodes of a rollout that are still in the fleet, in plan order. */
  members(id: string): Promise<readonly RolloutMember[]>
  /** The same of any nodes, by name. */
  membersNamed(names: readonly string[]): Promise<readonly RolloutMember[]>
  /**
   * Nodes whose member may be another one than when `cursor` was given out, but for `seenAtMs`; never
   * too few. Undefined `nodes`: any may. What a transaction wrote that came to nothing is told again.
   */
  changedSince(cursor: number | undefined): Promise<Changes>
  /**
   * Appends with an expected version; throws `version-conflict` (retryable) when somebody was first.
   * The folded state is stored with it. Each event is also an audit entry.
   */
  append(
    id: string,
    expectedVersion: number,
    events: readonly RolloutEvent[],
    atMs: number,
  ): Promise<Rollout>
}

export interface LeaseRecord {
  readonly group: string
  readonly node: string
  readonly purpose: 'rollout' | 'renewal' | 'correction'
  readonly generation: number
  readonly takenAtMs: number
  /** Controller time. */
  readonly takenTimeMs: number
  /** Of the node's last report then: only a later one tells how it ended. */
  readonly takenSequence: number
}

export interface LeasePage {
  readonly after?: Pick<LeaseRecord, 'group' | 'node'>
  readonly limit: number
  readonly group?: string
  readonly node?: string
}

export interface Leases {
  /** One per (group, node); taking it again for the same generation changes `takenSequence` alone, upwards. */
  take(lease: LeaseRecord): Promise<void>
  release(group: string, node: string): Promise<void>
  list(group: string): Promise<readonly LeaseRecord[]>
  /** Those of one node, in all of its groups. */
  ofNode(node: string): Promise<readonly LeaseRecord[]>
  /** By group and node; a part of them, when a page is asked for. */
  all(page?: LeasePage): Promise<readonly LeaseRecord[]>
  /** Gives back all leases of a node. */
  releaseNode(node: string): Promise<void>
}
