// What each node is to have now, and the contents that it was ever given.

import { type Kysely, type Selectable, sql } from 'kysely'
import { assert } from '../../../shared/assert.ts'
import { DesiredContent, epochIn, Mode } from '../../../shared/contract/desired-state.ts'
import { PlannedServices } from '../../../shared/contract/planned.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { readJson, readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { corrupt, inserting } from '../sqlite-errors.ts'
import type { DesiredRecord, DesiredStates } from '../store.ts'
import { settingsTable } from './settings.ts'

const parseContent = parser('desired content', DesiredContent)
const parsePlanned = parser('planned services', PlannedServices)

export function desiredTable(db: Kysely<Schema>): DesiredStates {
  return {
    async get(node) {
      const row = await db
        .selectFrom('desired_states')
        .innerJoin('contents', 'contents.digest', 'desired_states.content_digest')
        .selectAll('desired_states')
        .select('content_json')
        .where('node', '=', node)
        .executeTakeFirst()
      return row && toDesired(row)
    },
    async heads({ after = '', limit }) {
      const rows = await db
        .selectFrom('desired_states')
        .select(['node', 'mode', 'content_digest'])
        .where('node', '>', after)
        .orderBy('node')
        .limit(limit)
        .execute()
      return rows.map(row => ({
        node: row.node,
        mode: readWord('a mode', row.mode, Mode.options),
        contentDigest: row.content_digest,
      }))
    },
    put: record => put(db, record),
    revisions: nodes => revisionsOf(db, nodes),
    epoch: () => currentEpoch(db),
    beginEpoch: epoch => beginEpoch(db, epoch),
    async highestGeneration(node) {
      const row = await db
        .selectFrom('generations')
        .select('highest')
        .where('node', '=', node)
        .executeTakeFirst()
      return Math.max(row?.highest ?? 0, await currentEpoch(db))
    },
    async published(node, contentDigest) {
      const row = await db
        .selectFrom('published_contents')
        .innerJoin('contents', 'contents.digest', 'published_contents.digest')
        .select(['revision', 'content_json'])
        .where('node', '=', node)
        .where('published_contents.digest', '=', contentDigest)
        .executeTakeFirst()
      return row && { content: readContent(row.content_json), revision: row.revision ?? undefined }
    },
  }
}

async function revisionsOf(
  db: Kysely<Schema>,
  nodes: readonly string[] | undefined,
): Promise<ReadonlyMap<string, number>> {
  const all = db.selectFrom('desired_states').select(['node', 'revision'])
  const rows = nodes === undefined ? await all.execute() : []
  for (let start = 0; nodes !== undefined && start < nodes.length; start += ROWS_MAX)
    rows.push(...(await all.where('node', 'in', nodes.slice(start, start + ROWS_MAX)).execute()))
  return new Map(
    rows.flatMap(({ node, revision }) => (revision === null ? [] : [[node, revision]])),
  )
}

/** Kept among the settings: one number for the whole store. */
export async function currentEpoch(db: Kysely<Schema>): Promise<number> {
  const text = await settingsTable(db).get(EPOCH)
  if (text === undefined) return 0
  const epoch = Number(text)
  if (Number.isSafeInteger(epoch) && epoch > 0) return epoch
  throw corrupt(`the epoch of the store is ${text}`, undefined)
}

const EPOCH = 'epoch'

async function beginEpoch(db: Kysely<Schema>, epoch: number): Promise<void> {
  const current = await currentEpoch(db)
  assert(Number.isSafeInteger(epoch) && epoch > current, `epoch ${epoch} is not above ${current}`)
  await settingsTable(db).set(EPOCH, String(epoch))
  await db
    .updateTable('generations')
    .set({ highest: sql<number>`max(highest + 1, ${epoch})` })
    .execute()
}

/** Contents are immutable and shared by everything that names their digest. */
export async function storeContents(
  db: Kysely<Schema>,
  contents: ReadonlyMap<string, DesiredContent>,
): Promise<void> {
  const rows = [...contents].map(([digest, content]) => {
    return { digest, content_json: JSON.stringify(content) }
  })
  for (let start = 0; start < rows.length; start += ROWS_MAX)
    await db
      .insertInto('contents')
      .values(rows.slice(start, start + ROWS_MAX))
      .onConflict(conflict => conflict.doNothing())
      .execute()
}

// SQLite takes 32,766 parameters in a statement; fewer make fewer statements to cache.
const ROWS_MAX = 500

export function readContent(text: string): DesiredContent {
  return readJson('a desired content', text, parseContent)
}

async function put(db: Kysely<Schema>, { state, revision = null }: PutRecord): Promise<void> {
  const { node, epoch = 0, generation, mode, permit, contentDigest, content, digest } = state
  const { planned, together, alone } = state
  const current = await currentEpoch(db)
  if (epoch !== current) {
    throw new OperationalError(
      'epoch-outdated',
      `could not give ${node} a document of epoch ${epoch}: this is epoch ${current}`,
      { details: { node, epoch, current } },
    )
  }
  const raised = await db
    .insertInto('generations')
    .values({ node, highest: generation })
    .onConflict(conflict =>
      conflict
        .column('node')
        .doUpdateSet({ highest: generation })
        .where('generations.highest', '<', generation),
    )
    .executeTakeFirst()
  if (raised.numInsertedOrUpdatedRows !== 1n) {
    throw new OperationalError(
      'generation-conflict',
      `could not give ${node} generation ${generation}: it had that or a higher one`,
      { retryable: true, details: { node, generation } },
    )
  }
  await storeContents(db, new Map([[contentDigest, content]]))
  const published = { node, digest: contentDigest, revision }
  await inserting(
    `a content of ${node}`,
    db
      .insertInto('published_contents')
      .values(published)
      .onConflict(conflict => conflict.columns(['node', 'digest']).doUpdateSet({ revision }))
      .execute(),
  )
  const values = {
    epoch,
    generation,
    mode,
    permit: permit ? 1 : 0,
    content_digest: contentDigest,
    digest,
    revision,
    planned_json: planned === undefined ? null : JSON.stringify(planned),
    together: together ?? null,
    alone: alone === true ? 1 : null,
  }
  await db
    .insertInto('desired_states')
    .values({ node, ...values })
    .onConflict(conflict => conflict.column('node').doUpdateSet(values))
    .execute()
}

interface PutRecord {
  readonly state: DesiredRecord['state']
  readonly revision?: number | null | undefined
}

function toDesired(
  row: Selectable<Schema['desired_states']> & { readonly content_json: string },
): DesiredRecord {
  return {
    state: {
      node: row.node,
      ...epochIn(row.epoch),
      generation: row.generation,
      mode: readWord('a mode', row.mode, Mode.options),
      permit: row.permit === 1,
      ...plannedIn(row.planned_json),
      ...togetherIn(row.together),
      ...(row.alone === 1 ? { alone: true } : {}),
      contentDigest: row.content_digest,
      content: readContent(row.content_json),
      digest: row.digest,
    },
    revision: row.revision ?? undefined,
  }
}

function togetherIn(name: string | null): Pick<DesiredRecord['state'], 'together'> {
  if (name === null) return {}
  return { together: readWord('a service that waits for others', name, ServiceName.options) }
}

function plannedIn(text: string | null): Pick<DesiredRecord['state'], 'planned'> {
  return text === null ? {} : { planned: readJson('a planned change', text, parsePlanned) }
}
