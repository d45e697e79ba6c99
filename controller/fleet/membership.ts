// What the members of a cluster say of it, compared with the group that the fleet has for it: who leads,
// how well it is, and who is in the one and not in the other. Pure.

import type { ClusterHealth, ClusterView } from '../../shared/contract/cluster-view.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Finder } from './directory.ts'
import type { GroupDefinition } from './groups.ts'

/** The view of one member, by its node. */
export type Testimonies = ReadonlyMap<string, ClusterView>

export interface Discovery {
  /** The node that most of those who tell take for the leader; undefined: none, or they disagree evenly. */
  readonly leader: string | undefined
  /** The worst that one of them says. */
  readonly health: ClusterHealth | undefined
  readonly notices: readonly Reason[]
  /** Nodes of the group that their cluster does not count among its members. */
  readonly missing: ReadonlyMap<string, Reason>
}

const NONE: Discovery = {
  leader: undefined,
  health: undefined,
  notices: [],
  missing: new Map(),
}
// Of names in one sentence.
const NAMES_MAX = 8

export function discover(
  group: Pick<GroupDefinition, 'name' | 'members' | 'type'>,
  views: Testimonies,
  finder: Finder,
): Discovery {
  if (views.size === 0) return NONE
  const listed = [...views.values()].filter(({ members }) => members.length > 0)
  const seen = new Map(
    listed.flatMap(({ members }) => members).map(member => [member.name, finder.find(member)]),
  )
  const there = new Set(seen.values())
  // Beside those that may become master a cluster has other nodes; a Raft group has peers alone.
  const isOther = (node: string) => group.type.kind === 'raft' && !group.members.includes(node)
  const strangers = [...seen].flatMap(([name, node]) =>
    node === undefined || isOther(node) ? [name] : [],
  )
  const lacking = listed.length === 0 ? [] : group.members.filter(node => !there.has(node))
  return {
    leader: leaderOf(views, finder),
    health: worst([...views.values()].map(({ health }) => health)),
    notices: noticesOf(group.name, strangers, lacking),
    // With strangers about, one of them may be the one that is looked for, under another name.
    missing: new Map(strangers.length > 0 ? [] : lacking.map(node => [node, MISSING])),
  }
}

const MISSING: Reason = {
  code: 'not-in-cluster',
  message: 'the other members do not count it among them',
}

function noticesOf(
  group: string,
  strangers: readonly string[],
  lacking: readonly string[],
): readonly Reason[] {
  const notices: Reason[] = []
  if (strangers.length > 0)
    notices.push({
      code: 'members-undeclared',
      message: `group ${group}: its cluster has members that it does not name: ${some(strangers)}; they do not raise what it can spare`,
    })
  if (lacking.length > 0)
    notices.push({
      code: 'members-unseen',
      message: `group ${group}: its cluster does not count these nodes among its members: ${some(lacking)}`,
    })
  return notices
}

function some(names: readonly string[]): string {
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : ''
  return names.toSorted().slice(0, NAMES_MAX).join(', ') + more
}

function leaderOf(views: Testimonies, finder: Finder): string | undefined {
  const votes = new Map<string, number>()
  for (const { leader, members } of views.values()) {
    if (leader === undefined) continue
    const node = finder.find(members.find(({ name }) => name === leader) ?? { name: leader })
    if (node !== undefined) votes.set(node, (votes.get(node) ?? 0) + 1)
  }
  const [first, second] = [...votes].toSorted(([, a], [, b]) => b - a)
  return first === undefined || first[1] === second?.[1] ? undefined : first[0]
}

const BY_BADNESS = ['red', 'yellow', 'green'] as const

function worst(healths: readonly ClusterHealth[]): ClusterHealth | undefined {
  return BY_BADNESS.find(one => healths.includes(one))
}
