// From what the store has of a rollout's nodes to what `decide` sees. Pure.

import type { ClusterView } from '../../shared/contract/cluster-view.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { type GroupDefinition, limitOf } from '../fleet/groups.ts'
import type { Finder } from '../fleet/directory.ts'
import { discover } from '../fleet/membership.ts'
import type { LeaseRecord, ReportExcerpt, RolloutMember } from '../store/store.ts'
import type { FleetView, GroupView, LeaseView, NodeView, PlannedNode, Rollout } from './rollout.ts'
import { plannedOf, stepOf } from './steps.ts'

/** Reasons of the outcome `waiting` that mean: an operator stopped the service. */
const INACTIVE_CODES: ReadonlySet<string> = new Set([
  'inactive',
  'service-inactive',
  'unit-inactive',
])

export interface FleetInput {
  readonly rollout: Rollout
  readonly members: readonly RolloutMember[]
  readonly isOnline: (member: RolloutMember) => boolean
  /** How long it has not been heard of, by a clock that does not jump; for members that are offline. */
  readonly silentMs: (member: RolloutMember) => number
}

/** Of all members that are in the current phase and have a view. */
export function viewNodes({ members, ...input }: FleetInput): Map<string, NodeView> {
  const nodes = new Map<string, NodeView>()
  for (const member of members) {
    const view = viewMember(input, member)
    if (view !== undefined) nodes.set(member.node, view)
  }
  return nodes
}

/** Undefined: it is not in the phase; or it came back under its name without any of what it had. */
export function viewMember(
  { rollout, isOnline, silentMs }: Omit<FleetInput, 'members'>,
  member: RolloutMember,
): NodeView | undefined {
  const planned = plannedOf(rollout, member.node)
  const wasGiven = stepOf(rollout, member.node)?.generation !== undefined
  if (planned === undefined || (wasGiven && member.desired === undefined)) return undefined
  const online = isOnline(member)
  return viewNode(member, planned, online, online ? 0 : silentMs(member))
}

export interface GroupInput {
  readonly definitions: readonly GroupDefinition[]
  /** All of them, whatever they are for. */
  readonly leases: readonly LeaseRecord[]
  /** Of members of the groups; who is absent is out. */
  readonly members: ReadonlyMap<string, RolloutMember>
  readonly isOnline: (member: RolloutMember) => boolean
  /** By whose names members of clusters are known. */
  readonly finder?: Finder
  /** What a node was seen to say of its cluster after its report. */
  readonly clusterOf?: ClusterOf | undefined
}

/** What a node was seen to say of its cluster after its report; undefined: nothing lately. */
export type ClusterOf = (node: string, kind: ClusterView['kind']) => ClusterView | undefined

/** Who is out in each group, and who holds its leases. */
export function viewGroups(input: GroupInput): Pick<FleetView, 'groups' | 'groupsOf'> {
  const { definitions, leases, members, isOnline, finder = NOBODY } = input
  const groups = new Map<string, GroupView>()
  const groupsOf = new Map<string, string[]>()
  for (const definition of definitions) {
    const { name, maxUnavailable } = definition
    const out = new Map<string, Reason>()
    for (const node of definition.members) {
      groupsOf.set(node, [...(groupsOf.get(node) ?? []), name])
      const why = outReason(members.get(node), isOnline)
      if (why !== undefined) out.set(node, why)
    }
    const held = leases.filter(lease => lease.group === name)
    const { missing, ...found } = discover(definition, testimonies(definition, input), finder)
    for (const [node, why] of missing) if (!out.has(node)) out.set(node, why)
    groups.set(name, {
      name,
      members: new Set(definition.members),
      maxUnavailable,
      limit: limitOf(definition),
      out,
      leases: new Map(held.map(({ node, ...lease }): [string, LeaseView] => [node, lease])),
      ...found,
    })
  }
  return { groups, groupsOf }
}

const NOBODY: Finder = { find: () => undefined }

/** What those members say of their cluster whose agents are there to say it. */
function testimonies(
  { members: names, type }: GroupDefinition,
  { members, isOnline, clusterOf }: GroupInput,
): ReadonlyMap<string, ClusterView> {
  const kind =
    type.kind === 'raft'
      ? 'influxdb-meta'
      : type.kind === 'master-eligible'
        ? 'elasticsearch'
        : undefined
  const told = new Map<string, ClusterView>()
  if (kind === undefined) return told
  for (const node of names) {
    const member = members.get(node)
    if (member === undefined || !isOnline(member)) continue
    const reported = member.report?.services.find(({ cluster }) => cluster?.kind === kind)?.cluster
    const view = clusterOf?.(node, kind) ?? reported
    if (view !== undefined) told.set(node, view)
  }
  return told
}

