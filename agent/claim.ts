// The right to go past the point of no return. In a rollout the permit is claimed before it; without
// an answer there is no switch. What corrects drift or renews needs none on a node in no group.

import type { DesiredState } from '../shared/contract/desired-state.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Allowance } from './config.ts'
import { type ActionablePlan, activationOf } from './plan.ts'
import type { Remote } from './remote.ts'

export type Claim = (plan: ActionablePlan) => Promise<Reason | undefined>

/** For one pass: a permit that was granted holds for all services of the document. */
export function createClaim(
  document: DesiredState,
  remote: Remote,
  allow: Allowance,
  signal: AbortSignal,
): Claim {
  let granted = !document.permit
  return async plan => {
    const activation = activationOf(plan.owed)
    if (!allow.activations.includes(activation)) {
      return {
        code: 'activation-not-allowed',
        message: `this node's own configuration does not allow a ${activation}`,
      }
    }
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
