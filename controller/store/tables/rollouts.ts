// Rollouts: the events are the truth, rows of rollouts and rollout_steps are their fold, written in
// the same transaction. Plans are immutable, so they are parsed once a process.

import type { Kysely, Selectable } from 'kysely'
import { assert } from '../../../shared/assert.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { evolveAll, hasEnded, startRollout } from '../../rollout/evolve.ts'
import type { Rollout, RolloutEvent, RolloutPlan, Step } from '../../rollout/rollout.ts'
import { readJson, readReason, readWord, writeReason } from '../json-column.ts'
import { parseRolloutEvent, ROLLOUT_STATUSES, STEP_STATES } from '../rollout-json.ts'
import type { Schema } from '../schema.ts'
import { corrupt } from '../sqlite-errors.ts'
import type { Rollouts } from '../store.ts'
import type { AuditEntry, AuditTable } from './audit.ts'
import { readContent, storeContent } from './desired.ts'
import { rolloutMembers } from './rollout-members.ts'

// Plans of ended rollouts are read by people only.
const PLANS_MAX = 64

// Four columns each; SQLite takes 32,766 parameters in a statement.
const ROWS_MAX = 500

export function rolloutsTable(
  db: Kysely<Schema>,
  audit: AuditTable,
  plans: Map<string, RolloutPlan>,
): Rollouts {
  const get = async (id: string) => {
    const row = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toRollout(db, plans, row)
  }
  return {
    get,
    async insert({ id, plan, events, atMs }) {
      const [first, ...rest] = events
      assert(first !== undefined, `rollout ${id} has no first event`)
      const rollout = evolveAll(startRollout(id, plan, first), rest)
      await insertRollout(db, rollout)
      await insertEvents(db, audit, rollout, { after: 0, events, atMs })
      return rollout
    },
    async list({ limit }) {
      const query = db.selectFrom('rollouts').selectAll().orderBy('sequence', 'desc').limit(limit)
      return all(await query.execute(), row => toRollout(db, plans, row))
    },
    async active() {
      const query = db.selectFrom('rollouts').selectAll().where('ended_at_ms', 'is', null)
      return all(await query.orderBy('sequence').execute(), row => toRollout(db, plans, row))
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
      await updateRollout(db, before, rollout)
      await insertEvents(db, audit, rollout, { after: expectedVersion, events, atMs })
      return rollout
    },
  }
}

async function insertRollout(db: Kysely<Schema>, rollout: Rollout): Promise<void> {
  const { id, plan } = rollout
  await requireNoOverlap(db, rollout)
  const { revision, author } = plan
  await db
    .insertInto('rollouts')
    .values({ id, revision, author, ...rolloutColumns(rollout) })
    .execute()
  for (const [position, planned] of plan.nodes.entries()) {
    await storeContent(db, planned.to, planned.content)
    const step = rollout.steps[planned.node]
    assert(step !== undefined, `${planned.node} has no step`)
    const values = {
      rollout: id,
      position,
      node: planned.node,
      from_digest: planned.from ?? null,
      to_digest: planned.to,
      active: hasEnded(rollout) ? 0 : 1,
      ...stepColumns(step),
    }
    await db.insertInto('rollout_steps').values(values).execute()
  }
}

async function requireNoOverlap(db: Kysely<Schema>, { id, plan }: Rollout): Promise<void> {
  const wanted = new Set(plan.nodes.map(({ node }) => node))
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
  for (const [node, step] of Object.entries(after.steps)) {
    if (step === before.steps[node]) continue
    await db
      .updateTable('rollout_steps')
      .set(stepColumns(step))
      .where('rollout', '=', id)
      .where('node', '=', node)
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
  return 'reason' in event ? { ...entry, reason: event.reason } : entry
}

// Who caused the event; what is decided from what nodes report is the controller's doing.
function actorOf(plan: RolloutPlan, event: RolloutEvent): string {
  if (event.kind === 'planned') return plan.author
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
  }
}

function stepColumns(step: Step) {
  return {
    state: step.state,
    generation: step.generation ?? null,
    reason_json: writeReason(step.reason),
    since_ms: step.sinceMs,
  }
}

const TOWARDS = ['failed', 'aborted', 'superseded'] as const

async function toRollout(
  db: Kysely<Schema>,
  plans: Map<string, RolloutPlan>,
  row: Selectable<Schema['rollouts']>,
): Promise<Rollout> {
  const rows = await db
    .selectFrom('rollout_steps')
    .selectAll()
    .where('rollout', '=', row.id)
    .orderBy('position')
    .execute()
  const steps: Record<string, Step> = {}
  for (const step of rows) steps[step.node] = toStep(step)
  return {
    id: row.id,
    plan: await readPlan(db, plans, row, rows),
    version: row.version,
    status: readWord('the status of a rollout', row.status, ROLLOUT_STATUSES),
    toward: row.toward === null ? undefined : readWord('the end of a drain', row.toward, TOWARDS),
    reason: readReason(row.reason_json),
    steps,
    startedAtMs: row.started_at_ms ?? undefined,
    endedAtMs: row.ended_at_ms ?? undefined,
  }
}

async function readPlan(
  db: Kysely<Schema>,
  plans: Map<string, RolloutPlan>,
  { id, revision, author }: Selectable<Schema['rollouts']>,
  steps: readonly Selectable<Schema['rollout_steps']>[],
): Promise<RolloutPlan> {
  const cached = plans.get(id)
  if (cached !== undefined) return cached
  const rows = await db
    .selectFrom('rollout_steps')
    .innerJoin('contents', 'contents.digest', 'rollout_steps.to_digest')
    .select(['position', 'content_json'])
    .where('rollout', '=', id)
    .execute()
  const contents = new Map(rows.map(row => [row.position, row.content_json]))
  const nodes = steps.map(({ position, node, from_digest, to_digest }) => {
    const text = contents.get(position)
    if (text === undefined) throw corrupt(`rollout ${id} lacks the content of ${node}`, undefined)
    return { node, from: from_digest ?? undefined, to: to_digest, content: readContent(text) }
  })
  const plan = { revision, author, nodes }
  const oldest = plans.size < PLANS_MAX ? undefined : plans.keys().next().value
  if (oldest !== undefined) plans.delete(oldest)
  plans.set(id, plan)
  return plan
}

function toStep(row: Selectable<Schema['rollout_steps']>): Step {
  return {
    node: row.node,
    state: readWord('the state of a step', row.state, STEP_STATES),
    generation: row.generation ?? undefined,
    reason: readReason(row.reason_json),
    sinceMs: row.since_ms,
  }
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
