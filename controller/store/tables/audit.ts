// The audit log; audit-chain.ts has the rule of its hashes.

import type { Kysely, Selectable } from 'kysely'
import { AUDIT_GENESIS, auditHash } from '../audit-chain.ts'
import { readReason, writeReason } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { Audit, AuditRecord } from '../store.ts'

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
