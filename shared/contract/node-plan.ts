// What applying the newest revision would change on one node, as that node says.

import * as z from 'zod/mini'
import { PlannedNodeView } from './operator-api.ts'

export const NODE_PLAN_ROUTE = '/v1/nodes/:name/plan'

/** POST nodes/:name/plan: how long to wait for the answer of its agent. */
export const NodePlanBody = z.strictObject({
  waitMs: z._default(z.int().check(z.minimum(0), z.maximum(60_000)), 15_000),
})
export type NodePlanBody = Readonly<z.infer<typeof NodePlanBody>>

/** `revision`: the newest one. Writes nothing. */
export const NodePlanView = z.extend(PlannedNodeView, { revision: z.int() })
export type NodePlanView = Readonly<z.infer<typeof NodePlanView>>
