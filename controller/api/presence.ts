// Which agents are there. Kept in memory; the store learns of it in groups.

import type { Clock } from '../../shared/clock.ts'
import { type Changes, createChangeLog } from '../rollout/change-log.ts'

export interface Presence {
  heard(node: string): void
  /** Agents that wait at us now. */
  count(): number
  /** Nodes whose agents were heard of lately, sorted. */
  present(): readonly string[]
  /** Of an agent that waits at us for news. Call the result when the wait is over. */
  attend(node: string): () => void
  /** `seenAtMs` is what the store knows, from before this process. */
  isOnline(node: { readonly node: string; readonly seenAtMs: number | undefined }): boolean
  /** Wall clock; the later of memory and store. */
  seenAtMs(node: {
    readonly node: string
    readonly seenAtMs: number | undefined
  }): number | undefined
  /** Nodes heard of since the last call, for the store. */
  takeHeard(): readonly string[]
  /** Nodes that may have come or gone since `cursor` was given out, or were noted; never too few. */
  changedSince(cursor: number | undefined): Changes
  /** Something else is known of a node that is not in the store. */
  note(node: string): void
  /** Offline at once, also while its last wait is still ending. */
  forget(node: string): void
  /** Agents that were there at the last call and are not any more; `all`: that cannot be told. */
  fallenSilent(): readonly string[] | 'all'
}

/** Between two polls an agent may be busy: observing, staging, backing off after an error. */
export const OFFLINE_AFTER_MS = 90_000

export interface PresenceOptions {
  readonly clock: Clock
  /** Who was not heard of for so long is offline. */
  readonly offlineAfterMs?: number | undefined
  /** An agent is there that was not before, or was forgotten. */
  readonly onCome?: (node: string) => void
}

export function createPresence({
  clock,
  offlineAfterMs = OFFLINE_AFTER_MS,
  onCome = () => {},
}: PresenceOptions): Presence {
  const startedMs = clock.monotonic()
  const attending = new Map<string, Set<symbol>>()
  const heardAt = new Map<string, { readonly monotonicMs: number; readonly wallMs: number }>()
  const unsaved = new Set<string>()
  // Those that `fallenSilent` has not told of.
  const there = new Set<string>()
  let wasPatient = true
  const log = createChangeLog()
  // Those that are online, the one first that has been silent for longest.
  const lastHeard = new Map<string, number>()
  let isGrace = true

  const noteGone = () => {
    const beforeMs = clock.monotonic() - offlineAfterMs
    // All that were there before this process, and did not come back.
    if (isGrace && startedMs <= beforeMs) {
      isGrace = false
      log.noteAll()
    }
    for (const [node, monotonicMs] of lastHeard) {
      if (monotonicMs > beforeMs) return
      lastHeard.delete(node)
      if (attending.has(node)) lastHeard.set(node, clock.monotonic())
      else log.note(node)
    }
  }

  const isSilent = (node: string) =>
    !attending.has(node) &&
    clock.monotonic() - (heardAt.get(node)?.monotonicMs ?? -Infinity) >= offlineAfterMs

  const heard = (node: string) => {
    if (!there.has(node)) {
      there.add(node)
      onCome(node)
    }
    const monotonicMs = clock.monotonic()
    heardAt.set(node, { monotonicMs, wallMs: clock.now() })
    unsaved.add(node)
    if (!lastHeard.delete(node)) log.note(node)
    lastHeard.set(node, monotonicMs)
  }

  return {
    heard,
    count: () => attending.size,
    present() {
      const nowMs = clock.monotonic()
      const isThere = (node: string, lastMs: number) =>
        attending.has(node) || nowMs - lastMs < offlineAfterMs
      const there = [...heardAt].filter(([node, { monotonicMs }]) => isThere(node, monotonicMs))
      return there.map(([node]) => node).toSorted()
    },
    attend(node) {
      heard(node)
      const visit = Symbol(node)
      const visits = attending.get(node) ?? new Set()
      attending.set(node, visits.add(visit))
      return () => {
        // Who was forgotten meanwhile is not there because its connection ends.
        if (attending.get(node) !== visits || !visits.delete(visit)) return
        if (visits.size === 0) attending.delete(node)
        heard(node)
      }
    },
    isOnline({ node, seenAtMs }) {
      if (attending.has(node)) return true
      // After a start, agents that were there before get the time to come back.
      const lastMs =
        heardAt.get(node)?.monotonicMs ?? (seenAtMs === undefined ? undefined : startedMs)
      return lastMs !== undefined && clock.monotonic() - lastMs < offlineAfterMs
    },
    seenAtMs: ({ node, seenAtMs }) => heardAt.get(node)?.wallMs ?? seenAtMs,
    takeHeard() {
      for (const node of attending.keys()) heard(node)
      const nodes = [...unsaved]
      unsaved.clear()
      return nodes
    },
    changedSince(cursor) {
      noteGone()
      return log.since(cursor)
    },
    note: node => log.note(node),
    forget(node) {
      log.note(node)
      lastHeard.delete(node)
      attending.delete(node)
      heardAt.delete(node)
      unsaved.delete(node)
      if (there.delete(node)) onCome(node)
    },
    fallenSilent() {
      const silent = [...there].filter(isSilent)
      for (const node of silent) there.delete(node)
      // Those that never came back after our start are silent from now on.
      if (!wasPatient || clock.monotonic() - startedMs < offlineAfterMs) return silent
      wasPatient = false
      return 'all'
    },
  }
}
