// Fleet specs, numbered.

import type { Kysely, Selectable } from 'kysely'
import type { Schema } from '../schema.ts'
import type { RevisionRecord, Revisions } from '../store.ts'

export function revisionsTable(db: Kysely<Schema>): Revisions {
  const latest = async () => {
    const row = await db
      .selectFrom('revisions')
      .selectAll()
      .orderBy('number', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && toRevision(row)
  }
  return {
    latest,
    async insert(revision) {
      const record = { ...revision, number: ((await latest())?.number ?? 0) + 1 }
      const { number, digest, text, author, createdAtMs } = record
      await db
        .insertInto('revisions')
        .values({ number, digest, text, author, created_at_ms: createdAtMs })
        .execute()
      return record
    },
    async get(number) {
      const row = await db
        .selectFrom('revisions')
        .selectAll()
        .where('number', '=', number)
        .executeTakeFirst()
      return row && toRevision(row)
    },
    async list({ before, limit }) {
      let query = db.selectFrom('revisions').selectAll()
      if (before !== undefined) query = query.where('number', '<', before)
      const rows = await query.orderBy('number', 'desc').limit(limit).execute()
      return rows.map(toRevision)
    },
  }
}

function toRevision(row: Selectable<Schema['revisions']>): RevisionRecord {
  return {
    number: row.number,
    digest: row.digest,
    text: row.text,
    author: row.author,
    createdAtMs: row.created_at_ms,
  }
}
