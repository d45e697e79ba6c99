// What each node is to have now, and the contents that it was ever given.

import type { Kysely, Selectable } from 'kysely'
import { DesiredContent, Mode } from '../../../shared/contract/desired-state.ts'
import { parser } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { readJson, readWord } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'
import type { DesiredRecord, DesiredStates } from '../store.ts'

const parseContent = parser('desired content', DesiredContent)

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
    put: record => put(db, record),
    async highestGeneration(node) {
      const row = await db
        .selectFrom('generations')
        .select('highest')
        .where('node', '=', node)
        .executeTakeFirst()
      return row?.highest ?? 0
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

/** Contents are immutable and shared by everything that names their digest. */
export async function storeContent(
  db: Kysely<Schema>,
  digest: string,
  content: DesiredContent,
): Promise<void> {
  await db
    .insertInto('contents')
    .values({ digest, content_json: JSON.stringify(content) })
    .onConflict(conflict => conflict.doNothing())
    .execute()
}

export function readContent(text: string): DesiredContent {
  return readJson('a desired content', text, parseContent)
}

async function put(db: Kysely<Schema>, { state, revision = null }: PutRecord): Promise<void> {
  const { node, generation, mode, permit, contentDigest, content, digest } = state
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
  await storeContent(db, contentDigest, content)
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
    generation,
    mode,
    permit: permit ? 1 : 0,
    content_digest: contentDigest,
    digest,
    revision,
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
      generation: row.generation,
      mode: readWord('a mode', row.mode, Mode.options),
      permit: row.permit === 1,
      contentDigest: row.content_digest,
      content: readContent(row.content_json),
      digest: row.digest,
    },
    revision: row.revision ?? undefined,
  }
}
