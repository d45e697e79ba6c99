// Stage six: what became of a service, as the report says it. Pure; agent.ts decides whether it is
// news and sends it.

import { digestOf, type Json } from '../shared/digest.ts'
import type { Report, ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { renewAtMs } from '../shared/pki/renewal.ts'
import type { ApplyResult } from './apply.ts'
import { NOTHING_OWED } from './owed.ts'
import { type ActionablePlan, type ServicePlan, activationOf, servedOf } from './plan.ts'

/** A plan that was only made, not applied. */
export function reportOfPlan(plan: ServicePlan): ServiceReport {
  if (plan.kind === 'blocked') return reportOfBlocked(plan)
  const isPlanned = plan.changes.length > 0
  return {
    ...common(plan),
    outcome: isPlanned ? 'planned' : plan.isInactive ? 'waiting' : 'in-sync',
    reason: isPlanned
      ? { code: 'changes-planned', message: `${plan.changes.length} changes` }
      : plan.isInactive
        ? { code: 'inactive', message: `${plan.unit.unit} is stopped` }
        : plan.facts.isOffline
          ? IN_SYNC_OFFLINE
          : IN_SYNC,
    activations: 0,
  }
}

/** `after`: the plan of the observation that was made after it was applied. */
export function reportOfApply(
  plan: ActionablePlan,
  result: ApplyResult,
  after: ServicePlan,
): ServiceReport {
  const seen =
    after.kind === 'actionable' ? { ...common(after), changes: plan.changes.slice() } : common(plan)
  const base = {
    ...seen,
    corrective: plan.isCorrective,
    activation: activationOf(plan.owed),
    activationReason: plan.owed.reason,
    activations: 'activations' in result ? result.activations : 0,
  }
  switch (result.kind) {
    case 'changed':
      return {
        ...base,
        outcome: 'changed',
        reason: plan.facts.isOffline
          ? WRITTEN_OFFLINE
          : {
              code: 'converged',
              message: `${plan.changes.length} changes, proven by what is served`,
            },
      }
    case 'staged':
    case 'waiting':
    case 'restored':
      return { ...base, outcome: result.kind, reason: result.reason }
    case 'failed':
    case 'broken':
      return { ...base, outcome: 'failed', reason: result.reason }
  }
}

const IN_SYNC: Reason = { code: 'in-sync', message: 'as wanted, and proven by what is served' }
const IN_SYNC_OFFLINE: Reason = {
  code: 'in-sync-offline',
  message: 'the files are as wanted; the service loads them when it starts',
}
const WRITTEN_OFFLINE: Reason = {
  code: 'written-offline',
  message: 'files are in place; the service loads them when it starts',
}

function reportOfBlocked(plan: Extract<ServicePlan, { kind: 'blocked' }>): ServiceReport {
  return {
    service: plan.service,
    ...(plan.unit === undefined ? {} : { unit: plan.unit.unit }),
    ...(plan.version === undefined ? {} : { version: plan.version }),
    outcome: plan.outcome,
    reason: plan.reason,
    corrective: false,
    activation: 'none',
    activationReason: NOTHING_OWED.reason,
    changes: [],
    served: [],
    notices: [],
    activations: 0,
  }
}

function common(plan: ActionablePlan) {
  const facts = plan.material.kind === 'new' ? undefined : plan.material.release.facts
  const { renewBeforeMs, issuer } = plan.tls.certificate
  return {
    service: plan.service,
    unit: plan.unit.unit,
    ...(plan.compiled.version === undefined ? {} : { version: plan.compiled.version }),
    corrective: plan.isCorrective,
    activation: activationOf(plan.owed),
    activationReason: plan.owed.reason,
    changes: plan.changes.slice(),
    served: servedOf(plan),
    notices: [...plan.compiled.notices, ...sourceNotices(plan)],
    ...(facts === undefined ? {} : { notAfterMs: facts.notAfterMs }),
    ...(facts === undefined || issuer === 'files'
      ? {}
      : { renewAtMs: Math.floor(renewAtMs({ ...facts, renewBeforeMs })) }),
  }
}

// The pair in use stays in use while the one that another tool has placed is no good; it must be known.
function sourceNotices({ facts, service }: ActionablePlan): readonly Reason[] {
  if (facts.source?.kind !== 'unusable') return []
  const { code, message } = facts.source.reason
  return [{ code, message: `the pair placed for ${service} is not taken over: ${message}` }]
}

/**
 * Digest of what a report says, without its number and time: equal digests need no second report.
 * That something was changed is news once: afterwards the service is as it is.
 */
export function reportDigest(report: Report): string {
  const { sequence: _sequence, atMs: _atMs, ...rest } = report
  const body: Json = JSON.parse(JSON.stringify(rest))
  return digestOf(body)
}
