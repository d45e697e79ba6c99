// Enrolment tokens: redeemed once, by one key.

import type { Kysely, Selectable } from 'kysely'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { EnrollmentTokenRecord, EnrollmentTokens } from '../store.ts'

export function tokensTable(db: Kysely<Schema>): EnrollmentTokens {
  return {
    async insert(token) {
      const values = {
        id: token.id,
        node: token.node,
        secret_hash: token.secretHash,
        expires_at_ms: token.expiresAtMs,
        redeemed_by: token.redeemedBy ?? null,
        created_at_ms: token.createdAtMs,
        pin: token.pin ?? null,
      }
      const insert = db.insertInto('enrollment_tokens').values(values).execute()
      await inserting(`enrollment token ${token.id}`, insert)
    },
    async get(id) {
      const row = await db
        .selectFrom('enrollment_tokens')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst()
      return row && toToken(row)
    },
    async redeem(id, publicKeyDigest) {
      const { numUpdatedRows } = await db
        .updateTable('enrollment_tokens')
        .set({ redeemed_by: publicKeyDigest })
        .where('id', '=', id)
        .where(eb =>
          eb.or([eb('redeemed_by', 'is', null), eb('redeemed_by', '=', publicKeyDigest)]),
        )
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
    async expireAll(atMs) {
      await db
        .updateTable('enrollment_tokens')
        .set({ expires_at_ms: atMs })
        .where('expires_at_ms', '>', atMs)
        .execute()
    },
    async outstanding(nowMs) {
      const rows = await db
        .selectFrom('enrollment_tokens')
        .selectAll()
        .where('redeemed_by', 'is', null)
        .where('expires_at_ms', '>', nowMs)
        .orderBy('node')
        .orderBy('created_at_ms')
        .execute()
      return rows.map(toToken)
    },
    async list({ after = '', limit, node }) {
      let query = db.selectFrom('enrollment_tokens').selectAll().where('id', '>', after)
      if (node !== undefined) query = query.where('node', '=', node)
      return (await query.orderBy('id').limit(limit).execute()).map(toToken)
    },
    async removeOf(node) {
      await db.deleteFrom('enrollment_tokens').where('node', '=', node).execute()
    },
  }
}

function toToken(row: Selectable<Schema['enrollment_tokens']>): EnrollmentTokenRecord {
  return {
    id: row.id,
    node: row.node,
    secretHash: row.secret_hash,
    expiresAtMs: row.expires_at_ms,
    redeemedBy: row.redeemed_by ?? undefined,
    createdAtMs: row.created_at_ms,
    ...(row.pin === null ? {} : { pin: row.pin }),
  }
}
