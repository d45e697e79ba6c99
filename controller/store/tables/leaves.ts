// Service certificates that the internal CA has issued.

import type { Kysely, Selectable } from 'kysely'
import { ServiceName } from '../../../shared/contract/service.ts'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { LeafRecord, Leaves } from '../store.ts'

export function leavesTable(db: Kysely<Schema>): Leaves {
  return {
    async insert(leaf) {
      const values = {
        fingerprint: leaf.fingerprint,
        serial: leaf.serial,
        node: leaf.node,
        service: leaf.service,
        public_key_digest: leaf.publicKeyDigest,
        certificate_chain: leaf.certificateChain,
        not_before_ms: leaf.notBeforeMs,
        not_after_ms: leaf.notAfterMs,
        issued_at_ms: leaf.issuedAtMs,
      }
      await inserting(`leaf ${leaf.serial}`, db.insertInto('leaves').values(values).execute())
    },
    async findByKey(node, service, publicKeyDigest) {
      const row = await db
        .selectFrom('leaves')
        .selectAll()
        .where('public_key_digest', '=', publicKeyDigest)
        .where('node', '=', node)
        .where('service', '=', service)
        .orderBy('issued_at_ms', 'desc')
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toLeaf(row)
    },
    async keyUsedByOther(node, service, publicKeyDigest) {
      const row = await db
        .selectFrom('leaves')
        .select('sequence')
        .where('public_key_digest', '=', publicKeyDigest)
        .where(eb => eb.or([eb('node', '!=', node), eb('service', '!=', service)]))
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
    async listByNode(node) {
      const rows = await db
        .selectFrom('leaves')
        .selectAll()
        .where('node', '=', node)
        .orderBy('issued_at_ms')
        .orderBy('sequence')
        .execute()
      return rows.map(toLeaf)
    },
  }
}

function toLeaf(row: Selectable<Schema['leaves']>): LeafRecord {
  return {
    fingerprint: row.fingerprint,
    serial: row.serial,
    node: row.node,
    service: readWord('a service', row.service, ServiceName.options),
    publicKeyDigest: row.public_key_digest,
    certificateChain: row.certificate_chain,
    notBeforeMs: row.not_before_ms,
    notAfterMs: row.not_after_ms,
    issuedAtMs: row.issued_at_ms,
  }
}
