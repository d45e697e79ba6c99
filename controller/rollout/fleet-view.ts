// From what the store has of a rollout's nodes to what `decide` sees. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import type { ReportExcerpt, RolloutMember } from '../store/store.ts'
import type { FleetView, NodeView, PlannedNode, Rollout } from './rollout.ts'

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
  readonly nowMs: number
}

/** A node that is gone, or came back under its name without any of what it had, is left out. */
export function viewFleet({ rollout, members, isOnline, nowMs }: FleetInput): FleetView {
  const planned = new Map(rollout.plan.nodes.map(one => [one.node, one]))
  const nodes: Record<string, NodeView> = {}
  for (const member of members) {
    const plan = planned.get(member.node)
    const wasGiven = rollout.steps[member.node]?.generation !== undefined
    if (plan === undefined || (wasGiven && member.desired === undefined)) continue
    nodes[member.node] = viewNode(member, plan, isOnline(member), nowMs)
  }
  return { nodes }
}

function viewNode(
  member: RolloutMember,
  plan: PlannedNode,
  online: boolean,
  nowMs: number,
): NodeView {
  const { node, highestGeneration, desired, report } = member
  const heardAtMs = Math.max(member.seenAtMs ?? 0, report?.receivedAtMs ?? 0)
  if (desired !== undefined && report?.refusedGeneration === desired.generation) {
    const seen = { node, online, highestGeneration, observedGeneration: desired.generation }
    return { ...seen, observedContent: undefined, silentMs: 0, ...refusedBy(report) }
  }
  const isCurrent = desired !== undefined && report?.observedGeneration === desired.generation
  const isSame = isCurrent && (report.observedDigest ?? desired.digest) === desired.digest
  return {
    node,
    online,
    highestGeneration,
    observedGeneration: report?.observedGeneration,
    observedContent: isSame ? desired.contentDigest : undefined,
    silentMs: online ? 0 : Math.max(0, nowMs - heardAtMs),
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
