// Where copies of shards go, how healthy that leaves the cluster, and who votes.

import { randomUUID } from 'node:crypto'
import type { ClusterState, Copy, Index, NodeInfo } from './cluster-state.ts'

const ENABLE = 'cluster.routing.allocation.enable'
type Enable = 'all' | 'primaries' | 'new_primaries' | 'none'

export function isData({ roles }: NodeInfo): boolean {
  return roles.some(role => role === 'data' || role.startsWith('data_'))
}

export function isMasterEligible({ roles }: NodeInfo): boolean {
  return roles.includes('master')
}

/** Assigns what may be assigned now; the same state where that is nothing. */
export function reroute(
  state: ClusterState,
  nowMs: number,
  byDefault: string | undefined,
): ClusterState {
  const enable = enableOf(state.transient[ENABLE] ?? state.persistent[ENABLE] ?? byDefault)
  const nodes = state.nodes.filter(isData).map(({ id }) => id)
  const load = new Map(nodes.map(id => [id, 0]))
  const count = (id: string) => load.set(id, (load.get(id) ?? 0) + 1)
  for (const { copies } of Object.values(state.indices)) {
    for (const { node } of copies) if (node !== null) count(node)
  }

  let changed = false
  const indices: Record<string, Index> = {}
  for (const [name, index] of Object.entries(state.indices)) {
    const copies = index.copies.map((copy, _i, all) => {
      if (copy.state !== 'UNASSIGNED') return copy
      const node = placeFor(copy, { ...index, copies: all }, { enable, nodes, load, nowMs })
      if (node === undefined) return copy
      count(node)
      changed = true
      const allocation = randomUUID()
      return { ...copy, node, state: 'INITIALIZING' as const, allocation, delayedUntilMs: 0 }
    })
    const placed = withoutTwoOnOneNode(index, copies)
    // A replica starts from nothing, so until it has recovered it is no copy to fall back on.
    const filling = placed.copies.filter(copy => !copy.primary && copy.state === 'INITIALIZING')
    const inSync = index.inSync.filter(id => !filling.some(({ node }) => node === id))
    indices[name] = { ...placed, inSync }
  }
  return changed ? { ...state, indices } : state
}

interface Places {
  readonly enable: Enable
  readonly nodes: readonly string[]
  readonly load: ReadonlyMap<string, number>
  readonly nowMs: number
}

function placeFor(
  copy: Copy,
  { copies, inSync }: Index,
  { enable, nodes, load, nowMs }: Places,
): string | undefined {
  const leastLoaded = (among: readonly string[]) =>
    among.toSorted((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0))[0]
  if (copy.primary) {
    if (enable === 'none') return undefined
    if (inSync.length === 0) return leastLoaded(nodes)
    // Any other copy would forget what was acknowledged.
    return enable === 'new_primaries' ? undefined : nodes.find(id => inSync.includes(id))
  }
  const active = copies.some(({ primary, state }) => primary && state === 'STARTED')
  if (!active || enable !== 'all') return undefined
  const free = nodes.filter(id => !copies.some(({ node }) => node === id))
  const back = free.find(id => id === copy.previous)
  return copy.delayedUntilMs > nowMs ? back : (back ?? leastLoaded(free))
}

/** Two replicas that were placed in one go may have chosen the same node. */
function withoutTwoOnOneNode(index: Index, copies: readonly Copy[]): Index {
  const seen = new Set<string>()
  return {
    ...index,
    copies: copies.map(copy => {
      if (copy.node === null) return copy
      if (!seen.has(copy.node)) {
        seen.add(copy.node)
        return copy
      }
      return { ...copy, node: null, state: 'UNASSIGNED', allocation: '' }
    }),
  }
}

function enableOf(text: string | undefined): Enable {
  const known = ['all', 'primaries', 'new_primaries', 'none'] as const
  return known.find(one => one === text?.toLowerCase()) ?? 'all'
}

export interface Health {
  readonly status: 'green' | 'yellow' | 'red'
  readonly number_of_nodes: number
  readonly number_of_data_nodes: number
  readonly active_primary_shards: number
  readonly active_shards: number
  readonly relocating_shards: number
  readonly initializing_shards: number
  readonly unassigned_shards: number
  readonly delayed_unassigned_shards: number
  readonly active_shards_percent_as_number: number
}

export function healthOf(state: ClusterState, nowMs: number): Health {
  const copies = allCopies(state)
  const started = copies.filter(copy => copy.state === 'STARTED')
  const unassigned = copies.filter(copy => copy.state === 'UNASSIGNED')
  const red = copies.some(copy => copy.primary && copy.state !== 'STARTED')
  return {
    status: red ? 'red' : started.length < copies.length ? 'yellow' : 'green',
    number_of_nodes: state.nodes.length,
    number_of_data_nodes: state.nodes.filter(isData).length,
    active_primary_shards: started.filter(({ primary }) => primary).length,
    active_shards: started.length,
    // Shards are never moved without need here.
    relocating_shards: 0,
    initializing_shards: copies.filter(copy => copy.state === 'INITIALIZING').length,
    unassigned_shards: unassigned.length,
    delayed_unassigned_shards: unassigned.filter(copy => copy.delayedUntilMs > nowMs).length,
    active_shards_percent_as_number:
      copies.length === 0 ? 100 : (100 * started.length) / copies.length,
  }
}

function allCopies(state: ClusterState): readonly Copy[] {
  return Object.values(state.indices).flatMap(({ copies }) => copies)
}

/**
 * Who votes from now on: an odd number of live nodes, never fewer than three once there were three, so
 * that with three nodes one can go and with two the right one must stay.
 */
export function votingFor(state: ClusterState): string[] {
  const live = state.nodes.filter(isMasterEligible).map(({ id }) => id)
  const odd = live.length % 2 === 0 ? live.length - 1 : live.length
  const size = Math.max(odd, state.voting.length >= 3 ? 3 : 1)
  const wanted = [
    ...state.voting.filter(id => live.includes(id)),
    ...live.filter(id => !state.voting.includes(id)),
  ].toSorted((a, b) => Number(b === state.master) - Number(a === state.master))
  const gone = state.voting.filter(id => !live.includes(id))
  return [...wanted, ...gone].slice(0, size)
}

export function hasQuorum(voting: readonly string[], votes: ReadonlySet<string>): boolean {
  return voting.filter(id => votes.has(id)).length * 2 > voting.length
}
