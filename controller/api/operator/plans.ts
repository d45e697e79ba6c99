// POST plans: what a spec would change, asked of the nodes themselves. Writes nothing.

import {
  OPERATOR_ROUTES,
  type PlannedNodeView,
  PlanView,
  SpecBody,
} from '../../../shared/contract/operator-api.ts'
import type { PreviewAnswer } from '../../../shared/contract/report.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { NodeRecord } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { departureOf } from '../fields.ts'
import { compileSpec } from './spec.ts'

export function planRoute(app: App, context: ApiContext): void {
  const { store } = context
  app.post(
    OPERATOR_ROUTES.plans,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Plan a fleet spec: every selected node says what it would change',
        body: SpecBody,
        response: { 200: PlanView },
      },
    },
    async (request, reply): Promise<PlanView> => {
      const { spec, waitMs } = request.body
      const compiled = await store.transaction(tx => compileSpec(context, tx, spec))
      const signal = AbortSignal.any([context.closing, departureOf(reply)])
      const nodes = await Promise.all(
        compiled.fleet.nodes.map(async ({ node, content }): Promise<PlannedNodeView> => {
          const absent = absence(context, compiled.records.get(node))
          if (absent !== undefined) return unreachable(node, absent)
          return planned(node, await context.previews.ask({ node, content, waitMs, signal }))
        }),
      )
      return {
        specDigest: compiled.digest,
        nodes,
        changes: nodes.filter(({ result }) => result === 'changes' || result === 'unreachable')
          .length,
        unselected: [...compiled.fleet.unselected],
      }
    },
  )
}

function absence({ presence }: ApiContext, record: NodeRecord | undefined): Reason | undefined {
  if (record?.enrolledAtMs === undefined)
    return { code: 'not-enrolled', message: 'no agent has enrolled as this node yet' }
  if (!presence.isOnline({ node: record.name, seenAtMs: record.seenAtMs }))
    return { code: 'node-silent', message: 'the agent does not answer' }
  return undefined
}

function unreachable(node: string, reason: Reason): PlannedNodeView {
  return { node, result: 'unreachable', reason, services: [] }
}

/** What an agent's answer comes to. Pure. */
export function planned(node: string, answer: PreviewAnswer | undefined): PlannedNodeView {
  if (answer === undefined)
    return unreachable(node, { code: 'no-answer', message: 'the agent did not answer in time' })
  const { services, problem } = answer
  if (problem !== undefined) return { node, result: 'unsupported', reason: problem, services }
  const refused = services.find(({ outcome }) => outcome === 'unsupported' || outcome === 'failed')
  if (refused !== undefined)
    return { node, result: 'unsupported', reason: refused.reason, services }
  const changed = services.find(
    ({ changes, activation, outcome }) =>
      changes.length > 0 || activation !== 'none' || outcome === 'planned',
  )
  if (changed !== undefined) return { node, result: 'changes', reason: changed.reason, services }
  const reason = { code: 'in-sync', message: 'the node is as the spec wants it' }
  return { node, result: 'none', reason, services }
}