/** Unhealthy, offline and unknown nodes all use up what their group can spare. */
export function outReason(
  member: RolloutMember | undefined,
  isOnline: (member: RolloutMember) => boolean,
): Reason | undefined {
  if (member === undefined) return NOT_SEEN
  const { enrolledAtMs, desired, report } = member
  if (enrolledAtMs === undefined && report === undefined) return NOT_ENROLLED
  if (!isOnline(member)) return OFFLINE
  if (report === undefined) return desired === undefined ? undefined : NOT_SEEN
  for (const { outcome, reason, activations, broken, served } of report.services) {
    if (outcome === 'waiting' && INACTIVE_CODES.has(reason.code)) return reason
    if (outcome === 'failed' && (activations > 0 || broken === true)) return reason
    const down = served.find(one => !one.ok && DOWN_CODES.has(one.reason.code))
    if (down !== undefined) return down.reason
  }
  return undefined
}

// Nobody answers, or the product says that it is not well. A listener that serves something else than
// it should is still one that its group counts on.
const DOWN_CODES: ReadonlySet<string> = new Set([
  'connection-refused',
  'connection-reset',
  'connection-timeout',
  'host-unreachable',
  'health-no-answer',
  'unhealthy',
])
const NOT_ENROLLED: Reason = { code: 'not-enrolled', message: 'no agent has enrolled' }
const NOT_SEEN: Reason = { code: 'unknown', message: 'nothing is known of it' }
const OFFLINE: Reason = { code: 'offline', message: 'the agent is not connected' }

function viewNode(
  member: RolloutMember,
  plan: PlannedNode,
  online: boolean,
  silentMs: number,
): NodeView {
  const { node, highestGeneration, desired, report } = member
  if (desired !== undefined && report?.refusedGeneration === desired.generation) {
    const { sequence } = report
    const observedGeneration = desired.generation
    const seen = { node, online, highestGeneration, observedGeneration, sequence }
    return { ...seen, observedContent: undefined, silentMs, ...refusedBy(report) }
  }
  const isCurrent = desired !== undefined && report?.observedGeneration === desired.generation
  const isSame = isCurrent && (report.observedDigest ?? desired.digest) === desired.digest
  return {
    node,
    online,
    highestGeneration,
    observedGeneration: report?.observedGeneration,
    sequence: report?.sequence,
    observedContent: isSame ? desired.contentDigest : undefined,
    silentMs,
    ...(isCurrent && !isSame ? CONTRADICTION : judgeReport(report, plan)),
  }
}

// The agent took a look at the document and will have nothing to do with it: nothing was touched.
function refusedBy({ problem }: ReportExcerpt): Judgement {
  return { outcome: 'unsupported', reason: problem, inactive: false, broken: false }
}

type Judgement = Pick<NodeView, 'outcome' | 'reason' | 'inactive' | 'broken'>

const NOTHING: Judgement = { outcome: undefined, reason: undefined, inactive: false, broken: false }

// One generation has one digest: what such a node runs is unknown.
const CONTRADICTION: Judgement = {
  outcome: 'failed',
  reason: {
    code: 'contradictory-report',
    message: 'the node reports another document for its current generation',
  },
  inactive: false,
  broken: true,
}

/** The worst outcome over the services; undefined while the report does not say it all. */
function judgeReport(report: ReportExcerpt | undefined, plan: PlannedNode): Judgement {
  if (report === undefined) return NOTHING
  let worst: {
    readonly rank: number
    readonly outcome: Outcome
    readonly reason: Reason | undefined
  } = {
    rank: 0,
    outcome: 'in-sync',
    reason: undefined,
  }
  for (const { outcome, reason } of report.services) {
    const rank = outcome === 'planned' ? -1 : RANKS.indexOf(outcome)
    if (outcome !== 'planned' && rank > worst.rank) worst = { rank, outcome, reason }
  }
  if (!isComplete(report, plan) && !isBad(worst.outcome)) {
    const { problem } = report
    return problem === undefined ? NOTHING : { ...NOTHING, outcome: 'failed', reason: problem }
  }
  const waiting = report.services.filter(service => service.outcome === 'waiting')
  return {
    outcome: worst.outcome,
    reason: worst.reason,
    inactive: waiting.some(service => INACTIVE_CODES.has(service.reason.code)),
    // Something was activated and neither it nor what was there before is known to work.
    broken: report.services.some(one => one.outcome === 'failed' && one.activations > 0),
  }
}

type Outcome = NonNullable<NodeView['outcome']>

// From the best to the worst.
const RANKS: readonly Outcome[] = [
  'in-sync',
  'changed',
  'staged',
  'waiting',
  'unsupported',
  'restored',
  'failed',
]

function isBad(outcome: Outcome): boolean {
  return outcome === 'unsupported' || outcome === 'restored' || outcome === 'failed'
}

// Silence about a service that the node was given says nothing good about it; `planned` neither.
function isComplete(report: ReportExcerpt, plan: PlannedNode): boolean {
  const told = new Set(
    report.services.filter(one => one.outcome !== 'planned').map(one => one.service),
  )
  return plan.content.services.every(({ service }) => told.has(service))
}
