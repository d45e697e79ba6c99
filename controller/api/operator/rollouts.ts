// Rollouts: start one from a fleet spec, list, show, follow, abort.

import * as z from 'zod/mini'
import {
  OPERATOR_ROUTES,
  RolloutList,
  RolloutStatus,
  RolloutView,
} from '../../../shared/contract/operator-api.ts'
import { VerbBody } from '../../../shared/contract/rollout-verbs.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { RolloutParams } from '../fields.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'
import { tellVersion } from '../versions.ts'
import { requireRollout, rolloutEventsRoute, viewWithWaits } from './rollout-events.ts'
import { obey } from './rollout-verbs.ts'
import { rolloutPlanRoute } from './rollout-plan.ts'
import { summaryView } from './rollout-view.ts'
import { startRolloutRoute } from './start-rollout.ts'

const ListQuery = z.strictObject({
  ...PAGE_QUERY,
  status: z.optional(
    z
      .union([RolloutStatus, z.array(RolloutStatus).check(z.maxLength(16))])
      .check(z.describe('Repeatable.')),
  ),
  steps: z.optional(
    z
      .enum(['none', 'counts'])
      .check(z.describe('Without steps, which are as many as nodes, or with their numbers only.')),
  ),
})

export function rolloutRoutes(app: App, context: ApiContext): void {
  const { store } = context
  startRolloutRoute(app, context)
  rolloutPlanRoute(app, context)
  rolloutEventsRoute(app, context)
  abortRoute(app, context)

  app.get(
    OPERATOR_ROUTES.rollouts,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List rollouts, newest first',
        querystring: ListQuery,
        response: { 200: RolloutList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const before = keyAfter('rollouts', query)
      const page = {
        limit: limit + 1,
        ...(before === undefined ? {} : { before }),
        ...(query.status === undefined ? {} : { statuses: [query.status].flat() }),
      }
      const { steps } = query
      return store.transaction(async tx => {
        if (steps !== undefined) {
          const found = await tx.rollouts.summaries(page)
          const { shown, next } = pageOf('rollouts', { found, limit }, ({ id }) => id)
          return { rollouts: shown.map(one => summaryView(one, steps)), ...next }
        }
        const found = await tx.rollouts.list(page)
        const { shown, next } = pageOf('rollouts', { found, limit }, ({ id }) => id)
        const rollouts: RolloutView[] = []
        for (const rollout of shown) rollouts.push(await viewWithWaits(tx, rollout))
        return { rollouts, ...next }
      })
    },
  )

  app.get(
    OPERATOR_ROUTES.rollout,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Show a rollout', params: RolloutParams, response: { 200: RolloutView } },
    },
    (request, reply) =>
      store.transaction(async tx => {
        const rollout = await requireRollout(tx, request.params.id)
        tellVersion(reply, rollout.version)
        return viewWithWaits(tx, rollout)
      }),
  )
}

function abortRoute(app: App, context: ApiContext): void {
  app.post(
    OPERATOR_ROUTES.rolloutAbort,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Abort a rollout: nothing new begins, what has begun ends by itself',
        params: RolloutParams,
        body: z.nullish(VerbBody),
        response: { 200: RolloutView },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const given = request.body?.reason
      const message = given === undefined ? `aborted by ${actor}` : `aborted by ${actor}: ${given}`
      const reason = { code: 'operator-abort', message }
      const { id } = request.params
      return obey(context, request, reply, { id, command: { kind: 'abort', reason }, why: reason })
    },
  )
}
