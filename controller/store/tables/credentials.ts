// Operators' credentials, hashes only.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { CredentialRecord, Credentials } from '../store.ts'

const ROLES = ['viewer', 'operator', 'admin'] as const

export function credentialsTable(db: Kysely<Schema>): Credentials {
  return {
    async insert(credential) {
      const values = {
        id: credential.id,
        name: credential.name,
        role: credential.role,
        secret_hash: credential.secretHash,
        created_at_ms: credential.createdAtMs,
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
    expiresAtMs: row.expires_at_ms ?? undefined,
  }
}
