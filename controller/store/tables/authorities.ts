// The certificate authorities, generation after generation. Their private keys are here sealed only.

import type { Kysely, Selectable, UpdateResult } from 'kysely'
import { assert } from '../../../shared/assert.ts'
import { AuthorityKind, AuthorityState } from '../../../shared/contract/authorities.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import type { Authorities, AuthorityRecord } from '../authorities-store.ts'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting, isTaken } from '../sqlite-errors.ts'

const NO_KEYS = {
  root_key_sealed: null,
  intermediate_key_sealed: null,
  former_key_sealed: null,
} as const

export function authoritiesTable(db: Kysely<Schema>): Authorities {
  const get = async (id: string) => {
    const row = await db
      .selectFrom('authorities')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row && toAuthority(row)
  }
  return {
    get,
    async list(kind) {
      const rows = await db
        .selectFrom('authorities')
        .selectAll()
        .where('kind', '=', kind)
        .orderBy('number')
        .execute()
      return rows.map(toAuthority)
    },
    async active(kind) {
      const row = await db
        .selectFrom('authorities')
        .selectAll()
        .where('kind', '=', kind)
        .where('state', '=', 'active')
        .executeTakeFirst()
      return row && toAuthority(row)
    },
    async insert(record) {
      const insert = db.insertInto('authorities').values(toRow(record)).execute()
      await inserting(`the CA ${record.id}`, insert)
    },
    async setState(id, state, atMs) {
      const update = db
        .updateTable('authorities')
        .set({ state, changed_at_ms: atMs, ...(state === 'denied' ? NO_KEYS : {}) })
        .where('id', '=', id)
        .executeTakeFirst()
      required(id, await update.catch(error => refuseSecond(id, error)))
    },
    async taint(id, atMs) {
      const update = await db
        .updateTable('authorities')
        .set(eb => ({ tainted_at_ms: eb.fn.coalesce('tainted_at_ms', eb.val(atMs)) }))
        .where('id', '=', id)
        .executeTakeFirst()
      required(id, update)
    },
    async replaceIntermediate(id, { certificate, keySealed }) {
      const update = await db
        .updateTable('authorities')
        .set(eb => ({
          former_intermediates: eb(
            'former_intermediates',
            '||',
            eb.ref('intermediate_certificate'),
          ),
          former_key_sealed: eb.ref('intermediate_key_sealed'),
          intermediate_certificate: certificate,
          intermediate_key_sealed: keySealed,
        }))
        .where('id', '=', id)
        .executeTakeFirst()
      required(id, update)
    },
    async destroyKeys(id) {
      const update = await db
        .updateTable('authorities')
        .set(NO_KEYS)
        .where('id', '=', id)
        .executeTakeFirst()
      required(id, update)
    },
  }
}

function required(id: string, { numUpdatedRows }: UpdateResult): void {
  if (numUpdatedRows === 0n) throw new OperationalError('not-found', `there is no CA ${id}`)
}

function refuseSecond(id: string, error: unknown): never {
  if (!isTaken(error)) throw error
  throw new OperationalError('authority-conflict', `could not make ${id} the CA that signs`, {
    cause: error,
    hint: 'Another one of its kind does; it becomes `outgoing` first.',
  })
}

function toRow(record: AuthorityRecord) {
  return {
    id: record.id,
    kind: record.kind,
    number: numberOf(record.id, record.kind),
    state: record.state,
    root_certificate: record.rootCertificate,
    intermediate_certificate: record.intermediateCertificate,
    former_intermediates: record.formerIntermediates.join(''),
    root_key_sealed: record.rootKeySealed ?? null,
    intermediate_key_sealed: record.intermediateKeySealed ?? null,
    former_key_sealed: record.formerKeySealed ?? null,
    tainted_at_ms: record.taintedAtMs ?? null,
    created_at_ms: record.createdAtMs,
    changed_at_ms: record.changedAtMs,
  }
}

// The id is made of it; lists are in its order.
function numberOf(id: string, kind: AuthorityKind): number {
  const [, number] = /^(?:identity|service)-([1-9]\d{0,5})$/.exec(id) ?? []
  assert(number !== undefined && id === `${kind}-${number}`, `${id} names a CA`)
  return Number(number)
}

function toAuthority(row: Selectable<Schema['authorities']>): AuthorityRecord {
  return {
    id: row.id,
    kind: readWord('the kind of an authority', row.kind, AuthorityKind.options),
    state: readWord('the state of an authority', row.state, AuthorityState.options),
    rootCertificate: row.root_certificate,
    intermediateCertificate: row.intermediate_certificate,
    formerIntermediates: splitPemCertificates(row.former_intermediates),
    rootKeySealed: row.root_key_sealed ?? undefined,
    intermediateKeySealed: row.intermediate_key_sealed ?? undefined,
    formerKeySealed: row.former_key_sealed ?? undefined,
    taintedAtMs: row.tainted_at_ms ?? undefined,
    createdAtMs: row.created_at_ms,
    changedAtMs: row.changed_at_ms,
  }
}
