// Groups that an operator has stopped, changed and started as a whole: their nodes make one coordinated
// phase, between those that come before them and those that come after. Pure.

import { OperationalError } from '../../shared/errors.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { rankOf, rankOfNode } from '../fleet/edges.ts'
import type { GroupDefinition } from '../fleet/groups.ts'
import type { OrderedNode, PhaseRequest, PlannedNode, RolloutPlan } from './rollout.ts'

interface SectionInput {
  readonly groups: readonly GroupDefinition[]
}

/** Throws `group-unknown`, `together-empty`: nothing of a group that was named is changed. */
export function aroundSection(
  {
    groups,
    request,
  }: SectionInput & { readonly request: { readonly nodes: readonly PlannedNode[] } },
  together: readonly string[],
  rolling: (nodes: readonly PlannedNode[]) => readonly PhaseRequest[],
): readonly PhaseRequest[] {
  const { nodes } = request
  const section = new Map<string, PlannedNode>()
  for (const name of together) {
    const group = groupNamed(groups, name)
    const members = nodes.filter(({ node }) => group.members.includes(node))
    if (members.length === 0)
      throw new OperationalError(
        'together-empty',
        `could not plan a change of group ${name} as a whole: none of its members is changed`,
        { hint: `leave ${name} out of what is changed together`, details: { group: name } },
      )
    for (const planned of members)
      if (!section.has(planned.node))
        section.set(planned.node, { ...planned, together: serviceOf(group, planned) })
  }
  const rank = ({ content }: PlannedNode) => rankOfNode(content.services)
  const first = Math.min(...[...section.values()].map(rank))
  const others = nodes.filter(({ node }) => !section.has(node))
  return [
    ...named('before', rolling(others.filter(one => rank(one) < first))),
    { name: 'together', coordinated: true, nodes: [...section.values()] },
    ...named('after', rolling(others.filter(one => rank(one) >= first))),
  ]
}

/** The nodes of a section start in the order of its groups: those of a later one when those before are well. */
export function inStartOrder(
  { groups, request }: SectionInput & { readonly request: Pick<RolloutPlan, 'together'> },
  nodes: readonly OrderedNode[],
): readonly OrderedNode[] {
  const { together = [] } = request
  const ranks = new Map<string, number>()
  for (const [rank, name] of together.entries())
    for (const member of groups.find(one => one.name === name)?.members ?? [])
      if (!ranks.has(member)) ranks.set(member, rank)
  return nodes
    .map(planned => ({ ...planned, rank: ranks.get(planned.node) ?? 0 }))
    .toSorted((a, b) => a.rank - b.rank)
}

function named(name: string, phases: readonly PhaseRequest[]): readonly PhaseRequest[] {
  const some = phases.filter(({ nodes }) => nodes.length > 0)
  return some.map((phase, index) => ({
    ...phase,
    name: some.length === 1 ? name : `${name}-${index + 1}`,
  }))
}

function groupNamed(groups: readonly GroupDefinition[], name: string): GroupDefinition {
  const group = groups.find(one => one.name === name)
  if (group !== undefined) return group
  const known = groups.map(one => one.name).join(', ')
  throw new OperationalError('group-unknown', `there is no group ${name}`, {
    hint: known === '' ? 'the fleet has no groups' : `groups of the fleet: ${known}`,
    details: { group: name },
  })
}

// What the members of such a group are: the others of their services are changed as in any rollout.
const SERVICES: Readonly<Record<GroupDefinition['type']['kind'], readonly ServiceName[]>> = {
  raft: ['influxdb-meta'],
  'master-eligible': ['elasticsearch'],
  replicated: ['influxdb', 'elasticsearch'],
  pool: [],
}

function serviceOf({ type }: GroupDefinition, { content }: PlannedNode): ServiceName | undefined {
  const here = content.services.map(({ service }) => service)
  const meant = SERVICES[type.kind].find(service => here.includes(service))
  if (meant !== undefined) return meant
  const last = content.services.toSorted(
    (a, b) => rankOf(b.service, b.tls) - rankOf(a.service, a.tls),
  )
  return last[0]?.service
}
