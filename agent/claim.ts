// The right to go past the point of no return. In a rollout the permit is claimed before it; without
// an answer there is no switch. What corrects drift or renews needs none on a node in no group.

import type { DesiredState } from '../shared/contract/desired-state.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { ActionablePlan } from './plan.ts'
import type { Remote } from './remote.ts'

export type Claim = (plan: ActionablePlan) => Promise<Reason | undefined>

/** For one pass: a permit that was granted holds for all services of the document. */
export function createClaim(document: DesiredState, remote: Remote, signal: AbortSignal): Claim {
  let granted = !document.permit
  return async plan => {
    if (granted || plan.hasConverged) return undefined
    const { generation, digest } = document
    try {
      const answer = await remote.lease({ purpose: 'rollout', generation, digest }, signal)
      granted = answer.granted
      return answer.granted ? undefined : answer.reason
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      const message = `the permit could not be claimed: ${describeError(error)}`
      return { code: 'lease-unanswered', message }
    }
  }
}
