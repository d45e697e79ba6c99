// Agents' certificates, and with them the denylist; they outlive their nodes.

import type { Kysely, Selectable } from 'kysely'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { Identities, IdentityRecord } from '../store.ts'

export function identitiesTable(db: Kysely<Schema>): Identities {
  return {
    async insert(identity) {
      const values = {
        fingerprint: identity.fingerprint,
        node: identity.node,
        public_key_digest: identity.publicKeyDigest,
        certificate_chain: identity.certificateChain,
        not_after_ms: identity.notAfterMs,
        issued_at_ms: identity.issuedAtMs,
        denied_at_ms: identity.deniedAtMs ?? null,
      }
      const insert = db.insertInto('identities').values(values).execute()
      await inserting(`identity ${identity.fingerprint}`, insert)
    },
    async findByKey(node, publicKeyDigest) {
      const row = await db
        .selectFrom('identities')
        .selectAll()
        .where('public_key_digest', '=', publicKeyDigest)
        .where('node', '=', node)
        .orderBy('issued_at_ms', 'desc')
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toIdentity(row)
    },
    async get(fingerprint) {
      const row = await db
        .selectFrom('identities')
        .selectAll()
        .where('fingerprint', '=', fingerprint)
        .executeTakeFirst()
      return row && toIdentity(row)
    },
    async keyUsedByOther(node, publicKeyDigest) {
      const row = await db
        .selectFrom('identities')
        .select('sequence')
        .where('public_key_digest', '=', publicKeyDigest)
        .where('node', '!=', node)
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
    async deny(node, atMs) {
      await db
        .updateTable('identities')
        .set({ denied_at_ms: atMs })
        .where('node', '=', node)
        .where('denied_at_ms', 'is', null)
        .execute()
    },
    async denied(nowMs) {
      const rows = await db
        .selectFrom('identities')
        .select('fingerprint')
        .where('denied_at_ms', 'is not', null)
        .where('not_after_ms', '>=', nowMs)
        .orderBy('not_after_ms')
        .execute()
      return rows.map(row => row.fingerprint)
    },
  }
}

function toIdentity(row: Selectable<Schema['identities']>): IdentityRecord {
  return {
    fingerprint: row.fingerprint,
    node: row.node,
    publicKeyDigest: row.public_key_digest,
    certificateChain: row.certificate_chain,
    notAfterMs: row.not_after_ms,
    issuedAtMs: row.issued_at_ms,
    deniedAtMs: row.denied_at_ms ?? undefined,
  }
}
