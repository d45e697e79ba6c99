// Agents' certificates, and with them the denylist; they outlive their nodes.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { Denial, DenialCause, Identities, IdentityRecord } from '../store.ts'

export function identitiesTable(db: Kysely<Schema>): Identities {
  const select = () => db.selectFrom('identities').selectAll()
  return {
    async insert(identity) {
      const record = { ...identity, generation: await nextGeneration(db, identity.node) }
      const insert = db.insertInto('identities').values(toRow(record)).execute()
      await inserting(`identity ${identity.fingerprint}`, insert)
      return record
    },
    async findByKey(node, publicKeyDigest) {
      const row = await select()
        .where('public_key_digest', '=', publicKeyDigest)
        .where('node', '=', node)
        .orderBy('issued_at_ms', 'desc')
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toIdentity(row)
    },
    async get(fingerprint) {
      const row = await select().where('fingerprint', '=', fingerprint).executeTakeFirst()
      return row && toIdentity(row)
    },
    async latest(node) {
      const row = await select()
        .where('node', '=', node)
        .where('denied_at_ms', 'is', null)
        .orderBy('generation', 'desc')
        .limit(1)
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
    async confirm(fingerprint, atMs) {
      await db
        .updateTable('identities')
        .set({ confirmed_at_ms: atMs })
        .where('fingerprint', '=', fingerprint)
        .where('confirmed_at_ms', 'is', null)
        .execute()
    },
    async newestConfirmed(node) {
      const row = await select()
        .where('node', '=', node)
        .where('confirmed_at_ms', 'is not', null)
        .orderBy('generation', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toIdentity(row)
    },
    deny: (node, denial) => denyIdentities(db, node, denial),
    async supersede(node, generation, atMs) {
      const { numUpdatedRows } = await db
        .updateTable('identities')
        .set({ denied_at_ms: atMs, denied_for: 'superseded' })
        .where('node', '=', node)
        .where('generation', '>', generation)
        .where('confirmed_at_ms', 'is', null)
        .where('denied_at_ms', 'is', null)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
    async denied(nowMs) {
      const rows = await db
        .selectFrom('identities')
        .select(['fingerprint', 'denied_for'])
        .where('denied_at_ms', 'is not', null)
        .where('not_after_ms', '>=', nowMs)
        .orderBy('not_after_ms')
        .execute()
      return rows.map(row => ({
        fingerprint: row.fingerprint,
        cause: toCause(row.denied_for) ?? 'removed',
      }))
    },
    async prune(endedBeforeMs) {
      const { numDeletedRows } = await db
        .deleteFrom('identities')
        .where('not_after_ms', '<', endedBeforeMs)
        .where(eb =>
          eb.exists(
            eb
              .selectFrom('identities as newer')
              .select('newer.sequence')
              .whereRef('newer.node', '=', 'identities.node')
              .whereRef('newer.generation', '>', 'identities.generation'),
          ),
        )
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}

/** Also when the node itself goes. One that was superseded takes the new cause: nobody may look for a clone by it any more. */
export async function denyIdentities(
  db: Kysely<Schema>,
  node: string,
  { cause, atMs }: Denial,
): Promise<void> {
  await db
    .updateTable('identities')
    .set(eb => ({
      denied_at_ms: eb.fn.coalesce('denied_at_ms', eb.val(atMs)),
      denied_for: cause,
    }))
    .where('node', '=', node)
    .where(eb => eb.or([eb('denied_at_ms', 'is', null), eb('denied_for', '=', 'superseded')]))
    .execute()
}

async function nextGeneration(db: Kysely<Schema>, node: string): Promise<number> {
  const row = await db
    .selectFrom('identities')
    .select('generation')
    .where('node', '=', node)
    .orderBy('generation', 'desc')
    .limit(1)
    .executeTakeFirst()
  return (row?.generation ?? 0) + 1
}

function toRow(identity: IdentityRecord) {
  return {
    fingerprint: identity.fingerprint,
    node: identity.node,
    public_key_digest: identity.publicKeyDigest,
    certificate_chain: identity.certificateChain,
    generation: identity.generation,
    not_after_ms: identity.notAfterMs,
    issued_at_ms: identity.issuedAtMs,
    confirmed_at_ms: identity.confirmedAtMs ?? null,
    denied_at_ms: identity.deniedAtMs ?? null,
    denied_for: identity.deniedFor ?? null,
  }
}

function toIdentity(row: Selectable<Schema['identities']>): IdentityRecord {
  return {
    fingerprint: row.fingerprint,
    node: row.node,
    publicKeyDigest: row.public_key_digest,
    certificateChain: row.certificate_chain,
    generation: row.generation,
    notAfterMs: row.not_after_ms,
    issuedAtMs: row.issued_at_ms,
    confirmedAtMs: row.confirmed_at_ms ?? undefined,
    deniedAtMs: row.denied_at_ms ?? undefined,
    deniedFor: toCause(row.denied_for),
  }
}

const CAUSES = ['removed', 'replaced', 'revoked', 'cloned', 'superseded'] as const

function toCause(text: string | null): DenialCause | undefined {
  return text === null ? undefined : readWord('why an identity is denied', text, CAUSES)
}
