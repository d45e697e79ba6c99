// Nodes, and what goes with a node that is removed.

import type { Kysely, Selectable } from 'kysely'
import { Labels, Names, parser } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { readJson } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { NodeRecord, Nodes } from '../store.ts'

// SQLite takes 32,766 parameters in a statement; fewer make fewer statements to cache.
const NAMES_MAX = 500

const parseLabels = parser('labels', Labels)
const parseNames = parser('names', Names)

export function nodesTable(db: Kysely<Schema>): Nodes {
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
    async list({ after = '', limit }) {
      const rows = await db
        .selectFrom('nodes')
        .selectAll()
        .where('name', '>', after)
        .orderBy('name')
        .limit(limit)
        .execute()
      return rows.map(toNode)
    },
    async setEnrolled(name, atMs) {
      // A rebuilt node counts its reports from the beginning.
      await db.updateTable('reports').set({ sequence: 0 }).where('node', '=', name).execute()
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
    remove: (name, atMs) => removeNode(db, name, atMs),
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
  ] as const
  for (const table of dependents) await db.deleteFrom(table).where('node', '=', name).execute()
  await db
    .updateTable('identities')
    .set({ denied_at_ms: atMs })
    .where('node', '=', name)
    .where('denied_at_ms', 'is', null)
    .execute()
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
