// What an operator sees of a node in one word, with the reason. Pure; node-state.test.ts is the table.

import { unreachable } from '../../shared/assert.ts'
import type { DesiredState } from '../../shared/contract/desired-state.ts'
import type { NodeState } from '../../shared/contract/operator-api.ts'
import type { OutcomeKind, Report, ServiceReport } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'

export interface NodeFacts {
  readonly enrolled: boolean
  /** Heard of since it was enrolled. */
  readonly seen: boolean
  readonly online: boolean
  /** Why it was locked out, until it is enrolled anew. */
  readonly lock?: Reason | undefined
  readonly desired: Pick<DesiredState, 'generation' | 'mode' | 'content'> | undefined
  readonly report: Pick<Report, 'observedGeneration' | 'services' | 'problem'> | undefined
}

export interface JudgedNode {
  readonly state: NodeState
  readonly reason: Reason
}

/** The first rule that holds decides; a node that is silent is offline whatever it said last. */
export function nodeState(facts: NodeFacts): JudgedNode {
  const { enrolled, seen, online, lock, desired, report } = facts
  if (lock !== undefined) return { state: 'locked', reason: lock }
  if (!enrolled) return judged('pending', 'not-enrolled', 'no agent has enrolled as this node yet')
  if (!online)
    return seen
      ? judged('offline', 'node-silent', 'the agent does not answer')
      : judged('offline', 'never-seen', 'the agent has enrolled and was not heard of since')
  if (report?.problem !== undefined) return { state: 'failed', reason: report.problem }
  if (desired === undefined || desired.content.services.length === 0)
    return judged('idle', 'nothing-desired', 'no revision selects this node')
  if (report?.observedGeneration !== desired.generation)
    return judged('converging', 'generation-pending', generationMessage(desired.generation, report))

  const missing = desired.content.services.find(
    wanted => !report.services.some(one => one.service === wanted.service),
  )
  if (missing !== undefined)
    return judged('converging', 'service-not-reported', `${missing.service} is not reported yet`)
  const worst = report.services.toSorted((a, b) => rank(b) - rank(a))[0]
  if (worst === undefined || rank(worst) === 0)
    return judged('converged', 'in-sync', 'every service is as desired')
  return { state: stateOf(worst), reason: worst.reason }
}

function stateOf(service: ServiceReport): NodeState {
  switch (service.outcome) {
    case 'in-sync':
    case 'changed':
      return 'converged'
    case 'planned':
      return service.corrective ? 'drifting' : 'waiting'
    case 'staged':
      return 'converging'
    case 'waiting':
      return service.corrective ? 'drifting' : 'waiting'
    case 'restored':
    case 'failed':
    case 'unsupported':
      return 'failed'
    default:
      return unreachable(service.outcome)
  }
}

const RANK = {
  'in-sync': 0,
  changed: 0,
  staged: 1,
  planned: 2,
  waiting: 3,
  unsupported: 4,
  restored: 5,
  failed: 6,
} as const satisfies Record<OutcomeKind, number>

function rank(service: ServiceReport): number {
  return RANK[service.outcome]
}

function judged(state: NodeState, code: string, message: string): JudgedNode {
  return { state, reason: { code, message } }
}

function generationMessage(generation: number, report: NodeFacts['report']): string {
  const observed = report?.observedGeneration
  return observed === undefined
    ? `generation ${generation} has not been reported yet`
    : `the last report is about generation ${observed}, the newest is ${generation}`
}
