// What nodes said when a rollout was planned, by digest.

import type { Kysely } from 'kysely'
import { NodePreview } from '../../../shared/contract/rollout-plan.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { readJson } from '../json-column.ts'
import type { Previews } from '../previews-store.ts'
import type { Schema } from '../schema.ts'

const parsePreview = parser('node preview', NodePreview)

// SQLite takes 32,766 parameters in a statement.
const DIGESTS_MAX = 1_000

export function previewsTable(db: Kysely<Schema>): Previews {
  return {
    async put(digest, preview) {
      await db
        .insertInto('node_previews')
        .values({ digest, preview_json: JSON.stringify(preview) })
        .onConflict(conflict => conflict.doNothing())
        .execute()
    },
    async get(digest) {
      const row = await db
        .selectFrom('node_previews')
        .select('preview_json')
        .where('digest', '=', digest)
        .executeTakeFirst()
      return row && readJson(`the preview ${digest}`, row.preview_json, parsePreview)
    },
    async namedBy(rollout) {
      const row = await db
        .selectFrom('rollouts')
        .select('plan_json')
        .where('id', '=', rollout)
        .executeTakeFirst()
      // Digests are the only words of this form after this key; parsing takes a large plan apart for nothing.
      const found = (row?.plan_json ?? '').matchAll(/"preview":"([0-9a-f]{64})"/g)
      return new Set([...found].map(([, digest = '']) => digest))
    },
    async rolloutsEnded({ afterMs, throughMs }) {
      const rows = await db
        .selectFrom('rollouts')
        .select(['id', 'ended_at_ms'])
        .where('ended_at_ms', '>', afterMs)
        .where('ended_at_ms', '<=', throughMs)
        .orderBy('ended_at_ms')
        .execute()
      return rows.map(({ id, ended_at_ms }) => ({ id, endedAtMs: ended_at_ms ?? 0 }))
    },
    async rolloutsSince(endedAtMs) {
      const rows = await db
        .selectFrom('rollouts')
        .select('id')
        .where(eb => eb.or([eb('ended_at_ms', 'is', null), eb('ended_at_ms', '>', endedAtMs)]))
        .execute()
      return rows.map(({ id }) => id)
    },
    async remove(digests) {
      for (let start = 0; start < digests.length; start += DIGESTS_MAX)
        await db
          .deleteFrom('node_previews')
          .where('digest', 'in', digests.slice(start, start + DIGESTS_MAX))
          .execute()
    },
  }
}
