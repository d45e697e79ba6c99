// POST nodes/:name/plan: what applying the newest revision would change on one node, asked of the node
// itself. Writes nothing. A plan of the whole spec would ask every node of the fleet for it.

import { NODE_PLAN_ROUTE, NodePlanBody, NodePlanView } from '../../../shared/contract/node-plan.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { ApiContext, App } from '../context.ts'
import { departureOf, NodeParams } from '../fields.ts'
import { absence, plannedNode, unreachable } from '../gather-previews.ts'
import { requireNode } from './nodes.ts'
import { compileSpec } from './spec.ts'

export function nodePlanRoute(app: App, context: ApiContext): void {
  app.post(
    NODE_PLAN_ROUTE,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Plan the newest revision on one node',
        params: NodeParams,
        body: NodePlanBody,
        response: { 200: NodePlanView },
      },
    },
    async (request, reply): Promise<NodePlanView> => {
      const { name: node } = request.params
      const { waitMs } = request.body
      const { record, revision, content } = await context.store.transaction(async tx => {
        const found = await requireNode(tx, node)
        const latest = await tx.revisions.latest()
        if (latest === undefined)
          throw new OperationalError('nothing-to-do', 'there is no revision to plan yet')
        const world = { ca: context.authorities.current().service.ca, isStored: true }
        const { fleet } = await compileSpec(context, tx, latest.text, world)
        const compiled = fleet.nodes.find(one => one.node === node)
        return { record: found, revision: latest.number, content: compiled?.content }
      })
      if (content === undefined) {
        const reason = {
          code: 'nothing-desired',
          message: 'the newest revision does not select it',
        }
        return { node, result: 'none', reason, services: [], revision }
      }
      const absent = absence(context, record)
      if (absent !== undefined) return { ...unreachable(node, absent), revision }
      const signal = AbortSignal.any([context.closing, departureOf(reply)])
      const answer = await context.previews.ask({ node, content, waitMs, signal })
      return { ...plannedNode(node, answer), revision }
    },
  )
}
