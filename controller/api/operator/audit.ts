// The audit log: search it, its head to be kept elsewhere, and whether it is what was written.

import * as z from 'zod/mini'
import {
  AUDIT_ROUTES,
  AuditHead,
  AuditList,
  AuditRecordView,
  AuditVerdict,
} from '../../../shared/contract/audit.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { storedLog } from '../../audit/stored-log.ts'
import { headOf, requireAnchor, verifyPieces } from '../../audit/verify.ts'
import type { AuditRecord } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { count, Nothing } from '../fields.ts'

const VIEWER = { policy: { kind: 'operator', role: 'viewer' } } as const
const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

const Word = z.string().check(z.minLength(1), z.maxLength(512))
const Sequence = count(0, Number.MAX_SAFE_INTEGER)
const ListQuery = z.strictObject({
  actor: z.optional(Word),
  action: z.optional(Word),
  target: z.optional(Word),
  since: z.optional(Sequence),
  until: z.optional(Sequence),
  after: z.optional(Sequence),
  before: z.optional(Sequence),
  limit: z.optional(count(1, PAGE_MAX)),
})
const VerifyQuery = z.strictObject({ head: z.optional(z.string().check(z.maxLength(128))) })

export function auditRoutes(app: App, context: ApiContext): void {
  listRoute(app, context)
  recordRoute(app, context)
  headRoute(app, context)
  verifyRoute(app, context)
}

function listRoute(app: App, { store }: ApiContext): void {
  app.get(
    AUDIT_ROUTES.audit,
    {
      config: VIEWER,
      schema: {
        summary: 'Search the audit log: newest first, or oldest first with `after`',
        description:
          '`target` finds a subject and what is below it; `since` (inclusive) and `until` (exclusive) are milliseconds since the epoch.',
        querystring: ListQuery,
        response: { 200: AuditList },
      },
    },
    async request => {
      const { actor, action, target, since, until, after, before } = request.query
      const { limit = PAGE_DEFAULT } = request.query
      const filter = { actor, action, target, sinceMs: since, untilMs: until }
      // One more than the page tells whether there is another.
      const page = { after, before, limit: limit + 1 }
      const found = await store.transaction(tx => tx.audit.find(filter, page))
      const records = found.slice(0, limit)
      const next = found.length > limit ? records.at(-1)?.sequence : undefined
      return { records: records.map(recordView), ...(next === undefined ? {} : { next }) }
    },
  )
}

function recordRoute(app: App, { store }: ApiContext): void {
  app.get(
    AUDIT_ROUTES.record,
    {
      config: VIEWER,
      schema: {
        summary: 'Show a record of the audit log',
        params: z.strictObject({ sequence: Sequence }),
        response: { 200: AuditRecordView },
      },
    },
    async request => {
      const { sequence } = request.params
      const record = await store.transaction(tx => tx.audit.get(sequence))
      if (record !== undefined) return recordView(record)
      throw new OperationalError('not-found', `the audit log has no record ${sequence}`)
    },
  )
}

function headRoute(app: App, { store }: ApiContext): void {
  app.get(
    AUDIT_ROUTES.head,
    {
      config: VIEWER,
      schema: {
        summary: 'Number and hash of the newest record: kept elsewhere, they show a cut',
        querystring: Nothing,
        response: { 200: AuditHead },
      },
    },
    () => store.transaction(async tx => headOf((await tx.audit.find({}, { limit: 1 })).at(0))),
  )
}

function verifyRoute(app: App, { store }: ApiContext): void {
  // Reads all of it.
  let isRunning = false
  app.get(
    AUDIT_ROUTES.verify,
    {
      config: VIEWER,
      schema: {
        summary: 'Does the chain of the audit log hold, and is a head that was kept in it?',
        description:
          'Whoever does not trust this controller verifies an export, or the database itself: `tlsfleet audit verify --export FILE`.',
        querystring: VerifyQuery,
        response: { 200: AuditVerdict },
      },
    },
    async request => {
      const { head } = request.query
      const anchor = head === undefined ? undefined : requireAnchor(head)
      if (isRunning)
        throw new OperationalError('too-many-requests', 'the audit log is being verified already')
      isRunning = true
      try {
        return await verifyPieces(storedLog(store), { anchor })
      } finally {
        isRunning = false
      }
    },
  )
}

function recordView({ reason, ...record }: AuditRecord): AuditRecordView {
  return { ...record, ...(reason === undefined ? {} : { reason }) }
}
