// Who may be disruptive in which group. Nothing here is ever freed by time.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { LeasePage } from '../rollouts-store.ts'
import type { LeaseRecord, Leases } from '../store.ts'

const PURPOSES = ['rollout', 'renewal', 'correction'] as const

export function leasesTable(db: Kysely<Schema>): Leases {
  return {
    async take({ group, node, purpose, generation, takenAtMs, takenTimeMs, takenSequence }) {
      const values = {
        purpose,
        generation,
        taken_at_ms: takenAtMs,
        taken_time_ms: takenTimeMs,
        taken_sequence: takenSequence,
      }
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
      // It is held for what is asked for last: what was reported before does not end that.
      await db
        .updateTable('leases')
        .set({ taken_sequence: takenSequence })
        .where('group_name', '=', group)
        .where('node', '=', node)
        .where('taken_sequence', '<', takenSequence)
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
    async ofNode(node) {
      const rows = await db
        .selectFrom('leases')
        .selectAll()
        .where('node', '=', node)
        .orderBy('group_name')
        .execute()
      return rows.map(toLease)
    },
    async all({ after, limit, group, node }: Partial<LeasePage> = {}) {
      let query = db.selectFrom('leases').selectAll()
      if (after !== undefined)
        query = query.where(eb =>
          eb.or([
            eb('group_name', '>', after.group),
            eb.and([eb('group_name', '=', after.group), eb('node', '>', after.node)]),
          ]),
        )
      if (group !== undefined) query = query.where('group_name', '=', group)
      if (node !== undefined) query = query.where('node', '=', node)
      if (limit !== undefined) query = query.limit(limit)
      return (await query.orderBy('group_name').orderBy('node').execute()).map(toLease)
    },
    async releaseNode(node) {
      await db.deleteFrom('leases').where('node', '=', node).execute()
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
    takenTimeMs: row.taken_time_ms,
    takenSequence: row.taken_sequence,
  }
}
