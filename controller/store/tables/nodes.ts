// Nodes, and what goes with a node that is removed.

import { type Kysely, type Selectable, sql } from 'kysely'
import { unreachable } from '../../../shared/assert.ts'
import { Labels, Names, parser } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { LabelCondition } from '../../fleet/label-query.ts'
import type { ChangeLog } from '../../rollout/change-log.ts'
import { parseReasonColumn, readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { NodeRecord, Nodes } from '../store.ts'
import { denyIdentities } from './identities.ts'

// SQLite takes 32,766 parameters in a statement; fewer make fewer statements to cache.
const NAMES_MAX = 500

const parseLabels = parser('labels', Labels)
const parseNames = parser('names', Names)

export function nodesTable(db: Kysely<Schema>, changes: ChangeLog): Nodes {
  return {
    async insert(node) {
      const values = {
        name: node.name,
        labels_json: JSON.stringify(node.labels),
        names_json: JSON.stringify(node.names),
        created_at_ms: node.createdAtMs,
        enrolled_at_ms: node.enrolledAtMs ?? null,
        seen_at_ms: node.seenAtMs ?? null,
      }
      await inserting(`node ${node.name}`, db.insertInto('nodes').values(values).execute())
    },
    async get(name) {
      const row = await db
        .selectFrom('nodes')
        .selectAll()
        .where('name', '=', name)
        .executeTakeFirst()
      return row && toNode(row)
    },
    async list({ after = '', limit, labels = [], names }) {
      let query = db.selectFrom('nodes').selectAll().where('name', '>', after)
      if (names !== undefined) query = query.where('name', 'in', names)
      for (const one of labels) query = query.where(holds(one))
      return (await query.orderBy('name').limit(limit).execute()).map(toNode)
    },
    async setEnrolled(name, atMs) {
      await db.deleteFrom('node_locks').where('node', '=', name).execute()
      // A rebuilt node counts its reports from the beginning.
      await db.updateTable('reports').set({ sequence: 0 }).where('node', '=', name).execute()
      await db.updateTable('leases').set({ taken_sequence: 0 }).where('node', '=', name).execute()
      const { numUpdatedRows } = await db
        .updateTable('nodes')
        .set({ enrolled_at_ms: atMs })
        .where('name', '=', name)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) {
        throw new OperationalError(
          'not-found',
          `could not enrol node ${name}, which does not exist`,
        )
      }
    },
    async setSeen(names, atMs) {
      for (let start = 0; start < names.length; start += NAMES_MAX) {
        await db
          .updateTable('nodes')
          .set({ seen_at_ms: atMs })
          .where('name', 'in', names.slice(start, start + NAMES_MAX))
          .execute()
      }
    },
    async change(name, { labels, names }) {
      const { numUpdatedRows } = await db
        .updateTable('nodes')
        .set({ labels_json: JSON.stringify(labels), names_json: JSON.stringify(names) })
        .where('name', '=', name)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) throw new OperationalError('not-found', `there is no node ${name}`)
    },
    async lock(name, { reason, atMs }) {
      const values = { node: name, locked_at_ms: atMs, reason_json: JSON.stringify(reason) }
      const change = { locked_at_ms: atMs, reason_json: values.reason_json }
      const insert = db.insertInto('node_locks').values(values)
      await inserting(
        `lock of ${name}`,
        insert.onConflict(conflict => conflict.column('node').doUpdateSet(change)).execute(),
      )
    },
    async lockOf(name) {
      const row = await db
        .selectFrom('node_locks')
        .selectAll()
        .where('node', '=', name)
        .executeTakeFirst()
      return row && { atMs: row.locked_at_ms, reason: parseReasonColumn(row.reason_json) }
    },
    remove: (name, atMs) => removeNode(db, name, atMs),
    changedSince: async cursor => changes.since(cursor),
  }
}

// As `fits` judges a record.
function holds(condition: LabelCondition) {
  // Labels have no quotation marks.
  const value = sql<string | null>`json_extract(labels_json, ${`$."${condition.label}"`})`
  switch (condition.kind) {
    case 'is':
      return sql<boolean>`${value} = ${condition.value}`
    case 'is-not':
      return sql<boolean>`${value} is not ${condition.value}`
    case 'has':
      return sql<boolean>`${value} is not null`
    case 'has-not':
      return sql<boolean>`${value} is null`
    default:
      return unreachable(condition)
  }
}

// Generations and rollouts stay: a node of the same name must never see a generation twice.
async function removeNode(db: Kysely<Schema>, name: string, atMs: number): Promise<boolean> {
  const dependents = [
    'enrollment_tokens',
    'desired_states',
    'published_contents',
    'reports',
    'leaves',
    'certificate_requests',
    'node_locks',
    'self_signed',
    'renewals',
    // Who is not there disturbs nobody.
    'leases',
  ] as const
  for (const table of dependents) await db.deleteFrom(table).where('node', '=', name).execute()
  await denyIdentities(db, name, { cause: 'removed', atMs })
  const { numDeletedRows } = await db
    .deleteFrom('nodes')
    .where('name', '=', name)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

function toNode(row: Selectable<Schema['nodes']>): NodeRecord {
  return {
    name: row.name,
    labels: readJson(`labels of ${row.name}`, row.labels_json, parseLabels),
    names: readJson(`names of ${row.name}`, row.names_json, parseNames),
    createdAtMs: row.created_at_ms,
    enrolledAtMs: row.enrolled_at_ms ?? undefined,
    seenAtMs: row.seen_at_ms ?? undefined,
  }
}
