import type { RolloutView, StepView } from '../../../shared/contract/operator-api.ts'
import type { UnheldNode } from '../../../shared/contract/rollout-plan.ts'
import type { Rollout, RolloutEvent, Step } from '../../rollout/rollout.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { ReportExcerpt, RolloutMember, RolloutSummary } from '../../store/store.ts'
import type * as z from 'zod/mini'
import { allSteps } from '../../rollout/steps.ts'

type StepOf = z.infer<typeof StepView>

/** Steps in plan order. With its members it says why a node is not prepared yet. */
export function rolloutView(rollout: Rollout, members: readonly RolloutMember[] = []): RolloutView {
  const reports = new Map(members.map(({ node, report }) => [node, report]))
  const { revision, author } = rollout.plan
  return {
    ...headView({ ...rollout, revision, author }),
    steps: allSteps(rollout).map(step => stepView(step, reports.get(step.node))),
  }
}

/** Without steps, which are as many as nodes; with their numbers, when they are wanted. */
export function summaryView(summary: RolloutSummary, steps: 'none' | 'counts'): RolloutView {
  const view = { ...headView(summary), steps: [] }
  return steps === 'none' ? view : { ...view, stepCounts: { ...summary.counts } }
}

function headView(summary: Omit<RolloutSummary, 'counts' | 'toward'>): Omit<RolloutView, 'steps'> {
  const { id, revision, author, status, reason, version, gates, startedAtMs, endedAtMs } = summary
  return {
    id,
    revision,
    author,
    status,
    ...(reason === undefined ? {} : { reason }),
    version,
    ...(gates.length === 0 ? {} : { gates: gates.map(gateView) }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
  }
}

/** For whoever has just made it. */
export function madeView(rollout: Rollout, unheld: readonly UnheldNode[]): RolloutView {
  const view = rolloutView(rollout)
  return unheld.length === 0 ? view : { ...view, unheld: [...unheld] }
}

function gateView({ gate, verdict, reason }: Rollout['gates'][number]) {
  return { gate, verdict, evidence: reason }
}

function stepView(step: Step, report: ReportExcerpt | undefined): StepOf {
  const { node, state, generation, sinceMs } = step
  const reason = step.reason ?? waitingFor(step, report)
  return {
    node,
    state,
    ...(generation === undefined ? {} : { generation }),
    ...(reason === undefined ? {} : { reason }),
    sinceMs,
  }
}

// A certificate that people sign may take days: nothing happens, and whoever looks is told why.
function waitingFor(
  { state, generation }: Step,
  report: ReportExcerpt | undefined,
): Reason | undefined {
  if (state !== 'assigned' || report === undefined || report.observedGeneration !== generation)
    return undefined
  const found = report.services.find(({ outcome }) => outcome === 'waiting')
  if (found === undefined) return undefined
  const { service, reason } = found
  return { code: reason.code, message: `${service}: ${reason.message}`.slice(0, MESSAGE_MAX) }
}

// Of a reason.
const MESSAGE_MAX = 4_096

export function eventView(stored: {
  readonly version: number
  readonly atMs: number
  readonly event: RolloutEvent
}) {
  const { version, atMs, event } = stored
  return {
    version,
    atMs,
    kind: event.kind,
    ...('node' in event ? { node: event.node } : {}),
    ...('reason' in event && event.reason !== undefined ? { reason: event.reason } : {}),
  }
}
