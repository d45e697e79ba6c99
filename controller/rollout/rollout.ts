// The words of a rollout: plan, steps, events and the state that folding the events gives. Only
// types; decide.ts and evolve.ts hold the rules. Two clocks: times named `atMs` or `sinceMs` are the
// wall clock, for people; times named `timeMs` are controller time, the only one that decisions read.

import type { ClusterHealth, ClusterView } from '../../shared/contract/cluster-view.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { RolloutStatus, StepState } from '../../shared/contract/operator-api.ts'
import type { NodePreview } from '../../shared/contract/rollout-plan.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { GroupDefinition } from '../fleet/groups.ts'
import type { Held, SectionState } from './section.ts'
import type { RolloutSettings } from './settings.ts'

export type { RolloutStatus, StepState }

/** Not empty: paused. `frozen` resumes by itself, the others by an operator. */
export type PauseCause = 'manual' | 'inconclusive' | 'deadline' | 'frozen'

export type RolloutKind = 'change' | 'rollback' | 'retry'

/** What a plan is made from, and what `create` takes. Only the first three are needed. */
export interface RolloutPlan {
  readonly revision: number
  readonly author: string
  readonly nodes: readonly PlannedNode[]
  readonly kind?: RolloutKind
  /** The rollout that this one rolls back, retries or supersedes. */
  readonly parent?: string
  /** Over those of the fleet spec. */
  readonly settings?: Partial<RolloutSettings>
  /** Interruptions that were announced with the plan. */
  readonly windows?: readonly Reason[]
  /** Names of groups that are stopped, changed and started as a whole, in the order in which they start. */
  readonly together?: readonly string[]
  /** The downtime of these groups is known: nobody is asked once all are prepared. */
  readonly acknowledged?: boolean
  /** As of the plan. */
  readonly apart?: boolean
  /** Phases that follow one another; `nodes` is then left empty. */
  readonly phases?: readonly PhaseRequest[]
  /** What the nodes said that they would change, by the digests that `nodes` name. */
  readonly previews?: ReadonlyMap<string, NodePreview>
  /** The plan that was shown: no other is carried out. */
  readonly shown?: ShownPlan | undefined
}

export interface ShownPlan {
  readonly digest: string
  /** How the nodes were when it was made, where that is known still; a node that came or went since changes no plan. */
  readonly conditions?: ReadonlyMap<string, Condition> | undefined
}

/** What is known of a node when the plan is made. */
export type Condition = 'broken' | 'out' | 'unknown' | 'well' | 'offline'

export interface PhaseRequest {
  readonly name: string
  /** Later phases rely on this one: it passes only when every node is done. */
  readonly barrier?: boolean
  /** These groups are stopped and changed as a whole. */
  readonly coordinated?: boolean
  readonly nodes: readonly PlannedNode[]
}

export interface PlannedNode {
  readonly node: string
  /** Digest of the content that the node has now; undefined for its first one. */
  readonly from: string | undefined
  /** Digest of `content`. */
  readonly to: string
  readonly content: DesiredContent
  /** Digest of what the node said that it would change: it is held to that. Undefined: to nothing. */
  readonly preview?: string | undefined
  /** In a coordinated phase: the service that is stopped, changed and started with those of the others. */
  readonly together?: ServiceName | undefined
}

/** Immutable, digested. Who moves in which order, and within which limits; execution chooses nothing. */
export interface Plan {
  readonly kind: RolloutKind
  readonly revision: number
  readonly author: string
  readonly parent: string | undefined
  readonly settings: RolloutSettings
  /** As they were when the plan was made: what is said of budgets. Leases follow the groups of today. */
  readonly groups: readonly GroupDefinition[]
  readonly windows: readonly Reason[]
  readonly together?: readonly string[] | undefined
  readonly acknowledged?: boolean | undefined
  /**
   * It takes back what another rollout made, in the way in which that made it: nodes outside of a section
   * change sides alone, whatever the spec of then says of that.
   */
  readonly apart?: boolean | undefined
  readonly phases: readonly Phase[]
  /** Of everything above but the author and the acknowledgement; contents and previews by their digests. */
  readonly digest: string
}

export interface Phase {
  readonly name: string
  readonly barrier: boolean
  readonly coordinated: boolean
  /** Failures that this phase tolerates. */
  readonly maxFailures: number
  readonly batches: readonly Batch[]
}

export interface Batch {
  /** Strict: serial while no failure is tolerated. Wide: several at once. */
  readonly rule: 'strict' | 'wide'
  readonly soakMs: number
  /** An operator promotes it, or it passes by itself. */
  readonly promote: 'manual' | 'automatic'
  /** In the order in which they move. */
  readonly nodes: readonly OrderedNode[]
}

export interface OrderedNode extends PlannedNode {
  /** Nodes of a lower rank are settled before one of a higher rank is permitted. */
  readonly rank: number
}

