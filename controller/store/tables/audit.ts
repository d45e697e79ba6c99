// The audit log; audit-chain.ts has the rule of its hashes.

import type { Kysely, Selectable } from 'kysely'
import { AUDIT_GENESIS, auditHash } from '../audit-chain.ts'
import { readReason, writeReason } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { Audit, AuditFilter, AuditPage, AuditRecord } from '../audit-store.ts'

export type AuditEntry = Parameters<Audit['append']>[0]

export interface AuditTable extends Audit {
  appendAll(entries: readonly AuditEntry[]): Promise<void>
}

// Seven columns each; SQLite takes 32,766 parameters in a statement.
const ROWS_MAX = 500

export function auditTable(db: Kysely<Schema>): AuditTable {
  const appendAll = async (entries: readonly AuditEntry[]) => {
    const last = await db
      .selectFrom('audit')
      .select(['sequence', 'hash'])
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst()
    let { sequence, hash } = last ?? { sequence: 0, hash: AUDIT_GENESIS }
    const rows = entries.map(({ atMs, actor, action, subject, reason }) => {
      sequence++
      hash = auditHash(hash, { sequence, atMs, actor, action, subject, reason })
      const reason_json = writeReason(reason)
      return { sequence, at_ms: atMs, actor, action, subject, reason_json, hash }
    })
    for (let start = 0; start < rows.length; start += ROWS_MAX) {
      const values = rows.slice(start, start + ROWS_MAX)
      await db.insertInto('audit').values(values).execute()
    }
  }
  return {
    appendAll,
    append: entry => appendAll([entry]),
    async head() {
      const row = await db
        .selectFrom('audit')
        .select(({ fn }) => fn.max('sequence').as('head'))
        .executeTakeFirst()
      return row?.head ?? 0
    },
    find: (filter, page) => find(db, filter, page),
    async get(sequence) {
      const row = await db
        .selectFrom('audit')
        .selectAll()
        .where('sequence', '=', sequence)
        .executeTakeFirst()
      return row && toAudit(row)
    },
    async list({ after, limit }) {
      const rows = await db
        .selectFrom('audit')
        .selectAll()
        .where('sequence', '>', after)
        .orderBy('sequence')
        .limit(limit)
        .execute()
      return rows.map(toAudit)
    },
  }
}

async function find(
  db: Kysely<Schema>,
  { actor, action, target, sinceMs, untilMs }: AuditFilter,
  { after, before, limit }: AuditPage,
): Promise<readonly AuditRecord[]> {
  let rows = db.selectFrom('audit').selectAll()
  if (after !== undefined) rows = rows.where('sequence', '>', after)
  if (before !== undefined) rows = rows.where('sequence', '<', before)
  if (actor !== undefined) rows = rows.where('actor', '=', actor)
  if (action !== undefined) rows = rows.where('action', '=', action)
  if (target !== undefined)
    rows = rows.where(eb =>
      eb.or([
        eb('subject', '=', target),
        // As a range, so that the index serves it: `0` follows `/`.
        eb.and([eb('subject', '>', `${target}/`), eb('subject', '<', `${target}0`)]),
      ]),
    )
  if (sinceMs !== undefined) rows = rows.where('at_ms', '>=', sinceMs)
  if (untilMs !== undefined) rows = rows.where('at_ms', '<', untilMs)
  const order = after === undefined ? 'desc' : 'asc'
  return (await rows.orderBy('sequence', order).limit(limit).execute()).map(toAudit)
}

function toAudit(row: Selectable<Schema['audit']>): AuditRecord {
  return {
    sequence: row.sequence,
    atMs: row.at_ms,
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    reason: readReason(row.reason_json),
    hash: row.hash,
  }
}
