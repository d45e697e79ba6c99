// Operators' credentials, hashes only.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import { type CredentialRecord, type Credentials, ROLES } from '../operators-store.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'

export function credentialsTable(db: Kysely<Schema>): Credentials {
  return {
    async insert(credential) {
      const values = {
        id: credential.id,
        name: credential.name,
        role: credential.role,
        secret_hash: credential.secretHash,
        created_at_ms: credential.createdAtMs,
        created_by: credential.createdBy,
        expires_at_ms: credential.expiresAtMs ?? null,
      }
      const insert = db.insertInto('credentials').values(values).execute()
      await inserting(`credential ${credential.id}`, insert)
    },
    async get(id) {
      const row = await db
        .selectFrom('credentials')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst()
      return row && toCredential(row)
    },
    async list() {
      const rows = await db.selectFrom('credentials').selectAll().orderBy('sequence').execute()
      return rows.map(toCredential)
    },
    async touch(id, atMs) {
      await db
        .updateTable('credentials')
        .set({ last_used_at_ms: atMs })
        .where('id', '=', id)
        .execute()
    },
    async remove(id) {
      const { numDeletedRows } = await db
        .deleteFrom('credentials')
        .where('id', '=', id)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },
  }
}

function toCredential(row: Selectable<Schema['credentials']>): CredentialRecord {
  return {
    id: row.id,
    name: row.name,
    role: readWord('a role', row.role, ROLES),
    secretHash: row.secret_hash,
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    expiresAtMs: row.expires_at_ms ?? undefined,
    lastUsedAtMs: row.last_used_at_ms ?? undefined,
  }
}
