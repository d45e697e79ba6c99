// Rollouts that a node was in, as the operator's API answers them: one step of each, however large the fleet is.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { RolloutStatus, StepView } from './operator-api.ts'
import { TimeMs } from './schema.ts'

export const NODE_ROLLOUTS_ROUTE = '/v1/nodes/:name/rollouts'

export const NodeRollout = z.object({
  /** Its id. */
  rollout: z.string(),
  revision: z.int(),
  author: z.string(),
  status: RolloutStatus,
  endedAtMs: z.optional(TimeMs),
  /** Of this node. */
  step: StepView,
})
export type NodeRollout = Readonly<z.infer<typeof NodeRollout>>

/** Newest first. */
export const NodeRolloutList = z.object({ rollouts: z.array(NodeRollout), next: Next })
export type NodeRolloutList = Readonly<z.infer<typeof NodeRolloutList>>
