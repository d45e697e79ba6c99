// Which agents are there. Kept in memory; the store learns of it in groups.

import type { Clock } from '../../shared/clock.ts'

export interface Presence {
  heard(node: string): void
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
  forget(node: string): void
}

// Between two polls an agent may be busy: observing, staging, backing off after an error.
const SILENCE_MS_MAX = 90_000

export function createPresence(clock: Clock): Presence {
  const startedMs = clock.monotonic()
  const attending = new Map<string, number>()
  const heardAt = new Map<string, { readonly monotonicMs: number; readonly wallMs: number }>()
  const unsaved = new Set<string>()

  const heard = (node: string) => {
    heardAt.set(node, { monotonicMs: clock.monotonic(), wallMs: clock.now() })
    unsaved.add(node)
  }

  return {
    heard,
    attend(node) {
      heard(node)
      attending.set(node, (attending.get(node) ?? 0) + 1)
      return () => {
        const rest = (attending.get(node) ?? 1) - 1
        if (rest > 0) attending.set(node, rest)
        else attending.delete(node)
        heard(node)
      }
    },
    isOnline({ node, seenAtMs }) {
      if (attending.has(node)) return true
      // After a start, agents that were there before get the time to come back.
      const lastMs =
        heardAt.get(node)?.monotonicMs ?? (seenAtMs === undefined ? undefined : startedMs)
      return lastMs !== undefined && clock.monotonic() - lastMs < SILENCE_MS_MAX
    },
    seenAtMs: ({ node, seenAtMs }) => heardAt.get(node)?.wallMs ?? seenAtMs,
    takeHeard() {
      for (const node of attending.keys()) heard(node)
      const nodes = [...unsaved]
      unsaved.clear()
      return nodes
    },
    forget(node) {
      heardAt.delete(node)
      unsaved.delete(node)
    },
  }
}
