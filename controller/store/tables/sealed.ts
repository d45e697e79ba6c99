// The columns that hold what is sealed. Settings that do are ca/ca-settings.ts' own.

import type { Kysely } from 'kysely'
import type { Schema } from '../schema.ts'
import type { SealedKeys } from '../sealed-store.ts'

type Change = (envelope: string) => string

export function sealedKeys(db: Kysely<Schema>): SealedKeys {
  return {
    async replaceAll(change) {
      const counts = [await authorities(db, change), await provided(db, change)]
      return counts.reduce((sum, count) => sum + count, await acmeAccounts(db, change))
    },
  }
}

const AUTHORITY_KEYS = ['root_key_sealed', 'intermediate_key_sealed', 'former_key_sealed'] as const

async function authorities(db: Kysely<Schema>, change: Change): Promise<number> {
  let count = 0
  const rows = await db
    .selectFrom('authorities')
    .select(['id', ...AUTHORITY_KEYS])
    .execute()
  for (const { id, ...keys } of rows)
    for (const column of AUTHORITY_KEYS) {
      const envelope = keys[column]
      if (envelope === null) continue
      count++
      const values = { [column]: change(envelope) }
      await db.updateTable('authorities').set(values).where('id', '=', id).execute()
    }
  return count
}

async function provided(db: Kysely<Schema>, change: Change): Promise<number> {
  const rows = await db.selectFrom('provided').select(['sequence', 'key_sealed']).execute()
  for (const { sequence, key_sealed } of rows)
    await db
      .updateTable('provided')
      .set({ key_sealed: change(key_sealed) })
      .where('sequence', '=', sequence)
      .execute()
  return rows.length
}

async function acmeAccounts(db: Kysely<Schema>, change: Change): Promise<number> {
  const rows = await db
    .selectFrom('acme_accounts')
    .select(['directory', 'directory_url', 'key_sealed'])
    .execute()
  for (const { directory, directory_url, key_sealed } of rows)
    await db
      .updateTable('acme_accounts')
      .set({ key_sealed: change(key_sealed) })
      .where('directory', '=', directory)
      .where('directory_url', '=', directory_url)
      .execute()
  return rows.length
}
