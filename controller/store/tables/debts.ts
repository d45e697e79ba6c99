// What nodes owe to their clusters.

import type { Kysely, Selectable } from 'kysely'
import * as z from 'zod/mini'
import { ClusterKind } from '../../../shared/contract/cluster-view.ts'
import { parser } from '../../../shared/contract/schema.ts'
import type { DebtRecord, Debts } from '../debts-store.ts'
import { readJson, readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'

const parseGroups = parser('groups', z.array(z.string()))

export function debtsTable(db: Kysely<Schema>): Debts {
  return {
    async owe({ debtId, node, service, groups, sinceMs, sinceTimeMs }) {
      await db
        .insertInto('debts')
        .values({
          debt_id: debtId,
          node,
          service,
          groups_json: JSON.stringify(groups),
          since_ms: sinceMs,
          since_time_ms: sinceTimeMs,
        })
        .onConflict(conflict => conflict.column('debt_id').doNothing())
        .execute()
    },
    async settle(debtId) {
      const { numDeletedRows } = await db
        .deleteFrom('debts')
        .where('debt_id', '=', debtId)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },
    async get(debtId) {
      const row = await db
        .selectFrom('debts')
        .selectAll()
        .where('debt_id', '=', debtId)
        .executeTakeFirst()
      return row === undefined ? undefined : toDebt(row)
    },
    async all() {
      const rows = await db
        .selectFrom('debts')
        .selectAll()
        .orderBy('since_ms')
        .orderBy('debt_id')
        .execute()
      return rows.map(toDebt)
    },
  }
}

function toDebt(row: Selectable<Schema['debts']>): DebtRecord {
  return {
    debtId: row.debt_id,
    node: row.node,
    service: readWord('the product of a debt', row.service, ClusterKind.options),
    groups: readJson('the groups of a debt', row.groups_json, parseGroups),
    sinceMs: row.since_ms,
    sinceTimeMs: row.since_time_ms,
  }
}
