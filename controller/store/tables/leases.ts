// Who may be disruptive in which group. Nothing here is ever freed by time.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { LeaseRecord, Leases } from '../store.ts'

const PURPOSES = ['rollout', 'renewal', 'correction'] as const

export function leasesTable(db: Kysely<Schema>): Leases {
  return {
    async take({ group, node, purpose, generation, takenAtMs }) {
      const values = { purpose, generation, taken_at_ms: takenAtMs }
      await db
        .insertInto('leases')
        .values({ group_name: group, node, ...values })
        .onConflict(conflict =>
          conflict
            .columns(['group_name', 'node'])
            .doUpdateSet(values)
            .where('leases.generation', '!=', generation),
        )
        .execute()
    },
    async release(group, node) {
      await db
        .deleteFrom('leases')
        .where('group_name', '=', group)
        .where('node', '=', node)
        .execute()
    },
    async list(group) {
      const rows = await db
        .selectFrom('leases')
        .selectAll()
        .where('group_name', '=', group)
        .orderBy('node')
        .execute()
      return rows.map(toLease)
    },
  }
}

function toLease(row: Selectable<Schema['leases']>): LeaseRecord {
  return {
    group: row.group_name,
    node: row.node,
    purpose: readWord('the purpose of a lease', row.purpose, PURPOSES),
    generation: row.generation,
    takenAtMs: row.taken_at_ms,
  }
}
