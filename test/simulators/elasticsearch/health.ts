// _cluster/health: waits for what is asked, and says 408 where that does not come about.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Health, healthOf } from './allocation.ts'
import { ClusterError, type ClusterState, NO_CLUSTER } from './cluster-state.ts'
import type { Coordinator } from './coordinator.ts'
import type { RestAnswer, RestRequest } from './rest.ts'
import { durationMs } from './yaml-settings.ts'

const POLL_MS = 100
const ORDER = ['green', 'yellow', 'red'] as const

/** Waits for what was asked; 408 where that does not come about in time. */
export async function answerHealth(
  { query, parts }: RestRequest,
  { cluster, coordinator }: { readonly cluster: string; readonly coordinator: Coordinator },
): Promise<RestAnswer> {
  const timeoutMs = durationMs(query.get('timeout') ?? '30s') ?? 30_000
  const endMs = Date.now() + timeoutMs
  const wanted = query.get('wait_for_status')
  const nodes = query.get('wait_for_nodes')
  const met = (found: Health) =>
    (wanted === null || ORDER.indexOf(found.status) <= ORDER.findIndex(one => one === wanted)) &&
    (nodes === null || countMatches(nodes, found.number_of_nodes)) &&
    (query.get('wait_for_no_initializing_shards') !== 'true' || found.initializing_shards === 0)
  for (;;) {
    const state = coordinator.state()
    const known = coordinator.master() !== undefined && state.clusterUuid !== NO_CLUSTER
    const found = healthOf(onlyIndex(state, parts[0]), Date.now())
    const timedOut = Date.now() >= endMs
    if (!known && timedOut) {
      throw new ClusterError('master_not_discovered_exception', 503, 'null')
    }
    if (known && (timedOut || met(found))) {
      const missed = !met(found)
      return {
        status: missed ? 408 : 200,
        body: {
          cluster_name: cluster,
          timed_out: missed,
          ...found,
          number_of_pending_tasks: 0,
          number_of_in_flight_fetch: 0,
          task_max_waiting_in_queue_millis: 0,
        },
      }
    }
    await sleep(Math.min(POLL_MS, Math.max(1, endMs - Date.now())))
  }
}

export function onlyIndex(state: ClusterState, name: string | undefined): ClusterState {
  if (name === undefined || name === '*') return state
  const index = state.indices[name]
  return { ...state, indices: index === undefined ? {} : { [name]: index } }
}

/** `3`, `>=3`, `<5`, `ge(3)`. */
function countMatches(wanted: string, count: number): boolean {
  const match = /^(>=|<=|>|<|ge|le|gt|lt)?\(?(\d+)\)?$/.exec(wanted)
  const number = Number(match?.[2])
  switch (match?.[1] ?? '') {
    case '>=':
    case 'ge':
      return count >= number
    case '<=':
    case 'le':
      return count <= number
    case '>':
    case 'gt':
      return count > number
    case '<':
    case 'lt':
      return count < number
    default:
      return count === number
  }
}
