// GET leases: who may be disruptive in which group, now.

import * as z from 'zod/mini'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { LeaseList } from '../../../shared/contract/rollout-verbs.ts'
import { Name } from '../../../shared/contract/schema.ts'
import type { LeasePage } from '../../store/rollouts-store.ts'
import type { ApiContext, App } from '../context.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'

const Query = z.strictObject({
  ...PAGE_QUERY,
  group: z.optional(z.string().check(z.minLength(1), z.maxLength(300))),
  node: z.optional(Name),
})

export function leaseRoutes(app: App, { store }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.leases,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List leases: which nodes may be disruptive, and for what',
        querystring: Query,
        response: { 200: LeaseList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const { group, node } = query
      const found = await store.transaction(tx =>
        tx.leases.all({
          ...placeOf(keyAfter('leases', query)),
          limit: limit + 1,
          ...(group === undefined ? {} : { group }),
          ...(node === undefined ? {} : { node }),
        }),
      )
      // Names of groups may have slashes in them, names of nodes have not.
      const { shown, next } = pageOf('leases', { found, limit }, one => `${one.group}/${one.node}`)
      const leases = shown.map(one => {
        const { purpose, generation, takenAtMs } = one
        return { group: one.group, node: one.node, purpose, generation, takenAtMs }
      })
      return { leases, ...next }
    },
  )
}

function placeOf(key: string | undefined): Pick<LeasePage, 'after'> {
  if (key === undefined) return {}
  const at = key.lastIndexOf('/')
  return { after: { group: key.slice(0, at), node: key.slice(at + 1) } }
}
