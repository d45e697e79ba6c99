// The two certificate authorities. Their private keys are here sealed only.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { Authorities, AuthorityRecord } from '../store.ts'

const KINDS = ['identity', 'service'] as const

export function authoritiesTable(db: Kysely<Schema>): Authorities {
  return {
    async get(kind) {
      const row = await db
        .selectFrom('authorities')
        .selectAll()
        .where('kind', '=', kind)
        .executeTakeFirst()
      return row && toAuthority(row)
    },
    async insert(record) {
      const values = {
        kind: record.kind,
        root_certificate: record.rootCertificate,
        intermediate_certificate: record.intermediateCertificate,
        root_key_sealed: record.rootKeySealed,
        intermediate_key_sealed: record.intermediateKeySealed,
        created_at_ms: record.createdAtMs,
      }
      await inserting(
        `the ${record.kind} authority`,
        db.insertInto('authorities').values(values).execute(),
      )
    },
  }
}

function toAuthority(row: Selectable<Schema['authorities']>): AuthorityRecord {
  return {
    kind: readWord('the kind of an authority', row.kind, KINDS),
    rootCertificate: row.root_certificate,
    intermediateCertificate: row.intermediate_certificate,
    rootKeySealed: row.root_key_sealed,
    intermediateKeySealed: row.intermediate_key_sealed,
    createdAtMs: row.created_at_ms,
  }
}
