// Long polls: whoever waits for a key is woken when something about it has changed, looks again,
// and decides itself whether that was worth an answer.

import type { Clock } from '../../shared/clock.ts'

export interface WakeBoard {
  wake(keys: readonly string[]): void
  wakeAll(): void
  /** Ends every wait, now and later: the server is closing. */
  close(): void
  subscribe(key: string): Subscription
  /** How many wait now. */
  waiting(): number
}

interface Subscription {
  /** Aborted by the next wake. */
  readonly signal: AbortSignal
  end(): void
}

export function createWakeBoard(): WakeBoard {
  const waiting = new Map<string, Set<AbortController>>()
  let closed = false
  const wakeAll = () => {
    for (const controllers of waiting.values())
      for (const controller of controllers) controller.abort()
  }
  return {
    wakeAll,
    waiting: () => [...waiting.values()].reduce((sum, { size }) => sum + size, 0),
    wake(keys) {
      for (const key of keys) for (const controller of waiting.get(key) ?? []) controller.abort()
    },
    close() {
      closed = true
      wakeAll()
    },
    subscribe(key) {
      const controller = new AbortController()
      if (closed) controller.abort()
      const controllers = waiting.get(key) ?? new Set()
      waiting.set(key, controllers.add(controller))
      return {
        signal: controller.signal,
        end() {
          controllers.delete(controller)
          if (controllers.size === 0 && waiting.get(key) === controllers) waiting.delete(key)
        },
      }
    },
  }
}

export interface LongPoll<T> {
  readonly board: WakeBoard
  readonly key: string
  readonly waitMs: number
  readonly clock: Clock
  /** The other side has gone, or this one is closing. */
  readonly signal: AbortSignal
  /** What there is to answer; undefined: nothing yet. */
  readonly look: (isLast: boolean) => Promise<T | undefined>
}

/** Undefined when the time is over, or the signal aborted. */
export async function longPoll<T>(poll: LongPoll<T>): Promise<T | undefined> {
  const { board, key, waitMs, clock, signal, look } = poll
  const deadlineMs = clock.monotonic() + waitMs
  for (;;) {
    // Subscribed before looking, so that nothing between the two is missed.
    const subscription = board.subscribe(key)
    try {
      const restMs = deadlineMs - clock.monotonic()
      const found = await look(restMs <= 0)
      if (found !== undefined || restMs <= 0 || signal.aborted) return found
      await clock.sleep(restMs, AbortSignal.any([signal, subscription.signal]))
    } finally {
      subscription.end()
    }
  }
}
