// Changes across which the nodes of a cluster cannot work with each other: which of a plan are not made by
// all of them at once. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { NodePreview } from '../../shared/contract/rollout-plan.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { managesTransport, type ServiceName } from '../../shared/contract/service.ts'
import type { GroupDefinition } from '../fleet/groups.ts'
import { isCoordinated } from './node-preview.ts'
import type { OrderedNode, Plan, RolloutPlan } from './rollout.ts'

export interface Torn {
  readonly node: string
  readonly reason: Reason
}

/** Does any node say that all of its cluster have to make its change at once? */
export function needsWhole({ previews = new Map() }: Pick<RolloutPlan, 'previews'>): boolean {
  return [...previews.values()].some(preview => changeOf(preview) !== undefined)
}

/**
 * Nodes that would lose their cluster, or be lost to it. `contents`: of all nodes that the fleet spec
 * selects, whether they move or not.
 */
export function tornNodes(
  plan: Plan,
  previews: ReadonlyMap<string, NodePreview>,
  contents: ReadonlyMap<string, DesiredContent>,
): readonly Torn[] {
  const torn = new Map<string, Torn>()
  for (const { coordinated, batches } of plan.phases)
    for (const planned of batches.flatMap(batch => batch.nodes)) {
      const preview = planned.preview === undefined ? undefined : previews.get(planned.preview)
      const change = preview && changeOf(preview)
      if (change === undefined) continue
      const isWhole = coordinated && change.isPossible && planned.together === change.service
      if (!isWhole) torn.set(planned.node, { node: planned.node, reason: change.reason })
      else
        for (const one of leftBehind(planned, change.service, { plan, contents }))
          torn.set(one.node, one)
    }
  return [...torn.values()]
}

interface Change {
  readonly service: ServiceName
  readonly reason: Reason
  /** False: the node would not make it with the others either. */
  readonly isPossible: boolean
}

function changeOf({ services }: NodePreview): Change | undefined {
  const refused = services.find(isCoordinated)
  if (refused !== undefined)
    return { service: refused.service, reason: refused.reason, isPossible: false }
  const planned = services.find(isPlannedWhole)
  return planned && { service: planned.service, reason: planned.activationReason, isPossible: true }
}

function isPlannedWhole({ planned }: ServiceReport): boolean {
  return planned?.disruption === 'coordinated'
}

/** Members of its groups that are to be on the other side, or that nobody changes. */
function leftBehind(
  { node, content }: OrderedNode,
  service: ServiceName,
  {
    plan: { groups, together = [] },
    contents,
  }: {
    readonly plan: Pick<Plan, 'groups' | 'together'>
    readonly contents: ReadonlyMap<string, DesiredContent>
  },
): readonly Torn[] {
  const side = sideOf(content, service)
  const own = groups.filter(
    ({ name, members }) => together.includes(name) && members.includes(node),
  )
  return own.flatMap(group =>
    group.members
      .filter(member => !isBeside(group, contents.get(member), service))
      .filter(member => sideOf(contents.get(member), service) !== side)
      .map(member => ({ node: member, reason: behind(group, member, service) })),
  )
}

/** It is in the group for another product. */
function isBeside(
  { type }: GroupDefinition,
  content: DesiredContent | undefined,
  service: ServiceName,
): boolean {
  if (content === undefined || content.services.some(one => one.service === service)) return false
  switch (type.kind) {
    case 'raft':
    case 'replicated':
    case 'pool':
      return true
    case 'master-eligible':
      return false
    default:
      return unreachable(type)
  }
}

/** Nodes on different sides do not find each other; undefined: nobody knows. */
function sideOf(content: DesiredContent | undefined, service: ServiceName): boolean | undefined {
  const tls = content?.services.find(one => one.service === service)
  if (tls?.service === 'influxdb-meta') return tls.tls === 'on'
  if (tls?.service !== 'influxdb') return tls && managesTransport(tls)
  const { cluster } = tls.options
  return cluster === 'leave' ? undefined : cluster !== 'off'
}

function behind({ name }: GroupDefinition, member: string, service: ServiceName): Reason {
  return {
    code: 'coordinated-change',
    message: `${member} is a member of group ${name}, whose others it would not find any more: the fleet spec does not want the same of its ${service}`,
  }
}
