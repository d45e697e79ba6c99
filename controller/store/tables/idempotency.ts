// Answers that are given again to requests that come twice.

import { type Kysely, sql } from 'kysely'
import * as z from 'zod/mini'
import { parser } from '../../../shared/contract/schema.ts'
import type { Idempotency, IdempotencyKey } from '../idempotency-store.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'

const parseAnswer = parser(
  'a stored answer',
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('begun') }),
    z.object({
      kind: z.literal('answered'),
      status: z.int(),
      headers: z.record(z.string(), z.string()),
      body: z.string(),
    }),
    z.object({
      kind: z.literal('withheld'),
      status: z.int(),
      why: z.enum(['secret', 'size']),
    }),
  ]),
)

export function idempotencyTable(db: Kysely<Schema>): Idempotency {
  const of = ({ actor, key }: IdempotencyKey) =>
    db.deleteFrom('idempotency').where('actor', '=', actor).where('key', '=', key)
  return {
    async get({ actor, key }) {
      const row = await db
        .selectFrom('idempotency')
        .selectAll()
        .where('actor', '=', actor)
        .where('key', '=', key)
        .executeTakeFirst()
      return (
        row && {
          requestDigest: row.request_digest,
          answer: readJson('a stored answer', row.answer_json, parseAnswer),
          atMs: row.at_ms,
        }
      )
    },
    async put({ actor, key }, { requestDigest, answer, atMs }) {
      const values = {
        request_digest: requestDigest,
        answer_json: JSON.stringify(answer),
        at_ms: atMs,
      }
      await db
        .insertInto('idempotency')
        .values({ actor, key, ...values })
        .onConflict(conflict => conflict.columns(['actor', 'key']).doUpdateSet(values))
        .execute()
    },
    async remove(id) {
      await of(id).execute()
    },
    async prune(beforeMs, keptOfActor) {
      const old = await db
        .deleteFrom('idempotency')
        .where('at_ms', '<', beforeMs)
        .executeTakeFirst()
      const { rows } = await sql<{ actor: string; at_ms: number }>`
        select actor, (select at_ms from idempotency as newer where newer.actor = many.actor
          order by at_ms desc limit 1 offset ${keptOfActor - 1}) as at_ms
        from idempotency as many group by actor having count(*) > ${keptOfActor}`.execute(db)
      let count = Number(old.numDeletedRows)
      for (const { actor, at_ms } of rows) {
        const more = await db
          .deleteFrom('idempotency')
          .where('actor', '=', actor)
          .where('at_ms', '<', at_ms)
          .executeTakeFirst()
        count += Number(more.numDeletedRows)
      }
      return count
    },
  }
}
