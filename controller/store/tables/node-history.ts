// One look-up for each rollout, newest first, until there are enough: no step of another node is read.

import type { Kysely } from 'kysely'
import { RolloutStatus, StepState } from '../../../shared/contract/operator-api.ts'
import { readReason, readWord } from '../json-column.ts'
import type { NodeHistory } from '../node-history-store.ts'
import type { Schema } from '../schema.ts'

export function nodeHistoryTable(db: Kysely<Schema>): NodeHistory {
  return {
    async rollouts(node, page) {
      return (await stepsOfNode(db, node, page).execute()).map(row => ({
        rollout: row.id,
        revision: row.revision,
        author: row.author,
        status: readWord('the status of a rollout', row.status, RolloutStatus.options),
        endedAtMs: row.ended_at_ms ?? undefined,
        state: readWord('the state of a step', row.state, StepState.options),
        generation: row.generation ?? undefined,
        reason: readReason(row.reason_json),
        sinceMs: row.since_ms,
      }))
    },
  }
}

export function stepsOfNode(
  db: Kysely<Schema>,
  node: string,
  { before, limit }: Parameters<NodeHistory['rollouts']>[1],
) {
  const query = db
    .selectFrom('rollouts')
    // SQLite keeps the order of a cross join. With any other it reads the steps of all nodes first.
    .crossJoin('rollout_steps')
    .whereRef('rollout_steps.rollout', '=', 'rollouts.id')
    .where('rollout_steps.node', '=', node)
    .select(['rollouts.id', 'rollouts.revision', 'rollouts.author', 'rollouts.status'])
    .select(['rollouts.ended_at_ms', 'rollout_steps.state', 'rollout_steps.generation'])
    .select(['rollout_steps.reason_json', 'rollout_steps.since_ms'])
    .orderBy('rollouts.sequence', 'desc')
    .limit(limit)
  if (before === undefined) return query
  return query.where('rollouts.sequence', '<', eb =>
    eb.selectFrom('rollouts as last').select('last.sequence').where('last.id', '=', before),
  )
}
