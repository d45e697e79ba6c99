// The clock of rollouts, and freezes.

import { type Kysely, sql } from 'kysely'
import * as z from 'zod/mini'
import { parser } from '../../../shared/contract/schema.ts'
import type { ControllerTime, Freezes } from '../groups-store.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { corrupt } from '../sqlite-errors.ts'

const parseScope = parser(
  'scope of a freeze',
  z.union([
    z.literal('all'),
    z.strictObject({
      labels: z.optional(z.record(z.string(), z.array(z.string()))),
      names: z.optional(z.array(z.string())),
    }),
  ]),
)

export function controllerTimeTable(db: Kysely<Schema>): ControllerTime {
  return {
    async get() {
      const row = await db.selectFrom('controller_time').selectAll().executeTakeFirst()
      if (row === undefined) throw corrupt('the store has no controller time', undefined)
      return { timeMs: row.time_ms, version: row.version }
    },
    async advance(expectedVersion, timeMs) {
      const { numUpdatedRows } = await db
        .updateTable('controller_time')
        .set({ time_ms: sql`max(time_ms, ${timeMs})`, version: expectedVersion + 1 })
        .where('version', '=', expectedVersion)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },
  }
}

export function freezesTable(db: Kysely<Schema>): Freezes {
  return {
    async put({ name, scope, reason, actor, atMs }) {
      const values = { scope_json: JSON.stringify(scope), reason, actor, at_ms: atMs }
      await db
        .insertInto('freezes')
        .values({ name, ...values })
        .onConflict(conflict => conflict.column('name').doUpdateSet(values))
        .execute()
    },
    async remove(name) {
      const { numDeletedRows } = await db
        .deleteFrom('freezes')
        .where('name', '=', name)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },
    async list(page) {
      let query = db.selectFrom('freezes').selectAll()
      if (page?.after !== undefined) query = query.where('name', '>', page.after)
      if (page !== undefined) query = query.limit(page.limit)
      const rows = await query.orderBy('name').execute()
      return rows.map(({ name, scope_json, reason, actor, at_ms }) => ({
        name,
        scope: readJson(`scope of freeze ${name}`, scope_json, parseScope),
        reason,
        actor,
        atMs: at_ms,
      }))
    },
  }
}
