// Rollouts that a node was in. The audit log has the rest of its history: `GET /v1/audit?target=NAME`.

import * as z from 'zod/mini'
import {
  NODE_ROLLOUTS_ROUTE,
  type NodeRollout,
  NodeRolloutList,
} from '../../../shared/contract/node-history.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { NodeStepRecord } from '../../store/node-history-store.ts'
import type { ApiContext, App } from '../context.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'

const COLLECTION = 'node-rollouts'

export function nodeHistoryRoute(app: App, { store }: ApiContext): void {
  app.get(
    NODE_ROLLOUTS_ROUTE,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List rollouts that a node was in, newest first, with its step of each',
        params: z.strictObject({ name: Name }),
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: NodeRolloutList },
      },
    },
    ({ params: { name }, query }) =>
      store.transaction(async tx => {
        if ((await tx.nodes.get(name)) === undefined)
          throw new OperationalError('not-found', `there is no node ${name}`)
        const limit = limitOf(query)
        const before = keyAfter(COLLECTION, query)
        const page = { limit: limit + 1, ...(before === undefined ? {} : { before }) }
        const found = await tx.nodeHistory.rollouts(name, page)
        const { shown, next } = pageOf(COLLECTION, { found, limit }, ({ rollout }) => rollout)
        return { rollouts: shown.map(record => rolloutOf(name, record)), ...next }
      }),
  )
}

function rolloutOf(node: string, record: NodeStepRecord): NodeRollout {
  const { rollout, revision, author, status, endedAtMs, state, generation, reason, sinceMs } =
    record
  return {
    rollout,
    revision,
    author,
    status,
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
    step: {
      node,
      state,
      ...(generation === undefined ? {} : { generation }),
      ...(reason === undefined ? {} : { reason }),
      sinceMs,
    },
  }
}
