// However many nodes a fleet has, the past of one is found without reading the steps of the others.

import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import t from 'tap'
import { migrate } from '../../../controller/store/migrate.ts'
import type { Schema } from '../../../controller/store/schema.ts'
import { sqliteDialect } from '../../../controller/store/sqlite-dialect.ts'
import { stepsOfNode } from '../../../controller/store/tables/node-history.ts'

await t.test('steps of a node are looked up, and not searched for', async t => {
  const database = new DatabaseSync(':memory:')
  migrate(database, { path: ':memory:', nowMs: 1 })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) })
  for (const page of [{ limit: 30 }, { limit: 30, before: 'r1' }]) {
    const { sql, parameters } = stepsOfNode(db, 'n1', page).compile()
    const plan = database
      .prepare(`explain query plan ${sql}`)
      .all(...parameters.map(String))
      .map(({ detail }) => String(detail))

    t.match(
      plan.find(line => line.includes('rollout_steps')),
      /SEARCH rollout_steps USING INDEX rollout_steps_by_node \(rollout=\? AND node=\?\)/,
    )
    t.notOk(
      plan.some(line => line.includes('TEMP B-TREE')),
      'and nothing is sorted',
    )
  }
  await db.destroy()
})