export interface Step {
  readonly node: string
  readonly state: StepState
  /** The generation that this step last published; undefined: none, or it was taken back. */
  readonly generation: number | undefined
  /** Digest of the content that the node has when this step publishes nothing more; undefined: none. */
  readonly holds: string | undefined
  /** Why it is where it is. */
  readonly reason: Reason | undefined
  /** Of the last change of state. */
  readonly sinceMs: number
  readonly timeMs: number
  /** Since when the node is known to be well on the new content. */
  readonly healthyTimeMs: number | undefined
  /** Of the node's last report when it claimed its permit. */
  readonly claimSequence: number | undefined
  /** In a coordinated phase: how far it says that it is. */
  readonly held?: Held | undefined
}

/** In the order of the plan, in pieces that are replaced and never changed; steps.ts reads them. */
export type Steps = readonly (readonly Step[])[]

/** Some of the steps of a phase, by piece and name, so that they are found in the order of the plan. */
export type Marks = ReadonlyMap<number, ReadonlySet<string>>

export type Verdict = 'pass' | 'fail' | 'inconclusive'

/** What every sample of a query must be. */
export type Expectation =
  | 'empty'
  | 'non-empty'
  | { readonly is: '<' | '<=' | '>' | '>=' | '=='; readonly than: number }

/** G4: who else judges each batch. */
export type ExternalGate =
  | { readonly name: string; readonly kind: 'webhook'; readonly url: string }
  | {
      readonly name: string
      readonly kind: 'promql'
      readonly server: string
      readonly query: string
      readonly expect: Expectation
    }

/** G2 and G4: what was found about a batch from outside of its nodes. */
export interface GateVerdict {
  readonly gate: string
  readonly verdict: Verdict
  readonly reason: Reason
}

/** How a batch was seen from outside before it began: what comes after it is compared with this. */
export interface Baseline {
  /** Nodes that no other node could reach: nobody can be asked what they serve. */
  readonly unseen: readonly string[]
  readonly clusters: readonly ClusterBaseline[]
}

export interface ClusterBaseline {
  /** The group that it is, or else one of its nodes. */
  readonly name: string
  readonly view: ClusterView
}

export interface Rollout {
  readonly id: string
  readonly plan: Plan
  /** Events so far; the optimistic lock. */
  readonly version: number
  readonly status: RolloutStatus
  readonly pausedBy: readonly PauseCause[]
  readonly pausedTimeMs: number | undefined
  /** Where a drain ends. */
  readonly toward: 'failed' | 'aborted' | 'superseded' | undefined
  readonly reason: Reason | undefined
  readonly approvedBy: readonly string[]
  readonly phaseIndex: number
  readonly batchIndex: number
  /** A phase has passed without all of its nodes. */
  readonly incomplete: boolean
  /** Of the current phase. */
  readonly steps: Steps
  /** Of the current batch. */
  readonly gates: readonly GateVerdict[]
  /** Of the current batch; undefined: nobody looked. */
  readonly baseline: Baseline | undefined
  readonly promoted: boolean
  /** Of a coordinated phase: who knows of its downtime. */
  readonly acknowledgedBy?: string | undefined
  /** Of a coordinated phase: what its nodes may do; undefined: not all have claimed their permits. */
  readonly section?: SectionState | undefined
  /** When the current batch settled; undefined while it is open. */
  readonly settledTimeMs: number | undefined
  readonly progressTimeMs: number
  readonly deferredTimeMs: number | undefined
  readonly startedAtMs: number | undefined
  readonly endedAtMs: number | undefined
}

export interface Now {
  /** Wall clock. */
  readonly atMs: number
  /** Controller time. */
  readonly timeMs: number
}

