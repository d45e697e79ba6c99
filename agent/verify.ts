// Stage five: proof by the service itself. Neither an exit status nor `active` proves anything: a
// service counts as well only when it stays up without restarts for the required time and every
// listener serves what it should.

import type { Reason } from '../shared/contract/schema.ts'
import type { VerifyPolicy } from '../shared/contract/service.ts'
import type { Host, UnitState } from './host.ts'

export type Verdict =
  | { readonly kind: 'proven'; readonly unit: UnitState }
  | { readonly kind: 'disproven'; readonly reason: Reason; readonly unit: UnitState | undefined }

export interface Proof {
  readonly unit: string
  /** Undefined: what is served is as wanted. Called again and again; each call makes new connections. */
  readonly lookServed: () => Promise<Reason | undefined>
  readonly policy: VerifyPolicy
  /** Nothing was activated, so there is no start to survive: one good look is enough. */
  readonly isQuiet: boolean
  /** A process that must be gone: proof only counts for a later one. */
  readonly staleInvocation: string | undefined
}

// Often enough to see a crash loop between its restarts (100 ms apart), seldom enough to cost nothing.
const LOOK_INTERVAL_MS = 200
// systemd gives up after 5 starts in 10 s; a service restarted this often has failed already.
const RESTARTS_TOLERATED = 1
// Without an activation there is no start to wait for: what is not served by then will not be, and
// every moment of it is an outage.
const QUIET_DEADLINE_MS = 10_000
// What is served is the new certificate, and clients will not accept it: waiting changes nothing.
const FINAL_CODES: readonly string[] = [
  'certificate-untrusted',
  'certificate-name-mismatch',
  'certificate-expired',
  'certificate-not-yet-valid',
  'san-missing',
]
// A product that loads its data before it listens refuses connections for a while; that is no failure before the deadline.
const FAILED_LOOKS_TOLERATED = 2

export async function verifyService(host: Host, proof: Proof): Promise<Verdict> {
  const { clock } = host
  const startedAt = clock.monotonic()
  const deadlineMs = proof.isQuiet
    ? Math.min(proof.policy.deadlineMs, QUIET_DEADLINE_MS)
    : proof.policy.deadlineMs
  let goodSince:
    | {
        readonly atMs: number
        readonly invocationId: string | undefined
        readonly restarts: number
      }
    | undefined
  let restartsAtFirst: number | undefined
  let failedLooks = 0
  let finalLooks = 0
  let last: Reason = { code: 'not-verified', message: `${proof.unit} was not seen yet` }
  for (;;) {
    const unit = await host.services.show(proof.unit)
    if (unit === undefined)
      return {
        kind: 'disproven',
        reason: { code: 'not-installed', message: `${proof.unit} is gone` },
        unit,
      }
    restartsAtFirst ??= unit.restarts
    const dead = deadReason(unit, restartsAtFirst)
    failedLooks = dead === undefined ? 0 : failedLooks + 1
    if (
      dead !== undefined &&
      (failedLooks > FAILED_LOOKS_TOLERATED || unit.restarts > restartsAtFirst + RESTARTS_TOLERATED)
    ) {
      return { kind: 'disproven', reason: dead, unit }
    }
    const problem = dead ?? unsettledReason(unit, proof) ?? (await proof.lookServed())
    const nowMs = clock.monotonic()
    if (problem === undefined) {
      const isSame =
        goodSince?.invocationId === unit.invocationId && goodSince?.restarts === unit.restarts
      if (goodSince === undefined || !isSame)
        goodSince = { atMs: nowMs, invocationId: unit.invocationId, restarts: unit.restarts }
      if (proof.isQuiet || nowMs - goodSince.atMs >= proof.policy.stableForMs)
        return { kind: 'proven', unit }
    } else {
      goodSince = undefined
      finalLooks = FINAL_CODES.includes(problem.code) ? finalLooks + 1 : 0
      if (finalLooks > FAILED_LOOKS_TOLERATED) return { kind: 'disproven', reason: problem, unit }
      last = problem
    }
    if (nowMs - startedAt >= deadlineMs)
      return { kind: 'disproven', reason: overdue(last, deadlineMs), unit }
    await clock.sleep(LOOK_INTERVAL_MS)
  }
}

function deadReason(unit: UnitState, restartsAtFirst: number): Reason | undefined {
  if (unit.activeState === 'failed') {
    return { code: 'unit-failed', message: `${unit.unit} failed (${unit.result})` }
  }
  if (unit.activeState === 'inactive' && !unit.busy) {
    return { code: 'unit-died', message: `${unit.unit} is not running any more (${unit.result})` }
  }
  if (unit.restarts > restartsAtFirst + RESTARTS_TOLERATED) {
    return {
      code: 'unit-crash-loop',
      message: `${unit.unit} was restarted ${unit.restarts - restartsAtFirst} times by the service manager`,
    }
  }
  return undefined
}

function unsettledReason(unit: UnitState, proof: Proof): Reason | undefined {
  if (unit.activeState !== 'active' || unit.busy) {
    return {
      code: 'unit-not-active',
      message: `${unit.unit} is ${unit.activeState} (${unit.subState})`,
    }
  }
  if (proof.staleInvocation !== undefined && unit.invocationId === proof.staleInvocation) {
    return { code: 'unit-not-restarted', message: `${unit.unit} has not been started anew yet` }
  }
  return undefined
}

function overdue(last: Reason, deadlineMs: number): Reason {
  return {
    code: last.code,
    message: `${last.message}, ${Math.round(deadlineMs / 1000)} s after the activation`,
  }
}
