// GET enrollment-tokens: which there are, and whether somebody may still come with them. Their secrets
// are nowhere.

import * as z from 'zod/mini'
import {
  EnrollmentTokenList,
  type EnrollmentTokenView,
  OPERATOR_ROUTES,
} from '../../../shared/contract/operator-api.ts'
import { Name } from '../../../shared/contract/schema.ts'
import type { EnrollmentTokenRecord } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'

const Query = z.strictObject({ ...PAGE_QUERY, node: z.optional(Name) })

export function enrollmentTokenRoutes(app: App, { store, clock }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.enrollmentTokens,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List enrolment tokens, without their secrets',
        querystring: Query,
        response: { 200: EnrollmentTokenList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const after = keyAfter('tokens', query)
      const { node } = query
      const found = await store.transaction(tx =>
        tx.tokens.list({
          ...(after === undefined ? {} : { after }),
          limit: limit + 1,
          ...(node === undefined ? {} : { node }),
        }),
      )
      const { shown, next } = pageOf('tokens', { found, limit }, ({ id }) => id)
      return { tokens: shown.map(one => tokenView(one, clock.now())), ...next }
    },
  )
}

function tokenView(token: EnrollmentTokenRecord, nowMs: number): EnrollmentTokenView {
  const { id, node, redeemedBy, createdAtMs, expiresAtMs } = token
  const rest = expiresAtMs <= nowMs ? 'expired' : 'open'
  return { id, node, state: redeemedBy === undefined ? rest : 'redeemed', createdAtMs, expiresAtMs }
}
