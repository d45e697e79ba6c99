// What of the fleet changes seldom: the fleet spec, the nodes with their labels, the groups that follow
// from both. A node that changes is matched against the groups, and no other node is looked at. Pure but
// for what it keeps.

import { createDirectory, type Directory } from '../fleet/directory.ts'
import {
  CLUSTERS,
  defineGroup,
  type GroupDefinition,
  type GroupRule,
  groupRules,
  presentClusters,
  type Running,
} from '../fleet/groups.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { RolloutIntent } from '../fleet/rollout-spec.ts'
import type { NodeRecord } from '../store/store.ts'

export type FrameNode = Pick<NodeRecord, 'name' | 'labels' | 'names'>

/** For one transaction: what it holds is kept up, not copied; but for definitions of groups, which stay as they are. */
export interface FleetFrame {
  readonly intent: RolloutIntent
  readonly nodes: ReadonlyMap<string, FrameNode>
  /** Who runs products that are clusters, by the documents in force. */
  readonly running: Running
  readonly groups: ReadonlyMap<string, GroupDefinition>
  /** Names of the groups of a node, in the order of the groups; a node in none is absent. */
  readonly groupsOf: ReadonlyMap<string, readonly string[]>
  readonly directory: Directory
}

/** A node as it is now. */
export interface NodeNow {
  readonly node: FrameNode
  /** The clusters that it runs by the document in force. */
  readonly runs: readonly ServiceName[]
}

/** What has become of some nodes and their groups. */
export interface FrameDelta {
  readonly nodes: ReadonlyMap<string, NodeDelta>
  /** Groups with other members than before; `definition` undefined: nobody is in it any more. */
  readonly groups: ReadonlyMap<string, GroupDelta>
}

export interface NodeDelta {
  /** Undefined: it was not there. */
  readonly before: FrameNode | undefined
  readonly after: FrameNode | undefined
  readonly groupsBefore: readonly string[]
  readonly groupsAfter: readonly string[]
}

export interface GroupDelta {
  readonly definition: GroupDefinition | undefined
  readonly joined: readonly string[]
  readonly left: readonly string[]
}

export interface KeptFrame {
  frame(): FleetFrame
  /** How these nodes are now; undefined: not there any more. Gives undefined where all groups were made again. */
  change(now: ReadonlyMap<string, NodeNow | undefined>): FrameDelta | undefined
  /** All groups, by another spec. */
  regroup(spec: FleetSpec): void
}

export function keepFrame(first: FleetSpec, all: Iterable<NodeNow>): KeptFrame {
  const nodes = new Map<string, FrameNode>()
  const running = new Map<ServiceName, Set<string>>(CLUSTERS.map(name => [name, new Set()]))
  const groupsOf = new Map<string, readonly string[]>()
  const directory = createDirectory(nodes)
  let spec = first
  let rules: readonly GroupRule[] = []
  let present = ''
  let groups = new Map<string, GroupDefinition>()

  const put = (name: string, now: NodeNow | undefined) => {
    if (now === undefined) nodes.delete(name)
    else nodes.set(name, now.node)
    for (const [service, those] of running)
      if (now?.runs.includes(service) === true) those.add(name)
      else those.delete(name)
  }
  const matched = (node: FrameNode | undefined) =>
    node === undefined
      ? []
      : rules.filter(rule => rule.isMember(node, running)).map(({ name }) => name)
  const place = (name: string, its: readonly string[]) => {
    if (its.length === 0) groupsOf.delete(name)
    else groupsOf.set(name, its)
  }

  const regroup = (next: FleetSpec) => {
    spec = next
    rules = groupRules(spec, running)
    present = presentClusters(running).join()
    groupsOf.clear()
    const members = rules.map((): string[] => [])
    for (const node of nodes.values()) {
      const its: string[] = []
      for (const [index, rule] of rules.entries()) {
        if (!rule.isMember(node, running)) continue
        members[index]?.push(node.name)
        its.push(rule.name)
      }
      place(node.name, its)
    }
    const made = rules.map((rule, index) => defineGroup(rule, (members[index] ?? []).toSorted()))
    groups = named(made)
  }

  /** Groups whose members are others now. */
  const redefine = (moved: ReadonlyMap<string, NodeDelta>): ReadonlyMap<string, GroupDelta> => {
    const moves = movesOf(moved)
    if (moves.size === 0) return NO_GROUPS
    const changed = new Map<string, GroupDelta>()
    const made = rules.flatMap(rule => {
      const old = groups.get(rule.name)
      const move = moves.get(rule.name)
      if (move === undefined) return old ?? []
      const members = moveMembers(old?.members ?? [], move)
      const definition = members.length === 0 ? undefined : defineGroup(rule, members)
      changed.set(rule.name, { definition, ...move })
      return definition ?? []
    })
    groups = named(made)
    return changed
  }

  for (const now of all) put(now.node.name, now)
  regroup(spec)
  return {
    frame: () => ({ intent: spec, nodes, running, groups, groupsOf, directory }),
    regroup,
    change(now) {
      const moved = new Map<string, NodeDelta>()
      for (const [name, one] of now) {
        const before = nodes.get(name)
        const groupsBefore = groupsOf.get(name) ?? []
        directory.change(before, one?.node)
        put(name, one)
        const after = one?.node
        moved.set(name, { before, after, groupsBefore, groupsAfter: matched(after) })
      }
      // With the first node of a cluster, or without the last one, there are other groups.
      if (presentClusters(running).join() !== present || hasTwins(rules)) {
        regroup(spec)
        return undefined
      }
      for (const [name, { groupsAfter }] of moved) place(name, groupsAfter)
      return { nodes: moved, groups: redefine(moved) }
    },
  }
}

const NO_GROUPS: ReadonlyMap<string, GroupDelta> = new Map()

type Move = Pick<GroupDelta, 'joined' | 'left'>

function movesOf(moved: ReadonlyMap<string, NodeDelta>): ReadonlyMap<string, Move> {
  const moves = new Map<string, { readonly joined: string[]; readonly left: string[] }>()
  const moveOf = (group: string) => {
    const move = moves.get(group) ?? { joined: [], left: [] }
    moves.set(group, move)
    return move
  }
  for (const [name, { groupsBefore, groupsAfter }] of moved) {
    for (const group of groupsBefore)
      if (!groupsAfter.includes(group)) moveOf(group).left.push(name)
    for (const group of groupsAfter)
      if (!groupsBefore.includes(group)) moveOf(group).joined.push(name)
  }
  return moves
}

// A group may be the whole fleet: its names are copied, in a tenth of a millisecond for 100,000, and
// not looked at.
function moveMembers(members: readonly string[], { joined, left }: Move): readonly string[] {
  if (joined.length + left.length > ONE_BY_ONE_MAX) {
    const gone = new Set(left)
    return [...members.filter(name => !gone.has(name)), ...joined].toSorted()
  }
  const moved = [...members]
  for (const name of left) moved.splice(placeOf(moved, name), 1)
  for (const name of joined) moved.splice(placeOf(moved, name), 0, name)
  return moved
}

const ONE_BY_ONE_MAX = 64

/** Where it is, or would be. */
function placeOf(ascending: readonly string[], name: string): number {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}

// A group that is declared can have the name that an assumed one would get.
function hasTwins(rules: readonly GroupRule[]): boolean {
  return new Set(rules.map(({ name }) => name)).size < rules.length
}

/** A group of nobody is left out. */
function named(definitions: readonly GroupDefinition[]): Map<string, GroupDefinition> {
  const there = definitions.filter(({ members }) => members.length > 0)
  return new Map(there.map(definition => [definition.name, definition]))
}
