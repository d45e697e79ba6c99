// Revisions: every accepted fleet spec, numbered, with its text.

import * as z from 'zod/mini'
import {
  OPERATOR_ROUTES,
  RevisionList,
  RevisionView,
} from '../../../shared/contract/operator-api.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { RevisionRecord } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { count } from '../fields.ts'

const PAGE_DEFAULT = 50
const PAGE_MAX = 200
const NUMBER_MAX = 1_000_000_000

const Query = z.strictObject({
  before: z.optional(count(1, NUMBER_MAX)),
  limit: z.optional(count(1, PAGE_MAX)),
})
const Params = z.strictObject({ number: count(1, NUMBER_MAX) })

export function revisionRoutes(app: App, { store }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.revisions,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List revisions, newest first',
        querystring: Query,
        response: { 200: RevisionList },
      },
    },
    async request => {
      const { before, limit = PAGE_DEFAULT } = request.query
      const page = { ...(before === undefined ? {} : { before }), limit: limit + 1 }
      const found = await store.transaction(tx => tx.revisions.list(page))
      const shown = found.slice(0, limit)
      const last = shown.at(-1)
      return {
        revisions: shown.map(withoutText),
        ...(found.length > limit && last !== undefined ? { next: last.number } : {}),
      }
    },
  )

  app.get(
    OPERATOR_ROUTES.revision,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Show a revision', params: Params, response: { 200: RevisionView } },
    },
    async request => {
      const { number } = request.params
      const revision = await store.transaction(tx => tx.revisions.get(number))
      if (revision === undefined)
        throw new OperationalError('not-found', `there is no revision ${number}`)
      return { ...withoutText(revision), text: revision.text }
    },
  )
}

function withoutText({ number, digest, author, createdAtMs }: RevisionRecord): RevisionView {
  return { number, digest, author, createdAtMs }
}
