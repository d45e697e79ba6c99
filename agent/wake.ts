// Wakes the loop. Watchers, timers and answers of the controller only say that there may be
// something to do; what there is, the next pass finds out.

import type { Clock } from '../shared/clock.ts'

export type WakeReason = 'start' | 'timer' | 'files' | 'desired' | 'operator' | 'retry'

export interface Wake {
  (reason: WakeReason): void
  /** Resolves with why, after a moment in which more of the same may come; with `timer` after `delayMs`. */
  wait(delayMs: number, signal: AbortSignal): Promise<WakeReason>
}

// An editor writes, renames and changes modes within milliseconds; one look is enough for all of it.
const SETTLE_MS = 40

export function createWake(clock: Clock): Wake {
  let pending: WakeReason | undefined
  let interrupt: AbortController | undefined
  const wake = (reason: WakeReason) => {
    pending ??= reason
    interrupt?.abort()
  }
  const wait = async (delayMs: number, signal: AbortSignal): Promise<WakeReason> => {
    if (pending === undefined && !signal.aborted) {
      interrupt = new AbortController()
      await clock.sleep(delayMs, AbortSignal.any([signal, interrupt.signal]))
      interrupt = undefined
    }
    if (pending === 'files') await clock.sleep(SETTLE_MS, signal)
    const reason = pending ?? 'timer'
    pending = undefined
    return reason
  }
  return Object.assign(wake, { wait })
}
