// When certificates end, as bars over time: what will be renewed, what nobody will renew, what has
// ended. Pure.

import type { CertificateView } from '../../../shared/contract/certificates.ts'

export type Fate = 'renewed' | 'unrenewed' | 'ended'

export interface Bar {
  readonly fromMs: number
  readonly toMs: number
  readonly renewed: number
  readonly unrenewed: number
  readonly ended: number
}

export interface Timeline {
  readonly fromMs: number
  readonly toMs: number
  readonly bars: readonly Bar[]
  /** The highest bar. */
  readonly most: number
  /** They end after `toMs`. */
  readonly later: number
  readonly ticks: readonly Tick[]
}

export interface Tick {
  readonly atMs: number
  readonly label: string
}

const DAY_MS = 86_400_000
const BARS = 45
// What was there before now: a little, so that what has ended is seen.
const BEFORE = 0.06

export function fateOf(certificate: CertificateView, nowMs: number): Fate {
  if (certificate.notAfterMs !== undefined && certificate.notAfterMs <= nowMs) return 'ended'
  return certificate.unrenewed === undefined ? 'renewed' : 'unrenewed'
}

/** CAs live for years and have a place of their own: they would press everything else to the left. */
export function timelineOf(certificates: readonly CertificateView[], nowMs: number): Timeline {
  const ends = certificates.flatMap(one =>
    one.kind === 'authority' || one.notAfterMs === undefined
      ? []
      : [{ atMs: one.notAfterMs, fate: fateOf(one, nowMs) }],
  )
  const spanMs = spanOf(
    ends.map(({ atMs }) => atMs),
    nowMs,
  )
  const fromMs = nowMs - spanMs * BEFORE
  const toMs = nowMs + spanMs
  const widthMs = (toMs - fromMs) / BARS
  const bars = Array.from({ length: BARS }, (_, index) => ({
    fromMs: fromMs + index * widthMs,
    toMs: fromMs + (index + 1) * widthMs,
    renewed: 0,
    unrenewed: 0,
    ended: 0,
  }))
  let later = 0
  for (const { atMs, fate } of ends) {
    const index = Math.floor((atMs - fromMs) / widthMs)
    // What ended long ago stands in the first bar.
    const bar = bars[Math.max(0, index)]
    if (bar === undefined) later++
    else bar[fate]++
  }
  const most = Math.max(1, ...bars.map(heightOf))
  return { fromMs, toMs, bars, most, later, ticks: ticksOf(nowMs, spanMs) }
}

export function heightOf({ renewed, unrenewed, ended }: Bar): number {
  return renewed + unrenewed + ended
}

const SPANS_DAYS = [2, 7, 14, 30, 60, 90, 180, 365, 730]

/** The shortest span that holds nine of ten. */
function spanOf(ends: readonly number[], nowMs: number): number {
  const ahead = ends.filter(atMs => atMs > nowMs).toSorted((a, b) => a - b)
  const furthest = ahead[Math.floor((ahead.length - 1) * 0.9)] ?? nowMs
  const days = (furthest - nowMs) / DAY_MS
  return (SPANS_DAYS.find(span => span >= days) ?? 1_095) * DAY_MS
}

function ticksOf(nowMs: number, spanMs: number): readonly Tick[] {
  return Array.from({ length: 5 }, (_, index) => {
    const atMs = nowMs + (spanMs * index) / 4
    const days = Math.round((atMs - nowMs) / DAY_MS)
    const hours = Math.round((atMs - nowMs) / 3_600_000)
    const label = index === 0 ? 'now' : spanMs < 4 * DAY_MS ? `${hours} h` : `${days} d`
    return { atMs, label }
  })
}

/** What ends first stands first; what has no known end stands last. */
export function byEnd(certificates: readonly CertificateView[]): readonly CertificateView[] {
  return certificates.toSorted(
    (a, b) =>
      (a.notAfterMs ?? Infinity) - (b.notAfterMs ?? Infinity) ||
      (a.node ?? '').localeCompare(b.node ?? ''),
  )
}

/** `influxdb on data-1`, `agent of data-1`, `service root`. */
export function nameOf({ kind, node, service, role }: CertificateView): string {
  switch (kind) {
    case 'authority':
      return (role ?? 'CA').replaceAll('-', ' ')
    case 'identity':
      return `agent of ${node ?? '?'}`
    case 'listener':
      return `${service ?? 'service'} on ${node ?? '?'}`
    default:
      return kind
  }
}
