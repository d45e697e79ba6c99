// Before anything of a content is touched: is the change of every service the one that it was planned
// with? Where one is not, none of them is made, because a plan is carried out whole or not at all.

import type { PlannedService } from '../shared/contract/planned.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import { staleReason } from './plan-digest.ts'
import type { ServicePlan } from './plan.ts'

export interface StaleInput {
  readonly services: readonly ServiceTls[]
  readonly planned: readonly PlannedService[]
  /** Was it there before? What is done then corrects drift or renews, and is bound by no plan. */
  readonly hasConverged: (tls: ServiceTls) => boolean
  readonly look: (tls: ServiceTls) => Promise<ServicePlan>
}

/**
 * What becomes of the services that are not there yet where the plan is stale; undefined: it is
 * carried out. A service that was not planned at all must have nothing to change.
 */
export async function stalePlans({
  services,
  planned,
  hasConverged,
  look,
}: StaleInput): Promise<ReadonlyMap<ServiceName, ServicePlan> | undefined> {
  const plans = new Map<ServiceName, ServicePlan>()
  let isStale = false
  for (const tls of services) {
    if (hasConverged(tls)) continue
    const plan = await look(tls).catch(unseen)
    if (plan === undefined) continue
    const bound = planned.find(({ service }) => service === tls.service)
    const reason = plan.kind === 'actionable' ? staleReason(plan, bound) : undefined
    plans.set(tls.service, reason === undefined ? plan : refused(plan, reason))
    isStale ||= reason !== undefined
  }
  return isStale ? plans : undefined
}

// The pass looks again, and tells why it could not.
function unseen(error: unknown): undefined {
  if (!(error instanceof OperationalError)) throw error
  return undefined
}

function refused(plan: ServicePlan, reason: Reason): ServicePlan {
  const { service } = plan
  const version = plan.kind === 'actionable' ? plan.compiled.version : plan.version
  return { kind: 'blocked', service, outcome: 'unsupported', reason, unit: plan.unit, version }
}
