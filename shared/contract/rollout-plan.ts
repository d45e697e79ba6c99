// The plan of a rollout as operators see it: who moves in which batch and order, within which limits,
// and what each node itself says it would change.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { DisruptionClass } from './planned.ts'
import { ServiceReport } from './report.ts'
import { Digest, Name, Reason } from './schema.ts'

export const ROLLOUT_PLAN_ROUTE = '/v1/rollouts/:id/plan'

/** In place of a digest: every node is there already. */
export const NO_PLAN = 'none'

/** `changes`: it would change; `none`: nothing to do; `unreachable`: no answer, the diff is unknown; `unsupported`: the node refuses. */
export const PreviewResult = z.enum(['changes', 'none', 'unreachable', 'unsupported'])
export type PreviewResult = z.infer<typeof PreviewResult>

/** What a node said it would change when the plan was made; of what it serves and of its certificates nothing is kept. */
export const NodePreview = z.object({
  result: PreviewResult,
  reason: Reason,
  services: z.array(ServiceReport).check(z.maxLength(32)),
})
export type NodePreview = Readonly<z.infer<typeof NodePreview>>

/** Held to no diff: whatever it finds when its turn comes is brought to the content of the plan. */
export const UnheldNode = z.object({ node: Name, reason: Reason })
export type UnheldNode = Readonly<z.infer<typeof UnheldNode>>

export const PlannedStep = z.object({
  node: Name,
  /** Digests of the contents before and after; no `from`: its first one. */
  from: z.optional(Digest),
  to: Digest,
  /** Nodes of a lower rank are settled before one of a higher rank moves. */
  rank: z.int(),
  /** The most that any of its services is disturbed; absent: the node was not heard, or has a service that is stopped. */
  disruption: z.optional(DisruptionClass),
  /** Digest of what it said it would change, and is held to. Absent: it was not asked, or did not answer; it is then held to nothing but `to`. */
  heldTo: z.optional(Digest),
  /** Of a rollout that ended long ago it is kept no longer. */
  preview: z.optional(NodePreview),
})
export type PlannedStep = Readonly<z.infer<typeof PlannedStep>>

export const RolloutPlanView = z.object({
  /** Equal plans have equal digests: of all below but `author`. */
  digest: Digest,
  kind: z.enum(['change', 'rollback', 'retry']),
  revision: z.int(),
  author: z.string(),
  parent: z.optional(z.string()),
  /** As they are in force, times in milliseconds. */
  settings: z.record(z.string(), z.unknown()),
  /** How many members of a group may be out at once. */
  groups: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      members: z.array(Name),
      limit: z.int(),
    }),
  ),
  /** What is interrupted although every node is switched with care. */
  windows: z.array(Reason),
  /** Groups that are stopped, changed and started as a whole, in the order in which they start. */
  together: z.optional(z.array(z.string())),
  phases: z.array(
    z.object({
      name: z.string(),
      /** The next phase begins when every node of this one is done. */
      barrier: z.boolean(),
      /** Its groups are stopped and changed as a whole. */
      coordinated: z.boolean(),
      maxFailures: z.int(),
      batches: z.array(
        z.object({
          rule: z.enum(['strict', 'wide']),
          soakMs: z.int(),
          promote: z.enum(['manual', 'automatic']),
          /** Nodes of the batch, of which `nodes` may be a part. */
          count: z.optional(z.int()),
          /** In the order in which they move. */
          nodes: z.array(PlannedStep),
        }),
      ),
    }),
  ),
})
export type RolloutPlanView = Readonly<z.infer<typeof RolloutPlanView>>

/**
 * GET plan of a rollout, in pages of nodes in the order in which they move. Every page has all phases and
 * batches, each with the nodes that are on this page; `groups` and `windows` are told on the first one.
 */
export const RolloutPlanPage = z.extend(RolloutPlanView, { next: Next })
export type RolloutPlanPage = Readonly<z.infer<typeof RolloutPlanPage>>
