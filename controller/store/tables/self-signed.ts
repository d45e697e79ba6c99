// Self-signed certificates of nodes, and the times at which leaves of our CA are renewed.

import { type Kysely, type Selectable, sql } from 'kysely'
import { SERVICE_NAMES } from '../../../shared/contract/service.ts'
import { readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import type { Renewals, SelfSignedCertificates, SelfSignedRecord } from '../self-signed-store.ts'
import { inserting } from '../sqlite-errors.ts'

export function selfSignedTable(db: Kysely<Schema>): SelfSignedCertificates {
  return {
    async get(node, service) {
      const row = await db
        .selectFrom('self_signed')
        .selectAll()
        .where('node', '=', node)
        .where('service', '=', service)
        .executeTakeFirst()
      return row && toRecord(row)
    },
    async list() {
      const rows = await db
        .selectFrom('self_signed')
        .selectAll()
        .orderBy('node')
        .orderBy('service')
        .execute()
      return rows.map(toRecord)
    },
    async put({ node, service, current, next, isNextGiven, changedAtMs }) {
      const values = {
        current_certificate: current ?? null,
        next_certificate: next ?? null,
        is_next_given: isNextGiven ? 1 : 0,
        changed_at_ms: changedAtMs,
      }
      const insert = db
        .insertInto('self_signed')
        .values({ node, service, ...values })
        .onConflict(conflict => conflict.columns(['node', 'service']).doUpdateSet(values))
        .execute()
      await inserting(`a certificate of ${node}`, insert)
    },
    async remove(node, service) {
      const { numDeletedRows } = await db
        .deleteFrom('self_signed')
        .where('node', '=', node)
        .where('service', '=', service)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },
  }
}

function toRecord(row: Selectable<Schema['self_signed']>): SelfSignedRecord {
  return {
    node: row.node,
    service: readWord(`the service of a certificate of ${row.node}`, row.service, SERVICE_NAMES),
    current: row.current_certificate ?? undefined,
    next: row.next_certificate ?? undefined,
    isNextGiven: row.is_next_given === 1,
    changedAtMs: row.changed_at_ms,
  }
}

export function renewalsTable(db: Kysely<Schema>): Renewals {
  return {
    async put({ node, service, group, renewAtMs }) {
      const values = { group_name: group, renew_at_ms: renewAtMs }
      const insert = db
        .insertInto('renewals')
        .values({ node, service, ...values })
        .onConflict(conflict => conflict.columns(['node', 'service']).doUpdateSet(values))
        .execute()
      await inserting(`a renewal of ${node}`, insert)
    },
    async loads({ node, service, group, fromMs, untilMs, slotMs }) {
      // Numbers are bound as reals.
      const slot = sql<number>`cast(renew_at_ms / ${slotMs} as integer)`
      const rows = await db
        .selectFrom('renewals')
        .select([
          slot.as('slot'),
          sql<number>`sum(group_name = ${group})`.as('group'),
          sql<number>`sum(group_name != ${group})`.as('others'),
        ])
        .where('service', '=', service)
        .where('renew_at_ms', '>=', fromMs)
        .where('renew_at_ms', '<', untilMs)
        .where('node', '!=', node)
        .groupBy(sql`slot`)
        .orderBy('slot')
        .execute()
      return rows.map(row => ({ slot: row.slot, group: row.group, others: row.others }))
    },
  }
}
