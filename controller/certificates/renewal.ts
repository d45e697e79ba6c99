// Whether a certificate will be renewed if nothing changes, and if not, why. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { CertificateView } from '../../shared/contract/certificates.ts'
import type { Mode } from '../../shared/contract/desired-state.ts'
import type { Served, ServiceReport } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Issuer } from '../../shared/contract/service.ts'
import type { ServerSummary } from './summary.ts'

/** What the whole forecast depends on. */
export interface Outlook {
  readonly nowMs: number
  /** Ends of the certificates that sign. */
  readonly serviceCaEndsAtMs: number
  readonly identityCaEndsAtMs: number
  /** What if the controller stays away from now on? */
  readonly isControllerDown: boolean
}

export interface NodePresence {
  readonly isEnrolled: boolean
  readonly isOnline: boolean
  readonly seenAtMs: number | undefined
  /** Why it may not come back as it is. */
  readonly lock: Reason | undefined
}

export interface Dates {
  readonly notAfterMs: number | undefined
  readonly renewAtMs: number | undefined
}

/** Why the certificate of a service is not renewed; undefined: it is, in time. */
export function leafUnrenewed(
  leaf: Dates & {
    readonly server: ServerSummary | undefined
    readonly mode: Mode | undefined
    readonly presence: NodePresence
    readonly report: Pick<ServiceReport, 'outcome' | 'reason'> | undefined
    readonly served: Pick<Served, 'ok' | 'reason'> | undefined
  },
  outlook: Outlook,
): Reason | undefined {
  const { server, mode, presence, report } = leaf
  if (server === undefined)
    return because('not-desired', 'no fleet spec asks for this certificate any more')
  if (server.tls === 'off') return because('tls-off', `TLS of ${server.service} is to be off`)
  return (
    issuerReason(server.issuer, outlook) ??
    absence(presence) ??
    modeReason(mode) ??
    (report === undefined ? undefined : outcomeReason(report)) ??
    (isOverdue(leaf, outlook.nowMs) ? overdue(leaf.served) : undefined) ??
    (server.issuer === 'internal' ? caReason(leaf, outlook.serviceCaEndsAtMs) : undefined)
  )
}

/** Why the identity of an agent is not renewed. */
export function identityUnrenewed(
  identity: Dates & { readonly presence: NodePresence },
  outlook: Outlook,
): Reason | undefined {
  return (
    (outlook.isControllerDown ? CONTROLLER_DOWN : undefined) ??
    absence(identity.presence) ??
    (isOverdue(identity, outlook.nowMs) ? overdue(undefined) : undefined) ??
    caReason(identity, outlook.identityCaEndsAtMs)
  )
}

/** What ends before then if nothing changes; what has ended already included. */
export function forecast(
  certificates: readonly CertificateView[],
  beforeMs: number,
): readonly CertificateView[] {
  return endingBefore(certificates, beforeMs).filter(({ unrenewed }) => unrenewed !== undefined)
}

/** What has no known end is not among them. */
export function endingBefore(
  certificates: readonly CertificateView[],
  beforeMs: number,
): readonly CertificateView[] {
  return certificates.filter(({ notAfterMs = Infinity }) => notAfterMs < beforeMs)
}

// A renewal waits for a lease, for a maintenance window, for a controller that restarts: not yet a
// fault. Of a short life it may take a third of what is left.
const PATIENCE_MS_MAX = 86_400_000

export function isDue({ renewAtMs }: Dates, nowMs: number): boolean {
  return renewAtMs !== undefined && renewAtMs <= nowMs
}

export function isExpired({ notAfterMs }: Dates, nowMs: number): boolean {
  return notAfterMs !== undefined && notAfterMs <= nowMs
}

/** Its renewal was due so long ago that something must be wrong. */
export function isOverdue(dates: Dates, nowMs: number): boolean {
  const { notAfterMs, renewAtMs } = dates
  if (notAfterMs === undefined) return false
  if (isExpired(dates, nowMs)) return true
  if (renewAtMs === undefined) return false
  return renewAtMs + Math.min(PATIENCE_MS_MAX, (notAfterMs - renewAtMs) / 3) <= nowMs
}

// Of a Date. Reports may claim any time.
const TIME_MS_MAX = 8.64e15

/** To the second, as people write it. */
export function instant(atMs: number): string {
  return new Date(Math.min(atMs, TIME_MS_MAX)).toISOString().replace(/\.\d+Z$/, 'Z')
}

const CONTROLLER_DOWN = because('controller-down', 'only the controller can renew it')

function issuerReason(issuer: Issuer, { isControllerDown }: Outlook): Reason | undefined {
  switch (issuer) {
    case 'files':
      return because('issuer-files', 'another tool places it on the node, tlsfleet never renews it')
    case 'provided':
      return because('issuer-provided', 'an operator uploads the next one')
    case 'internal':
    case 'acme':
    case 'csr':
      return isControllerDown ? CONTROLLER_DOWN : undefined
    // Made on the node, with or without a controller.
    case 'self-signed':
    case 'local-ca':
      return undefined
    default:
      return unreachable(issuer)
  }
}

// A silent agent may be at work all the same, and renew what is self-signed; nobody knows.
function absence(presence: NodePresence): Reason | undefined {
  const { isEnrolled, isOnline, seenAtMs, lock } = presence
  if (lock !== undefined) return lock
  if (!isEnrolled) return because('not-enrolled', 'no agent is enrolled as this node')
  if (isOnline) return undefined
  return seenAtMs === undefined
    ? because('never-seen', 'the agent has enrolled and was not heard of since')
    : because('node-silent', `not heard of since ${instant(seenAtMs)}`)
}

function modeReason(mode: Mode | undefined): Reason | undefined {
  switch (mode) {
    case undefined:
    case 'enforce':
      return undefined
    case 'audit':
      return because('mode-audit', 'the node is in mode audit: it looks and changes nothing')
    case 'stage':
      return because('mode-stage', 'the node is in mode stage: it prepares and switches nothing')
    default:
      return unreachable(mode)
  }
}

// The reason of the agent travels unchanged.
function outcomeReason({ outcome, reason }: Pick<ServiceReport, 'outcome' | 'reason'>) {
  switch (outcome) {
    case 'in-sync':
    case 'changed':
    case 'staged':
    case 'planned':
      return undefined
    case 'waiting':
    case 'restored':
    case 'failed':
    case 'unsupported':
      return reason
    default:
      return unreachable(outcome)
  }
}

function overdue(served: Pick<Served, 'ok' | 'reason'> | undefined): Reason {
  if (served !== undefined && !served.ok) return served.reason
  return because('renewal-overdue', 'its renewal was due and nothing has come of it')
}

// No leaf outlives the CA that signs it, so a renewal would gain nothing.
function caReason({ notAfterMs }: Dates, caEndsAtMs: number): Reason | undefined {
  return notAfterMs !== undefined && notAfterMs >= caEndsAtMs
    ? because('ca-ends', `the CA that would renew it ends ${instant(caEndsAtMs)}`)
    : undefined
}

function because(code: string, message: string): Reason {
  return { code, message }
}
