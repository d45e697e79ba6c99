// Small values by name.

import type { Kysely } from 'kysely'
import type { Schema } from '../schema.ts'
import type { Settings } from '../store.ts'

export function settingsTable(db: Kysely<Schema>): Settings {
  return {
    async get(name) {
      const row = await db
        .selectFrom('settings')
        .select('value')
        .where('name', '=', name)
        .executeTakeFirst()
      return row?.value
    },
    async set(name, value) {
      await db
        .insertInto('settings')
        .values({ name, value })
        .onConflict(conflict => conflict.column('name').doUpdateSet({ value }))
        .execute()
    },
  }
}
