// Who is out in each group, and who holds its leases, kept up with what changes of its members. A
// cluster, whose members speak of one another, is looked at as a whole; of other groups, which may be
// as large as the fleet, only the member that has changed.

import { type GroupDefinition, limitOf } from '../fleet/groups.ts'
import type { LeaseRecord, RolloutMember } from '../store/store.ts'
import { createInterest } from '../fleet/directory.ts'
import type { FleetFrame, FrameDelta, GroupDelta } from './fleet-frame.ts'
import { type GroupInput, outReason, viewGroups } from './fleet-view.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { GroupView, LeaseView } from './rollout.ts'

export interface GroupCache {
  has(group: string): boolean
  /** Members of it that are in the fleet. */
  add(definition: GroupDefinition, members: ReadonlyMap<string, RolloutMember>): void
  /** Groups have other members, or the fleet other nodes. Of those who came, `change` is told as well. */
  shift(delta: FrameDelta): void
  /** A member has changed; undefined: it is not there any more. */
  change(node: string, member: RolloutMember | undefined): void
  /** Forgets the groups of a node. */
  drop(node: string): void
  /** All leases that there are. Afterwards the groups are as they are now. */
  settle(leases: readonly LeaseRecord[]): void
  get(group: string): GroupView | undefined
}

type Options = Pick<GroupInput, 'isOnline' | 'clusterOf'>

/** What is given out is the same object until the group is another one: it is for one transaction. */
export function createGroupCache(frame: FleetFrame, options: Options): GroupCache {
  const plain = new Map<string, PlainGroup>()
  const clusters = new Map<string, ClusterGroup>()
  const stale = new Set<string>()
  /** Clusters that are looked at from outside: what is seen may be another thing each time. */
  const watched = new Set<string>()
  /** Which clusters name which nodes. */
  const interest = createInterest()
  /** Groups that had leases when last looked at. */
  let leased = new Set<string>()

  const refresh = (name: string, leases: readonly LeaseRecord[]) => {
    const known = clusters.get(name)
    if (known === undefined) return
    const { definition, members } = known
    interest.forget(name)
    const finder = interest.on(name, frame.directory)
    const input = { definitions: [definition], leases, members, finder, ...options }
    let isWatched = false
    const clusterOf: GroupInput['clusterOf'] = (node, kind) => {
      const view = options.clusterOf?.(node, kind)
      if (view !== undefined) isWatched = true
      return view
    }
    known.view = viewGroups({ ...input, clusterOf }).groups.get(name)
    if (isWatched) watched.add(name)
    else watched.delete(name)
  }

  const forget = (name: string) => {
    plain.delete(name)
    clusters.delete(name)
    interest.forget(name)
  }
  const redefine = (name: string, { definition, joined, left }: GroupDelta) => {
    const group = plain.get(name)
    const cluster = clusters.get(name)
    if (definition === undefined) forget(name)
    else if (group !== undefined) plain.set(name, movedGroup(group, { definition, joined, left }))
    else if (cluster !== undefined) {
      for (const node of left) cluster.members.delete(node)
      clusters.set(name, { ...cluster, definition })
      stale.add(name)
    }
  }

  return {
    has: group => plain.has(group) || clusters.has(group),
    add(definition, members) {
      const { name } = definition
      if (isCluster(definition)) {
        clusters.set(name, { definition, members: new Map(members), view: undefined })
        stale.add(name)
        return
      }
      const input = { definitions: [definition], leases: [], members, ...options }
      const view = viewGroups(input).groups.get(name)
      if (view !== undefined) plain.set(name, plainGroup(view))
      // Its leases are not known yet.
      leased.add(name)
    },
    shift({ nodes, groups }) {
      for (const [name, delta] of groups) redefine(name, delta)
      for (const { before, after } of nodes.values())
        for (const node of [before, after])
          for (const name of node === undefined ? [] : interest.in(node)) stale.add(name)
    },
    change(node, member) {
      for (const name of frame.groupsOf.get(node) ?? []) {
        const out = plain.get(name)?.out
        const cluster = clusters.get(name)
        if (cluster !== undefined) {
          if (member === undefined) cluster.members.delete(node)
          else cluster.members.set(node, member)
          stale.add(name)
        }
        const why = out && outReason(member, options.isOnline)
        if (why === undefined) out?.delete(node)
        else out?.set(node, why)
      }
    },
    drop(node) {
      for (const name of frame.groupsOf.get(node) ?? []) forget(name)
    },
    settle(leases) {
      const byGroup = Map.groupBy(leases, ({ group }) => group)
      for (const name of leased) plain.get(name)?.leases.clear()
      for (const [name, held] of byGroup)
        for (const { node, ...lease } of held) plain.get(name)?.leases.set(node, lease)
      for (const name of new Set([...stale, ...watched, ...leased, ...byGroup.keys()]))
        refresh(name, byGroup.get(name) ?? [])
      stale.clear()
      leased = new Set(byGroup.keys())
    },
    get: group => plain.get(group)?.view ?? clusters.get(group)?.view,
  }
}

interface PlainGroup {
  readonly view: GroupView
  readonly members: Set<string>
  readonly out: Map<string, Reason>
  readonly leases: Map<string, LeaseView>
}

interface ClusterGroup {
  readonly definition: GroupDefinition
  readonly members: Map<string, RolloutMember>
  view: GroupView | undefined
}

function plainGroup(view: GroupView): PlainGroup {
  const members = new Set(view.members)
  const out = new Map(view.out)
  const leases = new Map<string, LeaseView>()
  return { view: { ...view, members, out, leases }, members, out, leases }
}

/** The group may be the whole fleet: only those who came and went are looked at. */
function movedGroup(
  { view, ...kept }: PlainGroup,
  {
    definition,
    joined,
    left,
  }: Omit<GroupDelta, 'definition'> & { readonly definition: GroupDefinition },
): PlainGroup {
  const { members, out } = kept
  for (const node of joined) members.add(node)
  for (const node of left) {
    members.delete(node)
    out.delete(node)
  }
  const { maxUnavailable } = definition
  return { ...kept, view: { ...view, maxUnavailable, limit: limitOf(definition) } }
}

function isCluster({ type: { kind } }: GroupDefinition): boolean {
  return kind === 'raft' || kind === 'master-eligible'
}
