// What has happened to a node, of two lists that each have an end: no older than what both of them tell. Pure.

import type { AuditList, AuditRecordView } from '../../../shared/contract/audit.ts'
import type { NodeRollout, NodeRolloutList } from '../../../shared/contract/node-history.ts'

export interface Happening {
  readonly atMs: number
  readonly key: string
  readonly rollout?: NodeRollout
  readonly entry?: AuditRecordView
}

export interface History {
  /** Newest first. */
  readonly happenings: readonly Happening[]
  /** There is more of it, older than that. */
  readonly hasMore: boolean
}

export function historyOf(rollouts: NodeRolloutList, audit: AuditList): History {
  const moved = rollouts.rollouts.map((rollout): Happening => {
    return { atMs: rollout.step.sinceMs, key: rollout.rollout, rollout }
  })
  const done = audit.records.map(
    (entry): Happening => ({ atMs: entry.atMs, key: `${entry.sequence}`, entry }),
  )
  // Where one list is cut off, the other one alone would tell the rest as if nothing else had happened.
  const sinceMs = Math.max(
    rollouts.next === undefined ? 0 : oldest(moved),
    audit.next === undefined ? 0 : oldest(done),
  )
  return {
    happenings: [...moved, ...done]
      .filter(({ atMs }) => atMs >= sinceMs)
      .toSorted((a, b) => b.atMs - a.atMs),
    hasMore: rollouts.next !== undefined || audit.next !== undefined,
  }
}

function oldest(list: readonly Happening[]): number {
  return Math.min(...list.map(({ atMs }) => atMs))
}
