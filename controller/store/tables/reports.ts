// The last report of each node.

import { type Kysely, type Selectable, sql } from 'kysely'
import { parseReport, Report } from '../../../shared/contract/report.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { ReportRecord, Reports } from '../store.ts'

const parseIdentity = parser('identity', Report.shape.identity)

export function reportsTable(db: Kysely<Schema>): Reports {
  return {
    async put({ node, report, receivedAtMs }) {
      const values = {
        sequence: report.sequence,
        received_at_ms: receivedAtMs,
        report_json: JSON.stringify(report),
      }
      const insert = db
        .insertInto('reports')
        .values({ node, ...values })
        .onConflict(conflict =>
          conflict
            .column('node')
            .doUpdateSet(values)
            .where('reports.sequence', '<', report.sequence),
        )
        .executeTakeFirst()
      const { numInsertedOrUpdatedRows } = await inserting(`a report of ${node}`, insert)
      return numInsertedOrUpdatedRows === 1n
    },
    async get(node) {
      const row = await db
        .selectFrom('reports')
        .selectAll()
        .where('node', '=', node)
        .executeTakeFirst()
      return row && toReport(row)
    },
    // Asked with every poll: SQLite finds the member without the whole report being parsed here.
    async identity(node) {
      const row = await db
        .selectFrom('reports')
        .select(sql<string | null>`json_extract(report_json, '$.identity')`.as('identity_json'))
        .where('node', '=', node)
        .executeTakeFirst()
      const text = row?.identity_json ?? undefined
      if (text === undefined) return undefined
      return readJson(`the identity in the report of ${node}`, text, parseIdentity)
    },
    async restartAll() {
      await db.updateTable('reports').set({ sequence: 0 }).execute()
      await db.updateTable('leases').set({ taken_sequence: 0 }).execute()
    },
    async list({ after = '', limit }) {
      const rows = await db
        .selectFrom('reports')
        .selectAll()
        .where('node', '>', after)
        .orderBy('node')
        .limit(limit)
        .execute()
      return rows.map(toReport)
    },
  }
}

function toReport(row: Selectable<Schema['reports']>): ReportRecord {
  return {
    node: row.node,
    report: readJson(`the report of ${row.node}`, row.report_json, parseReport),
    receivedAtMs: row.received_at_ms,
  }
}
