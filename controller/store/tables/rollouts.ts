// Rollouts: the events are the truth, rows of rollouts and rollout_steps are their fold, written in
// the same transaction. Plans are immutable, so they are parsed once a process.

import type { Kysely, Selectable } from 'kysely'
import type { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { RolloutStatus } from '../../../shared/contract/operator-api.ts'
import { assert } from '../../../shared/assert.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { evolveAll, hasEnded, startRollout } from '../../rollout/evolve.ts'
import { makePlan } from '../../rollout/plan.ts'
import type { OrderedNode, Plan, Rollout, RolloutEvent } from '../../rollout/rollout.ts'
import type { ChangeLog } from '../../rollout/change-log.ts'
import {
  allSteps,
  changedSteps,
  phaseOf,
  plannedNodes,
  stepOf,
  stepsFromRows,
} from '../../rollout/steps.ts'
import { readJson, readReason, readWord, writeReason } from '../json-column.ts'
import {
  NO_STATE,
  parsePlan,
  parseRolloutEvent,
  parseRolloutState,
  planToJson,
  stateToJson,
} from '../rollout-json.ts'
import type { RolloutCache } from '../rollout-cache.ts'
import type { RolloutPage } from '../rollouts-store.ts'
import type { Schema } from '../schema.ts'
import { corrupt } from '../sqlite-errors.ts'
import type { Rollouts } from '../store.ts'
import type { AuditEntry, AuditTable } from './audit.ts'
import { readContent, storeContents } from './desired.ts'
import { membersNamed, rolloutMembers } from './rollout-members.ts'
import { readSummary, TOWARDS } from './rollout-summaries.ts'
import { stepColumns, toStep, waiting } from './step-rows.ts'

// Seventeen columns each; SQLite takes 32,766 parameters in a statement.
const ROWS_MAX = 500

export function rolloutsTable(
  db: Kysely<Schema>,
  audit: AuditTable,
  { cache, changes }: { readonly cache: RolloutCache; readonly changes: ChangeLog },
): Rollouts {
  const heads = db.selectFrom('rollouts').select(['id', 'version'])
  // Plan and steps of a large fleet take a second to read, so they are read when nobody has yet.
  const read = async ({ id, version }: { readonly id: string; readonly version: number }) => {
    const known = cache.find(id, version)
    if (known !== undefined) return known
    const query = db.selectFrom('rollouts').selectAll().where('id', '=', id)
    const rollout = await toRollout(db, cache, await query.executeTakeFirstOrThrow())
    cache.keep(rollout)
    return rollout
  }
  const get = async (id: string) => {
    const head = await heads.where('id', '=', id).executeTakeFirst()
    return head && read(head)
  }
  const headsOf = ({ before, limit, statuses }: RolloutPage) => {
    let query = heads.orderBy('sequence', 'desc').limit(limit)
    if (before !== undefined)
      query = query.where('sequence', '<', eb =>
        eb.selectFrom('rollouts as last').select('last.sequence').where('last.id', '=', before),
      )
    if (statuses !== undefined) query = query.where('status', 'in', statuses)
    return query.execute()
  }
  return {
    get,
    async insert({ id, plan, events, atMs }) {
      const [first, ...rest] = events
      assert(first !== undefined, `rollout ${id} has no first event`)
      const rollout = evolveAll(startRollout(id, plan, first), rest)
      cache.touch(id)
      await insertRollout(db, rollout)
      await insertEvents(db, audit, rollout, { after: 0, events, atMs })
      cache.keepPlan(id, plan)
      cache.keep(rollout)
      return rollout
    },
    list: async page => all(await headsOf(page), read),
    summaries: async page => all(await headsOf(page), head => readSummary(db, cache, head, read)),
    async active() {
      const query = heads.where('ended_at_ms', 'is', null)
      return all(await query.orderBy('sequence').execute(), read)
    },
    async events(id, { after, limit }) {
      const rows = await db
        .selectFrom('rollout_events')
        .selectAll()
        .where('rollout', '=', id)
        .where('version', '>', after)
        .orderBy('version')
        .limit(limit)
        .execute()
      return rows.map(toEvent)
    },
    members: id => rolloutMembers(db, id),
    membersNamed: names => membersNamed(db, names),
    changedSince: async cursor => changes.since(cursor),
    async append(id, expectedVersion, events, atMs) {
      const before = await get(id)
      if (before === undefined) {
        throw new OperationalError(
          'not-found',
          `could not append to rollout ${id}, which does not exist`,
        )
      }
      if (before.version !== expectedVersion) {
        const message = `could not append to rollout ${id}: somebody else did since version ${expectedVersion}`
        throw new OperationalError('version-conflict', message, {
          retryable: true,
          details: { rollout: id, expectedVersion, version: before.version },
        })
      }
      if (events.length === 0) return before
      const rollout = evolveAll(before, events)
      cache.touch(id)
      await updateRollout(db, before, rollout)
      await insertEvents(db, audit, rollout, { after: expectedVersion, events, atMs })
      cache.keep(rollout)
      return rollout
    },
  }
}

async function insertRollout(db: Kysely<Schema>, rollout: Rollout): Promise<void> {
  const { id, plan } = rollout
  await requireNoOverlap(db, rollout)
  const { revision, author, parent } = plan
  const columns = { plan_json: planToJson(plan), parent: parent ?? null }
  await db
    .insertInto('rollouts')
    .values({ id, revision, author, ...columns, ...rolloutColumns(rollout) })
    .execute()
  const planned = plannedNodes(plan)
  const contents = new Map(planned.map(({ to, content }) => [to, content]))
  await storeContents(db, contents)
  const rows = [...firstOfEach(planned)].map((one, position) => ({
    rollout: id,
    position,
    node: one.node,
    from_digest: one.from ?? null,
    to_digest: one.to,
    active: hasEnded(rollout) ? 0 : 1,
    ...stepColumns(stepOf(rollout, one.node) ?? waiting(one, rollout)),
  }))
  for (let start = 0; start < rows.length; start += ROWS_MAX)
    await db
      .insertInto('rollout_steps')
      .values(rows.slice(start, start + ROWS_MAX))
      .execute()
}

/** As the first phase that has a node plans it. */
function firstOfEach(planned: readonly OrderedNode[]): Iterable<OrderedNode> {
  const first = new Map<string, OrderedNode>()
  for (const one of planned) if (!first.has(one.node)) first.set(one.node, one)
  return first.values()
}

async function requireNoOverlap(db: Kysely<Schema>, { id, plan }: Rollout): Promise<void> {
  const wanted = new Set(plannedNodes(plan).map(({ node }) => node))
  const busy = await db
    .selectFrom('rollout_steps')
    .select(['node', 'rollout'])
    .where('active', '=', 1)
    .execute()
  const overlap = busy.find(({ node }) => wanted.has(node))
  if (overlap === undefined) return
  throw new OperationalError(
    'overlapping-rollout',
    `could not start rollout ${id}: ${overlap.node} is in rollout ${overlap.rollout}`,
    { hint: 'wait for it to end, or abort it', details: { ...overlap } },
  )
}

async function updateRollout(db: Kysely<Schema>, before: Rollout, after: Rollout): Promise<void> {
  const { id } = after
  await db.updateTable('rollouts').set(rolloutColumns(after)).where('id', '=', id).execute()
  const isNewPhase = before.phaseIndex !== after.phaseIndex
  for (const step of isNewPhase ? allSteps(after) : changedSteps(before, after)) {
    await db
      .updateTable('rollout_steps')
      .set(stepColumns(step))
      .where('rollout', '=', id)
      .where('node', '=', step.node)
      .execute()
  }
  if (!hasEnded(after)) return
  await db.updateTable('rollout_steps').set({ active: 0 }).where('rollout', '=', id).execute()
}

async function insertEvents(
  db: Kysely<Schema>,
  audit: AuditTable,
  rollout: Rollout,
  added: {
    readonly after: number
    readonly events: readonly RolloutEvent[]
    readonly atMs: number
  },
): Promise<void> {
  const rows = added.events.map((event, index) => ({
    rollout: rollout.id,
    version: added.after + index + 1,
    at_ms: added.atMs,
    event_json: JSON.stringify(event),
  }))
  for (let start = 0; start < rows.length; start += ROWS_MAX) {
    const values = rows.slice(start, start + ROWS_MAX)
    await db.insertInto('rollout_events').values(values).execute()
  }
  await audit.appendAll(added.events.map(event => auditEntry(rollout, event, added.atMs)))
}

function auditEntry({ id, plan }: Rollout, event: RolloutEvent, atMs: number): AuditEntry {
  const node = 'node' in event ? event.node : undefined
  const entry = {
    atMs,
    actor: actorOf(plan, event),
    action: `rollout-${event.kind}`,
    subject: node === undefined ? id : `${id}/${node}`,
  }
  return 'reason' in event && event.reason !== undefined
    ? { ...entry, reason: event.reason }
    : entry
}

// Who caused the event; what is decided from what nodes report is the controller's doing.
function actorOf(plan: Plan, event: RolloutEvent): string {
  if (event.kind === 'planned') return plan.author
  if (event.kind === 'approved' || event.kind === 'promoted') return event.by
  if (event.kind === 'downtime-acknowledged') return event.by
  return event.kind === 'permit-claimed' ? event.node : 'controller'
}

function rolloutColumns(rollout: Rollout) {
  return {
    version: rollout.version,
    status: rollout.status,
    toward: rollout.toward ?? null,
    reason_json: writeReason(rollout.reason),
    started_at_ms: rollout.startedAtMs ?? null,
    ended_at_ms: rollout.endedAtMs ?? null,
    state_json: stateToJson(rollout),
  }
}

async function toRollout(
  db: Kysely<Schema>,
  cache: RolloutCache,
  row: Selectable<Schema['rollouts']>,
): Promise<Rollout> {
  const rows = await db
    .selectFrom('rollout_steps')
    .selectAll()
    .where('rollout', '=', row.id)
    .orderBy('position')
    .execute()
  const plan = await readPlan(db, cache, row, rows)
  const state =
    row.state_json === null
      ? NO_STATE
      : readJson(`the state of rollout ${row.id}`, row.state_json, parseRolloutState)
  const steps = new Map(rows.map(step => [step.node, toStep(step)]))
  return {
    id: row.id,
    plan,
    version: row.version,
    status: readWord('the status of a rollout', row.status, RolloutStatus.options),
    toward: row.toward === null ? undefined : readWord('the end of a drain', row.toward, TOWARDS),
    reason: readReason(row.reason_json),
    ...state,
    steps: stepsFromRows(phaseOf({ plan, phaseIndex: state.phaseIndex }), steps),
    startedAtMs: row.started_at_ms ?? undefined,
    endedAtMs: row.ended_at_ms ?? undefined,
  }
}

async function readPlan(
  db: Kysely<Schema>,
  cache: RolloutCache,
  { id, revision, author, plan_json }: Selectable<Schema['rollouts']>,
  steps: readonly Selectable<Schema['rollout_steps']>[],
): Promise<Plan> {
  const cached = cache.planOf(id)
  if (cached !== undefined) return cached
  const contents = new Map<string, DesiredContent>()
  for (const digest of digestsIn(plan_json, steps)) {
    const row = await db
      .selectFrom('contents')
      .select('content_json')
      .where('digest', '=', digest)
      .executeTakeFirst()
    if (row !== undefined) contents.set(digest, readContent(row.content_json))
  }
  const contentOf = (node: string, digest: string) => {
    const content = contents.get(digest)
    if (content === undefined)
      throw corrupt(`rollout ${id} lacks the content of ${node}`, undefined)
    return content
  }
  const plan =
    plan_json === null
      ? plainPlan({ revision, author }, steps, contentOf)
      : readJson(`the plan of rollout ${id}`, plan_json, parsePlan(contentOf))
  cache.keepPlan(id, plan)
  return plan
}

function digestsIn(
  planJson: string | null,
  steps: readonly Selectable<Schema['rollout_steps']>[],
): ReadonlySet<string> {
  const digests = new Set(steps.map(({ to_digest }) => to_digest))
  // Of later phases too: digests are the only words of this form after this key.
  for (const found of (planJson ?? '').matchAll(/"to":"([0-9a-f]{64})"/g))
    digests.add(found[1] ?? '')
  return digests
}

// Of a rollout from before there were batches: one, in the order of its rows.
function plainPlan(
  given: Pick<Plan, 'revision' | 'author'>,
  steps: readonly Selectable<Schema['rollout_steps']>[],
  contentOf: (node: string, digest: string) => DesiredContent,
): Plan {
  const nodes = steps.map(({ node, from_digest, to_digest }) => {
    const content = contentOf(node, to_digest)
    return { node, from: from_digest ?? undefined, to: to_digest, content }
  })
  const request = { ...given, nodes }
  return makePlan({ request, settings: { ramp: [] }, groups: [], conditionOf: () => 'well' })
}

function toEvent(row: Selectable<Schema['rollout_events']>) {
  const what = `event ${row.version} of rollout ${row.rollout}`
  const event = readJson(what, row.event_json, parseRolloutEvent)
  return { version: row.version, atMs: row.at_ms, event }
}

// One connection: reading in turn is as fast as reading at once.
async function all<T, U>(
  items: readonly T[],
  read: (item: T) => Promise<U>,
): Promise<readonly U[]> {
  const results: U[] = []
  for (const item of items) results.push(await read(item))
  return results
}
