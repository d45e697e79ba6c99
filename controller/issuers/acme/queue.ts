// Which orders are worked on next. Pure.

import type { AcmeOrderRecord } from '../../store/acme-store.ts'
import type { AcmeDirectory } from './settings.ts'

export interface Blocked {
  readonly untilMs: number
  readonly reason: { readonly code: string; readonly message: string }
}

export interface QueueState {
  readonly directories: ReadonlyMap<string, AcmeDirectory>
  /** By next attempt. */
  readonly orders: readonly AcmeOrderRecord[]
  /** Being worked on. */
  readonly running: readonly AcmeOrderRecord[]
  /** Directories at which nothing is tried for now. */
  readonly blocked: ReadonlyMap<string, Blocked>
  /** Orders placed within the last hour, by directory. */
  readonly ordered: ReadonlyMap<string, number>
  readonly nowMs: number
}

export interface Choice {
  readonly start: readonly AcmeOrderRecord[]
  /** Due, and not started for a reason that people should see. */
  readonly held: readonly { readonly order: AcmeOrderRecord; readonly blocked: Blocked }[]
}

const HOUR_MS = 3_600_000
const PACED_FOR_MS = 60_000

export function choose(state: QueueState): Choice {
  const { directories, blocked, nowMs } = state
  const start: AcmeOrderRecord[] = []
  const held: { order: AcmeOrderRecord; blocked: Blocked }[] = []
  const busy = [...state.running]
  const ordered = new Map(state.ordered)
  const running = new Set(busy.map(one => one.request))
  for (const order of state.orders) {
    if (order.nextAttemptAtMs > nowMs || running.has(order.request)) continue
    const directory = directories.get(order.directory)
    if (directory === undefined) continue
    const wall = blocked.get(order.directory)
    if (wall !== undefined && wall.untilMs > nowMs) {
      held.push({ order, blocked: wall })
      continue
    }
    const beside = busy.filter(one => one.directory === order.directory)
    // Two orders for one name would take each other's proofs for their own, and one may make the other needless.
    if (beside.length >= directory.atOnce || beside.some(one => shareName(one, order))) continue
    const placed = ordered.get(order.directory) ?? 0
    if (order.state === 'waiting') {
      if (placed >= directory.ordersPerHour) {
        held.push({ order, blocked: paced(directory, nowMs) })
        continue
      }
      ordered.set(order.directory, placed + 1)
    }
    busy.push(order)
    start.push(order)
  }
  return { start, held }
}

/** Since when orders count. */
export function countedSinceMs(nowMs: number): number {
  return nowMs - HOUR_MS
}

function paced({ name, ordersPerHour }: AcmeDirectory, nowMs: number): Blocked {
  return {
    untilMs: nowMs + PACED_FOR_MS,
    reason: {
      code: 'acme-paced',
      message: `${ordersPerHour} orders were placed at ${name} within the last hour, which is all that its configuration allows`,
    },
  }
}

function shareName(a: AcmeOrderRecord, b: AcmeOrderRecord): boolean {
  const names = new Set([...a.names.dns, ...a.names.ip].map(withoutWildcard))
  return [...b.names.dns, ...b.names.ip].some(name => names.has(withoutWildcard(name)))
}

// Both are proven by the same record.
function withoutWildcard(name: string): string {
  return name.startsWith('*.') ? name.slice(2) : name
}
