// Stage six: what became of a service, as the report says it. Pure; agent.ts decides whether it is
// news and sends it.

import { digestOf, type Json } from '../shared/digest.ts'
import { ABSENCE_TOLD } from '../shared/contract/debts.ts'
import type { Report, ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { CertificateSpec } from '../shared/contract/service.ts'
import type { CertificateFacts } from '../shared/pki/facts.ts'
import { renewAtMs } from '../shared/pki/renewal.ts'
import type { ApplyResult } from './apply.ts'
import { certifiedTls } from './client-trust.ts'
import { NOTHING_OWED, activationOf } from './owed.ts'
import { type ActionablePlan, type ServicePlan, servedOf } from './plan.ts'
import { selfSignedOf } from './self-signed.ts'
import { clusterOf } from './served.ts'

/** A plan that was only made, not applied. */
export function reportOfPlan(plan: ServicePlan): ServiceReport {
  if (plan.kind === 'blocked') return reportOfBlocked(plan)
  return { ...common(plan), ...standingOf(plan), activations: 0 }
}

function standingOf(plan: ActionablePlan): Pick<ServiceReport, 'outcome' | 'reason'> {
  const { changes, unit, isInactive, facts } = plan
  if (changes.length > 0) {
    const reason = { code: 'changes-planned', message: `${changes.length} changes` }
    return { outcome: 'planned', reason }
  }
  if (isInactive)
    return {
      outcome: 'waiting',
      reason: { code: 'inactive', message: `${unit.unit} is stopped` },
    }
  if (facts.isOffline) return { outcome: 'in-sync', reason: IN_SYNC_OFFLINE }
  if (hasListeners(plan)) return { outcome: 'in-sync', reason: IN_SYNC }
  // What it has loaded is right, but nobody answers for it: the unit is all that can be seen.
  if (unit.activeState === 'failed')
    return {
      outcome: 'failed',
      reason: { code: 'unit-failed', message: `${unit.unit} has failed (${unit.result})` },
    }
  return { outcome: 'in-sync', reason: IN_SYNC_CLIENT }
}

function hasListeners(plan: ActionablePlan): boolean {
  return plan.compiled.listeners.length > 0
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
              message: `${plan.changes.length} changes, proven by ${hasListeners(plan) ? 'what is served' : 'a unit that stays up'}`,
            },
      }
    case 'staged':
    case 'waiting':
    case 'restored':
      return { ...base, outcome: result.kind, reason: result.reason }
    case 'failed':
      return { ...base, outcome: 'failed', reason: result.reason }
    case 'broken':
      return { ...base, outcome: 'failed', reason: result.reason, broken: true }
  }
}

const IN_SYNC: Reason = { code: 'in-sync', message: 'as wanted, and proven by what is served' }
const IN_SYNC_CLIENT: Reason = {
  code: 'in-sync',
  message: 'as wanted, and loaded by a unit that is up',
}
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
    ...(plan.isBroken === true ? { broken: true } : {}),
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
  const { material } = plan
  const facts =
    material.kind === 'keep' || material.kind === 'switch' ? material.release.facts : undefined
  const certified = certifiedTls(plan.tls, plan.compiled)
  const cluster = clusterOf(plan.facts.served)
  return {
    service: plan.service,
    unit: plan.unit.unit,
    ...(plan.compiled.version === undefined ? {} : { version: plan.compiled.version }),
    corrective: plan.isCorrective,
    activation: activationOf(plan.owed),
    activationReason: plan.owed.reason,
    changes: plan.changes.slice(),
    served: servedOf(plan),
    notices: noticesOf(plan),
    ...(facts === undefined ? {} : { notAfterMs: facts.notAfterMs }),
    ...(facts === undefined || certified === undefined
      ? {}
      : renewalOf(facts, certified.certificate, material)),
    ...selfSignedOf(plan),
    ...(cluster === undefined ? {} : { cluster }),
  }
}

function renewalOf(
  facts: CertificateFacts,
  { issuer, renewBeforeMs }: CertificateSpec,
  material: ActionablePlan['material'],
) {
  const succession = material.kind === 'keep' ? material.succession : undefined
  if (succession !== undefined) return { renewAtMs: succession.dueAtMs }
  if (issuer === 'files' || issuer === 'provided') return {}
  return { renewAtMs: Math.floor(renewAtMs({ ...facts, renewBeforeMs })) }
}

// As many as a report takes.
const NOTICES_MAX = 32

export function withNotices(report: ServiceReport, more: readonly Reason[]): ServiceReport {
  if (more.length === 0) return report
  return { ...report, notices: [...more, ...report.notices].slice(0, NOTICES_MAX) }
}

function noticesOf(plan: ActionablePlan): Reason[] {
  const advice = plan.facts.served.flatMap(({ listener, handshake }) => {
    const http = handshake.kind === 'unreachable' ? undefined : handshake.http
    return http === undefined ? [] : (listener.advise?.(http) ?? [])
  })
  const all = [
    ...plan.compiled.notices,
    ...sourceNotices(plan),
    ...plan.notices,
    ...absenceNotices(plan),
    ...advice,
    ...plan.facts.upstreamNotices,
  ]
  return all.slice(0, NOTICES_MAX)
}

// The listener is the one of the authorized question where that was answered.
function absenceNotices({ owed, facts }: ActionablePlan): readonly Reason[] {
  if (owed.verb !== 'restart') return []
  const size = clusterOf(facts.served)?.size ?? 0
  const isTold = facts.served.some(({ listener }) => listener.cluster?.absence !== undefined)
  return isTold && size > 1 ? [{ code: ABSENCE_TOLD, message: TOLD }] : []
}

const TOLD =
  'while it restarts, its cluster allocates primary shards only; then the restart of the next member waits until the cluster is as well as before'

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
