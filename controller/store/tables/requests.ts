// Requests for certificates that others sign.

import type { Kysely, Selectable } from 'kysely'
import { Names, parser } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import { readJson, readReason, readWord, writeReason } from '../json-column.ts'
import {
  type CertificateRequestRecord,
  type CertificateRequests,
  REQUEST_ISSUERS,
  REQUEST_STATES,
  type RequestPage,
} from '../requests-store.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'

const parseNames = parser('names', Names)

export function requestsTable(db: Kysely<Schema>): CertificateRequests {
  const newestOfKey = (publicKeyDigest: string) =>
    db
      .selectFrom('certificate_requests')
      .selectAll()
      .where('public_key_digest', '=', publicKeyDigest)
      .orderBy('sequence', 'desc')
      .limit(1)

  return {
    async insert(request) {
      const values = {
        id: request.id,
        node: request.node,
        service: request.service,
        issuer: request.issuer,
        directory: request.directory ?? null,
        public_key_digest: request.publicKeyDigest,
        key_type: request.keyType,
        csr: request.csr,
        names_json: JSON.stringify(request.names),
        client_use: request.clientUse ? 1 : 0,
        lifetime_ms: request.lifetimeMs,
        generation: request.generation,
        created_at_ms: request.createdAtMs,
        state: 'pending',
        reason_json: writeReason(request.reason),
      }
      await inserting(
        `request ${request.id}`,
        db.insertInto('certificate_requests').values(values).execute(),
      )
    },
    async get(id) {
      const row = await db
        .selectFrom('certificate_requests')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirst()
      return row && toRequest(row)
    },
    async findById(prefix) {
      const rows = await db
        .selectFrom('certificate_requests')
        .selectAll()
        .where('id', '>=', prefix)
        // Ids are ASCII: nothing that begins so comes after this.
        .where('id', '<', `${prefix}\x7f`)
        .orderBy('id')
        .limit(2)
        .execute()
      return rows.map(toRequest)
    },
    async findByKey(node, service, publicKeyDigest) {
      const row = await newestOfKey(publicKeyDigest)
        .where('node', '=', node)
        .where('service', '=', service)
        .executeTakeFirst()
      return row && toRequest(row)
    },
    async findByAnyKey(publicKeyDigest) {
      const row = await newestOfKey(publicKeyDigest).executeTakeFirst()
      return row && toRequest(row)
    },
    async keyUsedByOther(node, service, publicKeyDigest) {
      const row = await db
        .selectFrom('certificate_requests')
        .select('sequence')
        .where('public_key_digest', '=', publicKeyDigest)
        .where(eb => eb.or([eb('node', '!=', node), eb('service', '!=', service)]))
        .limit(1)
        .executeTakeFirst()
      return row !== undefined
    },
    list: page => list(db, page),
    async countPending(node) {
      const row = await db
        .selectFrom('certificate_requests')
        .select(eb => eb.fn.countAll<number>().as('count'))
        .where('node', '=', node)
        .where('state', '=', 'pending')
        .executeTakeFirst()
      return row?.count ?? 0
    },
    async countSince(node, sinceMs) {
      const row = await db
        .selectFrom('certificate_requests')
        .select(eb => eb.fn.countAll<number>().as('count'))
        .where('node', '=', node)
        .where('created_at_ms', '>=', sinceMs)
        .executeTakeFirst()
      return row?.count ?? 0
    },
    async note(id, reason) {
      await db
        .updateTable('certificate_requests')
        .set({ reason_json: writeReason(reason) })
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .execute()
    },
    async settle(id, settlement, atMs) {
      const isSigned = settlement.state === 'signed'
      const { numUpdatedRows } = await db
        .updateTable('certificate_requests')
        .set({
          state: settlement.state,
          certificate_chain: isSigned ? settlement.certificateChain : null,
          reason_json: isSigned ? null : writeReason(settlement.reason),
          settled_at_ms: atMs,
        })
        .where('id', '=', id)
        .where('state', '=', 'pending')
        .executeTakeFirst()
      return numUpdatedRows === 1n
    },
    async prune(settledBeforeMs) {
      const { numDeletedRows } = await db
        .deleteFrom('certificate_requests')
        .where('settled_at_ms', '<', settledBeforeMs)
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}

async function list(
  db: Kysely<Schema>,
  { after = 0, limit, state, issuer, node, service }: RequestPage,
): Promise<readonly CertificateRequestRecord[]> {
  let query = db
    .selectFrom('certificate_requests')
    .selectAll()
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(limit)
  if (state !== undefined) query = query.where('state', '=', state)
  if (issuer !== undefined) query = query.where('issuer', '=', issuer)
  if (node !== undefined) query = query.where('node', '=', node)
  if (service !== undefined) query = query.where('service', '=', service)
  return (await query.execute()).map(toRequest)
}

function toRequest(row: Selectable<Schema['certificate_requests']>): CertificateRequestRecord {
  return {
    sequence: row.sequence,
    id: row.id,
    node: row.node,
    service: readWord('a service', row.service, ServiceName.options),
    issuer: readWord('an issuer', row.issuer, REQUEST_ISSUERS),
    directory: row.directory ?? undefined,
    publicKeyDigest: row.public_key_digest,
    keyType: row.key_type,
    csr: row.csr,
    names: readJson(`names of the request ${row.id}`, row.names_json, parseNames),
    clientUse: row.client_use === 1,
    lifetimeMs: row.lifetime_ms,
    generation: row.generation,
    createdAtMs: row.created_at_ms,
    state: readWord('a state', row.state, REQUEST_STATES),
    certificateChain: row.certificate_chain ?? undefined,
    reason: readReason(row.reason_json),
    settledAtMs: row.settled_at_ms ?? undefined,
  }
}
