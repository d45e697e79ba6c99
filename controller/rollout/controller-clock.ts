// The clock of rollouts. It stands while no controller runs, never goes back, knows nothing of the
// wall clock, and counts too little rather than too much: a crash makes a soak longer, never shorter.

import type { Clock } from '../../shared/clock.ts'
import type { Now } from './rollout.ts'
import type { RolloutStore, RolloutTransaction } from './rollout-store.ts'

/** Ticks come a second apart; who comes late has been asleep, and nothing was seen meanwhile. */
const ADVANCE_MS_MAX = 2_000

export interface ControllerClock {
  /** Adds the time that has passed since somebody, here or elsewhere, did so last. */
  readonly advance: () => Promise<void>
  readonly now: (tx: RolloutTransaction) => Promise<Now>
}

export function createControllerClock({
  store,
  clock,
}: {
  readonly store: RolloutStore
  readonly clock: Clock
}): ControllerClock {
  // The version that this process saw last, and when.
  let seen: { readonly version: number; readonly monotonicMs: number } | undefined

  return {
    async advance() {
      const monotonicMs = clock.monotonic()
      const version = await store.transaction(async tx => {
        const known = await tx.controllerTime.get()
        // Somebody else was here: what passes from now on is ours to add, or theirs again.
        if (seen?.version !== known.version) return known.version
        const passedMs = Math.max(0, monotonicMs - seen.monotonicMs)
        const addedMs = Math.floor(Math.min(ADVANCE_MS_MAX, passedMs))
        if (addedMs === 0) return known.version
        const isMine = await tx.controllerTime.advance(known.version, known.timeMs + addedMs)
        return isMine ? known.version + 1 : undefined
      })
      if (version !== undefined && version !== seen?.version) seen = { version, monotonicMs }
    },
    async now(tx) {
      const { timeMs } = await tx.controllerTime.get()
      return { atMs: clock.now(), timeMs }
    },
  }
}
