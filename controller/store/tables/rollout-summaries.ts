// Rollouts without their plans and steps, which are as many as nodes. Steps are counted by the database,
// and where a rollout has ended once.

import { type Kysely, sql } from 'kysely'
import { RolloutStatus, StepState } from '../../../shared/contract/operator-api.ts'
import type { Rollout } from '../../rollout/rollout.ts'
import { countSteps, noCounts } from '../../rollout/steps.ts'
import { readJson, readReason, readWord } from '../json-column.ts'
import type { RolloutCache } from '../rollout-cache.ts'
import { NO_STATE, parseRolloutState } from '../rollout-json.ts'
import type { RolloutSummary } from '../rollouts-store.ts'
import type { Schema } from '../schema.ts'

export const TOWARDS = ['failed', 'aborted', 'superseded'] as const

interface Head {
  readonly id: string
  readonly version: number
}

/** `read`: the whole of it, for those that SQL cannot count. */
export async function readSummary(
  db: Kysely<Schema>,
  cache: RolloutCache,
  { id, version }: Head,
  read: (head: Head) => Promise<Rollout>,
): Promise<RolloutSummary> {
  const fold = cache.find(id, version)
  if (fold !== undefined) return summaryOf(fold)
  const known = cache.summaryOf(id, version)
  if (known !== undefined) return known
  const { phases, ...row } = await db
    .selectFrom('rollouts')
    .select(['revision', 'author', 'status', 'toward', 'reason_json', 'state_json'])
    .select(['started_at_ms', 'ended_at_ms'])
    .select(sql<number | null>`json_array_length(plan_json, '$.phases')`.as('phases'))
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  // Steps are those of the phase that it is in, which only the plan knows; one that goes on is folded soon.
  if (row.ended_at_ms === null || (phases ?? 1) > 1) {
    const summary = summaryOf(await read({ id, version }))
    if (summary.endedAtMs !== undefined) cache.keepSummary(summary)
    return summary
  }
  const { gates } =
    row.state_json === null
      ? NO_STATE
      : readJson(`the state of rollout ${id}`, row.state_json, parseRolloutState)
  const summary = {
    id,
    version,
    revision: row.revision,
    author: row.author,
    status: readWord('the status of a rollout', row.status, RolloutStatus.options),
    toward: row.toward === null ? undefined : readWord('the end of a drain', row.toward, TOWARDS),
    reason: readReason(row.reason_json),
    gates,
    startedAtMs: row.started_at_ms ?? undefined,
    endedAtMs: row.ended_at_ms,
    counts: await countRows(db, id),
  }
  cache.keepSummary(summary)
  return summary
}

function summaryOf(rollout: Rollout): RolloutSummary {
  const { id, version, plan, status, toward, reason, gates, startedAtMs, endedAtMs } = rollout
  const { revision, author } = plan
  const told = { id, version, revision, author, status, toward, reason, gates }
  return { ...told, startedAtMs, endedAtMs, counts: countSteps(rollout) }
}

async function countRows(db: Kysely<Schema>, id: string): Promise<RolloutSummary['counts']> {
  const rows = await db
    .selectFrom('rollout_steps')
    .select(['state', eb => eb.fn.countAll<number>().as('count')])
    .where('rollout', '=', id)
    .groupBy('state')
    .execute()
  const counts = noCounts()
  for (const { state, count } of rows)
    counts[readWord('the state of a step', state, StepState.options)] = count
  return counts
}
