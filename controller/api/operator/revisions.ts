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
import { limitOf, numberAfter, PAGE_QUERY, pageOf } from '../paging.ts'

const NUMBER_MAX = 1_000_000_000

const Query = z.strictObject(PAGE_QUERY)
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
      const limit = limitOf(request.query)
      const before = numberAfter('revisions', request.query)
      const page = { ...(before === undefined ? {} : { before }), limit: limit + 1 }
      const found = await store.transaction(tx => tx.revisions.list(page))
      const { shown, next } = pageOf('revisions', { found, limit }, ({ number }) => number)
      return { revisions: shown.map(withoutText), ...next }
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
