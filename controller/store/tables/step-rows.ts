// Rows of rollout_steps, from steps and back.

import type { Selectable } from 'kysely'
import { StepState } from '../../../shared/contract/operator-api.ts'
import type { Rollout, Step } from '../../rollout/rollout.ts'
import { readReason, readWord, writeReason } from '../json-column.ts'
import type { Schema } from '../schema.ts'

const HELD = ['saved', 'stopped', 'switched'] as const

/** Of a node that a later phase is the first to take. */
export function waiting(
  { node, from }: Pick<Step, 'node'> & { readonly from: string | undefined },
  { progressTimeMs }: Rollout,
): Step {
  return {
    node,
    state: 'waiting',
    generation: undefined,
    holds: from,
    reason: undefined,
    sinceMs: 0,
    timeMs: progressTimeMs,
    healthyTimeMs: undefined,
    claimSequence: undefined,
    held: undefined,
  }
}

export function stepColumns(step: Step) {
  return {
    state: step.state,
    generation: step.generation ?? null,
    reason_json: writeReason(step.reason),
    since_ms: step.sinceMs,
    holds_digest: step.holds ?? null,
    time_ms: step.timeMs,
    healthy_time_ms: step.healthyTimeMs ?? null,
    claim_sequence: step.claimSequence ?? null,
    held: step.held ?? null,
  }
}

export function toStep(row: Selectable<Schema['rollout_steps']>): Step {
  return {
    node: row.node,
    state: readWord('the state of a step', row.state, StepState.options),
    generation: row.generation ?? undefined,
    reason: readReason(row.reason_json),
    sinceMs: row.since_ms,
    holds: row.holds_digest ?? undefined,
    timeMs: row.time_ms,
    healthyTimeMs: row.healthy_time_ms ?? undefined,
    claimSequence: row.claim_sequence ?? undefined,
    held: row.held === null ? undefined : readWord('how far a step is', row.held, HELD),
  }
}
