// The last report of each node.

import type { Kysely, Selectable } from 'kysely'
import { parseReport } from '../../../shared/contract/report.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { ReportRecord, Reports } from '../store.ts'

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
