// Which nodes must not be down together. Declared in the fleet spec under `groups:`; products that are
// clusters have a group without being asked. Pure.

import type { ServiceName } from '../../shared/contract/service.ts'
import type { NodeRecord } from '../store/store.ts'
import { matches, type Selector } from './selector.ts'

/** What one group can lose follows from its kind; see `tolerance`. */
export type GroupKind =
  | { readonly kind: 'raft' }
  | { readonly kind: 'master-eligible' }
  | { readonly kind: 'replicated'; readonly replication: number }
  | { readonly kind: 'pool'; readonly percent: number }

export interface GroupIntent {
  readonly name: string
  readonly nodes: Selector
  readonly type: GroupKind
  /** Undefined: one, or as many as a pool tolerates. */
  readonly maxUnavailable: number | undefined
  readonly acceptQuorumLoss: boolean
}

export interface GroupDefinition {
  readonly name: string
  readonly type: GroupKind
  /** Ascending. */
  readonly members: readonly string[]
  readonly maxUnavailable: number
  /** How many can be lost; 0: none without an outage. */
  readonly tolerance: number
  readonly acceptQuorumLoss: boolean
  /** False: assumed, because the fleet has such a cluster. */
  readonly declared: boolean
}

/** How many members may be out at once. */
export function limitOf({
  maxUnavailable,
  tolerance,
  acceptQuorumLoss,
}: Pick<GroupDefinition, 'maxUnavailable' | 'tolerance' | 'acceptQuorumLoss'>): number {
  return Math.min(maxUnavailable, tolerance === 0 && acceptQuorumLoss ? 1 : tolerance)
}

/** A quorum keeps its majority, replicas keep one copy. The restart of a single node is its outage. */
export function tolerance(type: GroupKind, size: number): number {
  switch (type.kind) {
    case 'raft':
    case 'master-eligible':
      return size === 1 ? 1 : size - (Math.floor(size / 2) + 1)
    case 'replicated':
      return size === 1 ? 1 : type.replication - 1
    case 'pool':
      return Math.max(1, Math.floor((type.percent * size) / 100))
  }
}

interface GroupedSpec {
  readonly groups?: readonly GroupIntent[]
  readonly services: readonly { readonly service: ServiceName; readonly nodes: Selector }[]
}

type GroupableNode = Pick<NodeRecord, 'name' | 'labels'>

/** Names of the nodes that run a product by the document that they have, whatever the spec says by now. */
export type Running = ReadonlyMap<ServiceName, ReadonlySet<string>>

const NOBODY: Running = new Map()

/** Who is in a group, asked of one node at a time: so that a node which changes is matched, and no other. */
export interface GroupRule extends Omit<GroupIntent, 'nodes'> {
  /** False: assumed. */
  readonly declared: boolean
  readonly isMember: (node: GroupableNode, running: Running) => boolean
}

/**
 * The groups of a spec, declared ones in their order, then the assumed ones; also those that nobody is
 * in. Of `running` they only depend by whether anybody runs a product at all.
 */
export function groupRules(spec: GroupedSpec, running: Running = NOBODY): readonly GroupRule[] {
  const declared = (spec.groups ?? []).map(({ nodes, ...intent }) => ({
    ...intent,
    declared: true,
    isMember: (node: GroupableNode) => matches(node, nodes),
  }))
  const isThere = (service: ServiceName) =>
    spec.services.some(one => one.service === service) || isRun(running, service)
  const clusters = ASSUMED.filter(one => !('where' in one) || isThere(one.where))
  const assumed = clusters.map(({ service, name, type }) => {
    // A node that was put into a group of this kind by its operator is not put into another.
    const taking = declared.filter(one => one.type.kind === type.kind)
    const selectors = spec.services.filter(one => one.service === service).map(one => one.nodes)
    return {
      name: declared.some(one => one.name === name) ? `${name}-others` : name,
      type,
      maxUnavailable: 1,
      acceptQuorumLoss: true,
      declared: false,
      isMember: (node: GroupableNode, runs: Running) =>
        (selectors.some(selector => matches(node, selector)) ||
          runs.get(service)?.has(node.name) === true) &&
        !taking.some(one => one.isMember(node)),
    }
  })
  return [...declared, ...assumed]
}

/** Of what `groupRules` depends on beside the spec; another one makes other rules. */
export function presentClusters(running: Running): readonly ServiceName[] {
  return CLUSTERS.filter(service => isRun(running, service))
}

function isRun(running: Running, service: ServiceName): boolean {
  return (running.get(service)?.size ?? 0) > 0
}

/**
 * Declared groups in their order, then the assumed ones. A group of nobody is left out. A spec that names
 * some nodes of a cluster does not make it smaller: those who run it are members all the same.
 */
export function groupsOf(
  spec: GroupedSpec,
  nodes: readonly GroupableNode[],
  running: Running = NOBODY,
): readonly GroupDefinition[] {
  return groupRules(spec, running).flatMap(rule => {
    const members = nodes.filter(node => rule.isMember(node, running)).map(({ name }) => name)
    return members.length === 0 ? [] : [defineGroup(rule, members.toSorted())]
  })
}

/** Products that make groups without being asked. */
export const CLUSTERS: readonly ServiceName[] = ['influxdb-meta', 'elasticsearch', 'influxdb']

// What nobody declared must not stop a change that nobody can make without an outage: two nodes have
// no majority without each other. The plan says so.
const ASSUMED = [
  { service: 'influxdb-meta', name: 'influxdb-meta', type: { kind: 'raft' } },
  { service: 'elasticsearch', name: 'elasticsearch', type: { kind: 'master-eligible' } },
  // Without meta nodes each of them is a server of its own.
  {
    service: 'influxdb',
    where: 'influxdb-meta',
    name: 'influxdb-data',
    type: { kind: 'replicated', replication: 2 },
  },
] as const satisfies readonly {
  readonly service: ServiceName
  readonly where?: ServiceName
  readonly name: string
  readonly type: GroupKind
}[]

/** With these members, ascending. */
export function defineGroup(
  { name, type, maxUnavailable, acceptQuorumLoss, declared }: Omit<GroupRule, 'isMember'>,
  members: readonly string[],
): GroupDefinition {
  const tolerated = tolerance(type, members.length)
  return {
    name,
    type,
    members,
    maxUnavailable: maxUnavailable ?? (type.kind === 'pool' ? tolerated : 1),
    tolerance: tolerated,
    acceptQuorumLoss,
    declared,
  }
}