export type RolloutEvent = Now &
  /** `reason`: why there is one that nobody has asked for. */
  (
    | { readonly kind: 'planned'; readonly reason?: Reason | undefined }
    | { readonly kind: 'approved'; readonly by: string }
    | { readonly kind: 'started' }
    /** `to` becomes the node's document with mode `stage`, as `generation`. */
    | { readonly kind: 'node-assigned'; readonly node: string; readonly generation: number }
    | { readonly kind: 'node-staged'; readonly node: string }
    | { readonly kind: 'node-refused'; readonly node: string; readonly reason: Reason }
    | { readonly kind: 'node-deferred'; readonly node: string; readonly reason: Reason }
    | { readonly kind: 'node-returned'; readonly node: string }
    | { readonly kind: 'node-skipped'; readonly node: string; readonly reason: Reason }
    /** Every step is staged, refused, deferred or skipped. */
    | { readonly kind: 'staged' }
    /** The same content with mode `enforce`, as `generation`. */
    | { readonly kind: 'node-permitted'; readonly node: string; readonly generation: number }
    | {
        readonly kind: 'permit-claimed'
        readonly node: string
        readonly generation: number
        /** Of the agent's last report: only a later one tells how it went. */
        readonly sequence?: number | undefined
      }
    /** In a coordinated phase: its service is stopped, or switched and still stopped. */
    | { readonly kind: 'node-held'; readonly node: string; readonly at: Held }
    /** The same content with mode `stage` again, as `generation`. */
    | {
        readonly kind: 'permit-withdrawn'
        readonly node: string
        readonly generation: number
        readonly reason: Reason
      }
    | { readonly kind: 'node-suspected'; readonly node: string; readonly reason: Reason }
    /** It reports the new content and works; it is watched until it is done. */
    | { readonly kind: 'node-healthy'; readonly node: string }
    /** `reason`: what its proof lacks. */
    | { readonly kind: 'node-done'; readonly node: string; readonly reason?: Reason | undefined }
    | { readonly kind: 'node-reverted'; readonly node: string; readonly reason: Reason }
    | { readonly kind: 'node-broken'; readonly node: string; readonly reason: Reason }
    /** An operator takes the lease of a step that will not give it back. */
    | { readonly kind: 'lease-forced'; readonly node: string; readonly reason: Reason }
    /** What other nodes see, before the first node of the batch is permitted. */
    | ({ readonly kind: 'baseline-taken' } & Baseline)
    /** All steps up to the current batch are settled: its soak begins. */
    | { readonly kind: 'batch-settled' }
    | ({ readonly kind: 'gate-judged' } & GateVerdict)
    | { readonly kind: 'promoted'; readonly by: string }
    /** All nodes of a coordinated phase are prepared, and its groups may go down. */
    | { readonly kind: 'downtime-acknowledged'; readonly by: string }
    /** The nodes of a coordinated phase may do this, all of them; or go back. */
    | { readonly kind: 'section-moved'; readonly to: SectionState }
    | { readonly kind: 'batch-passed' }
    | { readonly kind: 'phase-passed' }
    | { readonly kind: 'paused'; readonly cause: PauseCause; readonly reason: Reason }
    | { readonly kind: 'resumed'; readonly cause: PauseCause }
    | {
        readonly kind: 'draining'
        readonly toward: 'failed' | 'aborted' | 'superseded'
        readonly reason: Reason
      }
    /** Gives a node back what it holds (or, with nothing, an empty content) as `generation`; for steps that are neither done nor broken when a rollout ends. */
    | { readonly kind: 'node-released'; readonly node: string; readonly generation: number }
    | {
        readonly kind: 'ended'
        readonly status: 'succeeded' | 'partial' | 'failed' | 'aborted' | 'superseded'
      }
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
  /** Of the last report. */
  readonly sequence: number | undefined
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
  /** Since the node was heard of; 0 while it is online. Not by the wall clock. */
  readonly silentMs: number
  /** The report says that a stopped service is what it waits for. */
  readonly inactive: boolean
  /** A failure that happened after the switch and was not restored. */
  readonly broken: boolean
}

/** What another node sees of what this one reports for a generation. */
export type VantageOf = (node: string, generation: number) => Vantage | undefined

export interface Vantage {
  readonly kind: VantageKind
  readonly reason?: Reason | undefined
}

/** `pending`: the answer is awaited. `unreachable`: nobody could see it. `none`: nobody is there to look. */
export type VantageKind = 'agrees' | 'disagrees' | 'pending' | 'unreachable' | 'none'

export interface LeaseView {
  readonly purpose: 'rollout' | 'renewal' | 'correction'
  readonly generation: number
}

/** A group as it is now: who may not be out at the same time, who is out, who holds a lease. */
export interface GroupView {
  readonly name: string
  readonly members: ReadonlySet<string>
  readonly maxUnavailable: number
  /** How many may be out; at most `maxUnavailable`. */
  readonly limit: number
  /** Unhealthy, offline or unknown, each with why. */
  readonly out: ReadonlyMap<string, Reason>
  /** By node, whatever they are for. */
  readonly leases: ReadonlyMap<string, LeaseView>
  /** The member that leads, as far as the members say. */
  readonly leader?: string | undefined
  /** The worst that a member says of the cluster. */
  readonly health?: ClusterHealth | undefined
  /** Where the cluster has other members than the group. */
  readonly notices?: readonly Reason[]
}

export interface FleetView {
  /** Nodes of the rollout that are in the fleet. */
  readonly nodes: ReadonlyMap<string, NodeView>
  readonly groups: ReadonlyMap<string, GroupView>
  /** Names of the groups of a node; a node in none is absent. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>
  /** Steps that hold no permit and have something to say; absent: all are looked at. See ripe.ts. */
  readonly ripe?: Marks | undefined
  /** Why nothing may be begun: a freeze, or a time outside of the maintenance window. */
  readonly frozen?: Reason | undefined
  /** About the current batch. */
  readonly verdicts?: readonly GateVerdict[]
  /** Asked of nodes in motion alone, and of no copy: it is not in the store. */
  readonly vantageOf?: VantageOf | undefined
  /** How the current batch is seen from outside; undefined: nobody looks. */
  readonly baseline?: Baseline | 'pending' | undefined
}
