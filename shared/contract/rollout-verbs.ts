// What operators ask of a rollout that there is, of groups, and of freezes.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { ClusterHealth, ClusterKind, ClusterView } from './cluster-view.ts'
import { Name, Reason, TimeMs } from './schema.ts'

export const ROLLOUT_VERBS = [
  'approve',
  'start',
  'pause',
  'resume',
  'promote',
  'supersede',
  'rollback',
  'retry',
] as const
export type RolloutVerb = (typeof ROLLOUT_VERBS)[number]

export const NODE_VERBS = ['skip', 'force-release'] as const
export type NodeVerb = (typeof NODE_VERBS)[number]

export const ROLLOUT_VERB_ROUTES = {
  verb: '/v1/rollouts/:id/:verb',
  nodeVerb: '/v1/rollouts/:id/nodes/:node/:verb',
  steps: '/v1/rollouts/:id/steps',
  gates: '/v1/rollouts/:id/gates',
  groups: '/v1/groups',
  groupBudget: '/v1/groups/:name/budget',
  debts: '/v1/debts',
  forgiveDebt: '/v1/debts/:id/forgive',
  freezes: '/v1/freezes',
  freeze: '/v1/freezes/:name',
} as const

const Why = z.string().check(z.minLength(1), z.maxLength(1024))

/** For the audit log. `If-Match` with the version that was looked at refuses (412) when it has moved on. */
export const VerbBody = z.strictObject({ reason: z.optional(Why) })
export type VerbBody = Readonly<z.infer<typeof VerbBody>>

export const RolloutVerbBody = z.strictObject({
  ...VerbBody.shape,
  /** With rollback and retry alone: how long to wait for what each node says that it would change; 0: none is asked. 5 s for a rollback, 15 s for a retry when absent. */
  waitMs: z.optional(z.int().check(z.minimum(0), z.maximum(60_000))),
})
export type RolloutVerbBody = Readonly<z.infer<typeof RolloutVerbBody>>

/** Why a step does not move; absent: it moves, or has ended. */
export const WaitingStep = z.object({
  node: Name,
  state: z.string(),
  batch: z.int(),
  waiting: z.optional(Reason),
})

export const StepList = z.object({
  status: z.string(),
  pausedBy: z.array(z.string()),
  phase: z.int(),
  batch: z.int(),
  batches: z.int(),
  /** Controller time left of the soak of the batch. */
  soakLeftMs: z.optional(z.int()),
  /** In plan order. */
  steps: z.array(WaitingStep),
  next: Next,
})
export type StepList = Readonly<z.infer<typeof StepList>>

/** One judgement of one gate. Newest last; a gate is judged again while its batch soaks. */
export const GateResult = z.object({
  version: z.int(),
  atMs: TimeMs,
  phase: z.int(),
  batch: z.int(),
  gate: z.string(),
  verdict: z.enum(['pass', 'fail', 'inconclusive']),
  evidence: Reason,
})
export type GateResult = Readonly<z.infer<typeof GateResult>>

export const GateList = z.object({
  /** What the current batch has to pass. */
  wanted: z.array(z.string()),
  /** How it was before the batch; absent: nobody has looked yet. */
  baseline: z.optional(
    z.object({
      unseen: z.array(Name),
      clusters: z.array(z.object({ name: z.string(), view: ClusterView })),
    }),
  ),
  results: z.array(GateResult),
})
export type GateList = Readonly<z.infer<typeof GateList>>

export const GroupBudget = z.object({
  name: z.string(),
  kind: z.string(),
  declared: z.boolean(),
  members: z.array(Name),
  maxUnavailable: z.int(),
  /** How many may be out at once. */
  limit: z.int(),
  out: z.array(z.object({ node: Name, reason: Reason })),
  leases: z.array(
    z.object({
      node: Name,
      purpose: z.enum(['rollout', 'renewal', 'correction']),
      generation: z.int(),
      takenAtMs: TimeMs,
    }),
  ),
  /** Of a cluster: as its members say. */
  leader: z.optional(Name),
  health: z.optional(ClusterHealth),
  /** Where the cluster has other members than the group. */
  notices: z.optional(z.array(Reason)),
})
export type GroupBudget = Readonly<z.infer<typeof GroupBudget>>
/** By name. */
export const GroupList = z.object({ groups: z.array(GroupBudget), next: Next })

/** The right of a node to be disruptive in a group. */
export const LeaseView = z.object({
  group: z.string(),
  node: Name,
  purpose: z.enum(['rollout', 'renewal', 'correction']),
  generation: z.int(),
  takenAtMs: TimeMs,
})
/** By group and node. `?group=`, `?node=` */
export const LeaseList = z.object({ leases: z.array(LeaseView), next: Next })

/** A setting of its cluster that a node has changed for the time of a restart, and that is not taken back yet. */
export const DebtView = z.object({
  debtId: z.string(),
  node: Name,
  service: ClusterKind,
  /** Their members take it back when the node does not. */
  groups: z.array(z.string()),
  sinceMs: TimeMs,
})
export type DebtView = Readonly<z.infer<typeof DebtView>>
/** By id. */
export const DebtList = z.object({ debts: z.array(DebtView), next: Next })

export const FreezeBody = z.strictObject({
  reason: Why,
  /** All nodes when absent. */
  nodes: z.optional(z.array(Name).check(z.minLength(1), z.maxLength(1000))),
})
export type FreezeBody = Readonly<z.infer<typeof FreezeBody>>

export const FreezeView = z.object({
  name: Name,
  reason: z.string(),
  nodes: z.optional(z.array(Name)),
  actor: z.string(),
  atMs: TimeMs,
})
/** By name. */
export type FreezeView = Readonly<z.infer<typeof FreezeView>>
export const FreezeList = z.object({ freezes: z.array(FreezeView), next: Next })
