// Pairs that operators have uploaded. Their private keys are here sealed only.

import type { Kysely, Selectable } from 'kysely'
import type { ProvidedPairs, ProvidedRecord } from '../provided-store.ts'
import type { Schema } from '../schema.ts'

export function providedTable(db: Kysely<Schema>): ProvidedPairs {
  const remove = (name: string, fingerprint: string) =>
    db
      .deleteFrom('provided')
      .where('name', '=', name)
      .where('fingerprint', '=', fingerprint)
      .executeTakeFirst()

  return {
    async put(record) {
      // Removed first, so that its place in the order is the last one.
      await remove(record.name, record.fingerprint)
      const values = {
        name: record.name,
        fingerprint: record.fingerprint,
        certificate_chain: record.certificateChain,
        trust: record.trust,
        key_sealed: record.keySealed,
        uploaded_at_ms: record.uploadedAtMs,
        uploaded_by: record.uploadedBy,
      }
      await db.insertInto('provided').values(values).execute()
    },
    async current(name) {
      const row = await db
        .selectFrom('provided')
        .selectAll()
        .where('name', '=', name)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toRecord(row)
    },
    async get(name, fingerprint) {
      const row = await db
        .selectFrom('provided')
        .selectAll()
        .where('name', '=', name)
        .where('fingerprint', '=', fingerprint)
        .executeTakeFirst()
      return row && toRecord(row)
    },
    async list() {
      const rows = await db
        .selectFrom('provided')
        .selectAll()
        .orderBy('name')
        .orderBy('sequence', 'desc')
        .execute()
      return rows.map(toRecord)
    },
    async remove(name, fingerprint) {
      return (await remove(name, fingerprint)).numDeletedRows > 0n
    },
  }
}

function toRecord(row: Selectable<Schema['provided']>): ProvidedRecord {
  return {
    name: row.name,
    fingerprint: row.fingerprint,
    certificateChain: row.certificate_chain,
    trust: row.trust,
    keySealed: row.key_sealed,
    uploadedAtMs: row.uploaded_at_ms,
    uploadedBy: row.uploaded_by,
  }
}
