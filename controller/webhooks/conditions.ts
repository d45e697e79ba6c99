// What of a fleet somebody should be told: the conditions that hold in a snapshot, and what of them is
// news against those that were told before. Pure: level and not edge, so a controller that was down
// tells what it missed, and tells nothing twice.

import type { Report } from '../../shared/contract/report.ts'
import { isDrift } from '../metrics/measures.ts'
import type { FleetSnapshot, SnapshotCertificate } from '../metrics/snapshot.ts'
import type { Condition, ConditionRecord, NotificationEvent } from '../store/notifications-store.ts'

const DAY_MS = 86_400_000
/** A CA is replaced by people, over weeks. */
const CA_WARNING_MS = 90 * DAY_MS
/** Of a certificate whose renewal has no known time. */
const LEAF_WARNING_MS = 14 * DAY_MS
/** A phase of a rotation that went through in time is no news. */
const ROTATION_PATIENCE_MS = DAY_MS
/** Older ends are history: a webhook that was added today is not told of them. */
const ROLLOUT_NEWS_MS = DAY_MS
/** Drift that comes back sooner is the same trouble. */
export const DRIFT_COOLDOWN_MS = 3_600_000

/** Everything that holds now, but drift, which reports tell of where they arrive. */
export function conditionsIn(snapshot: FleetSnapshot): readonly Condition[] {
  return [
    ...snapshot.certificates.flatMap(one => expiryOf(one, snapshot.atMs)),
    ...rolloutConditions(snapshot),
    ...rotationConditions(snapshot),
  ]
}

function expiryOf(one: SnapshotCertificate, nowMs: number): readonly Condition[] {
  const { notAfterMs } = one
  if (notAfterMs === undefined) return []
  const state = expiryState(one, notAfterMs, nowMs)
  if (state === undefined) return []
  const ends = new Date(notAfterMs).toISOString().slice(0, 19)
  const why = one.unrenewed?.message ?? one.reason.message
  const verb = state === 'expired' ? 'ended' : 'ends'
  const reason = {
    code: one.unrenewed?.code ?? one.reason.code,
    message: `${verb} ${ends}Z: ${why}`.slice(0, 1_000),
  }
  return [{ event: 'expiry', subject: subjectOf(one), state, reason }]
}

// What no fleet spec asks for any more is nobody's worry, whatever it serves.
const UNCONCERNED: readonly (string | undefined)[] = ['not-desired', 'tls-off']

function expiryState(
  { kind, state, unrenewed, renewAtMs }: SnapshotCertificate,
  notAfterMs: number,
  nowMs: number,
): string | undefined {
  if (UNCONCERNED.includes(unrenewed?.code)) return undefined
  if (notAfterMs <= nowMs) return 'expired'
  if (kind === 'authority') return notAfterMs - nowMs < CA_WARNING_MS ? 'ending' : undefined
  if (state === 'overdue') return 'overdue'
  if (unrenewed === undefined) return undefined
  const isEnding =
    renewAtMs === undefined ? notAfterMs - nowMs < LEAF_WARNING_MS : renewAtMs <= nowMs
  return isEnding ? 'ending' : undefined
}

function subjectOf({
  kind,
  node,
  service,
  listener,
  role,
  authority,
  fingerprint,
}: SnapshotCertificate) {
  switch (kind) {
    case 'listener':
      return [node, service, listener]
        .filter(part => part !== undefined)
        .join(' ')
        .slice(0, 400)
    case 'identity':
      return `${node} identity`
    case 'authority':
      return `${role} ${authority?.id ?? fingerprint?.slice(0, 16) ?? ''}`
  }
}

function rolloutConditions({ rollouts, atMs }: FleetSnapshot): readonly Condition[] {
  return rollouts.flatMap(({ id, status, toward, reason, endedAtMs }) => {
    const isFailing = status === 'failed' || toward === 'failed'
    const isOld = endedAtMs !== undefined && atMs - endedAtMs > ROLLOUT_NEWS_MS
    if (!isFailing || isOld) return []
    const why = reason ?? { code: 'rollout-failed', message: `the rollout is ${status}` }
    return [{ event: 'rollout' as const, subject: id, state: status, reason: why }]
  })
}

function rotationConditions({ rotation, atMs }: FleetSnapshot): readonly Condition[] {
  if (rotation === undefined) return []
  const { id, stopped, phase, phaseSinceMs } = rotation
  const about = { event: 'rotation' as const, subject: id }
  if (stopped !== undefined) return [{ ...about, state: 'stopped', reason: stopped }]
  if (atMs - phaseSinceMs < ROTATION_PATIENCE_MS) return []
  const since = new Date(phaseSinceMs).toISOString().slice(0, 19)
  const reason = { code: 'rotation-held', message: `in phase ${phase} since ${since}Z` }
  return [{ ...about, state: `held in ${phase}`, reason }]
}

/** Of one report, at the price of looking at it. */
export function driftIn(node: string, { services }: Report): readonly Condition[] {
  return services.filter(isDrift).map(({ service, outcome, changes, reason }) => ({
    event: 'drift',
    subject: `${node} ${service}`,
    state: outcome === 'changed' ? 'corrected' : outcome === 'planned' ? 'found' : 'not-corrected',
    reason:
      outcome === 'changed' || outcome === 'planned'
        ? {
            code: 'drift',
            message: changes
              .map(one => one.summary)
              .join('; ')
              .slice(0, 1_000),
          }
        : reason,
  }))
}

export interface News {
  readonly status: 'firing' | 'resolved'
  readonly condition: Condition
}

export interface Difference {
  /** To be written down as told. */
  readonly begun: readonly Condition[]
  /** To be forgotten. */
  readonly over: readonly ConditionRecord[]
  readonly news: readonly News[]
}

// An ended rollout stays ended, and drift is over when it was corrected.
const RESOLVES: readonly NotificationEvent[] = ['expiry', 'rotation']

/** `told` is what is written down, with what was noted and not told yet. */
export function differenceOf(
  current: readonly Condition[],
  told: readonly ConditionRecord[],
  nowMs: number,
): Difference {
  const known = new Set(told.map(keyOf))
  const holds = new Set(current.map(keyOf))
  const subjects = new Set(current.map(one => `${one.event}\0${one.subject}`))
  const begun = current.filter(one => !known.has(keyOf(one)))
  const noted = told.filter(one => !one.isTold)
  const over = told.filter(one =>
    one.event === 'drift'
      ? one.isTold && nowMs - one.sinceMs >= DRIFT_COOLDOWN_MS
      : !holds.has(keyOf(one)),
  )
  // In another state it is not over.
  const resolved = over.filter(
    one => RESOLVES.includes(one.event) && !subjects.has(`${one.event}\0${one.subject}`),
  )
  return {
    begun: [...begun, ...noted],
    over,
    news: [
      ...[...begun, ...noted].map(condition => ({ status: 'firing' as const, condition })),
      ...resolved.map(condition => ({ status: 'resolved' as const, condition })),
    ],
  }
}

function keyOf({ event, subject, state }: Condition): string {
  return [event, subject, state].join('\0')
}
