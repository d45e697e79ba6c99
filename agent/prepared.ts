// What is prepared beside the live files and goes no further for now: a stage, a stopped service, or
// one that waits for its lease. As long as nothing has changed, nothing is prepared again.

import { digestOf, type Json } from '../shared/digest.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName } from '../shared/contract/service.ts'
import type { ApplyResult } from './apply.ts'
import type { ActionablePlan, ServicePlan } from './plan.ts'

/** `held`: all but the right to go on is there. */
type Standing = 'staged' | 'held'

export interface Prepared {
  /** The report of before where nothing has changed. Who waits for a lease asks for it first. */
  recall(
    plan: ActionablePlan,
    standing: Standing,
    claim: () => Promise<Reason | undefined>,
  ): Promise<ServiceReport | undefined>
  /** `after`: the plan that is left now. */
  note(plan: ActionablePlan, after: ServicePlan, result: ApplyResult, report: ServiceReport): void
  forget(service: ServiceName): void
}

interface Kept {
  readonly plan: string
  readonly report: ServiceReport
}

export function createPrepared(): Prepared {
  const kept: Readonly<Record<Standing, Map<ServiceName, Kept>>> = {
    staged: new Map(),
    held: new Map(),
  }
  return {
    async recall(plan, standing, claim) {
      const known = kept[standing].get(plan.service)
      if (known?.plan !== digestOfPlan(plan)) return undefined
      if (standing === 'staged') return known.report
      const reason = await claim()
      return reason === undefined ? undefined : { ...known.report, reason }
    },
    note(plan, after, result, report) {
      const standing = standingOf(plan, result)
      // One content is kept up while another is staged: each is left what it has.
      kept[standing ?? 'staged'].delete(plan.service)
      if (standing === undefined) kept.held.delete(plan.service)
      if (standing === undefined || after.kind !== 'actionable') return
      kept[standing].set(plan.service, { plan: digestOfPlan(after), report })
    },
    forget(service) {
      for (const map of Object.values(kept)) map.delete(service)
    },
  }
}

function standingOf(plan: ActionablePlan, result: ApplyResult): Standing | undefined {
  if (result.kind === 'staged') return 'staged'
  if (result.kind !== 'waiting' || result.isUncertified === true) return undefined
  return plan.isInactive ? 'staged' : 'held'
}

// That its operator has started a stopped service is news as well.
function digestOfPlan({ contentDigest, changes, isInactive, owed }: ActionablePlan): string {
  const plan = { contentDigest, changes, isInactive, verb: owed.verb }
  const json: Json = JSON.parse(JSON.stringify(plan))
  return digestOf(json)
}
