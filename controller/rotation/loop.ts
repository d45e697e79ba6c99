// Rotations go on by themselves. With none under way this costs one small query a second.

import type { Clock } from '../../shared/clock.ts'
import type { RunnerLog } from '../rollout/runner.ts'
import type { Rotations } from './runner.ts'

export interface RotationLoop {
  /** Something was asked for: look at once. */
  wake(): void
  /** Until the signal is aborted. */
  run(closing: AbortSignal): Promise<void>
}

const TICK_MS = 1_000
// Looking at a large fleet takes a while; the store belongs to others for most of the time.
const SHARE = 20

export function createRotationLoop(
  { tick }: Pick<Rotations, 'tick'>,
  { clock, log }: { readonly clock: Clock; readonly log: RunnerLog },
): RotationLoop {
  let waker = new AbortController()
  return {
    wake: () => waker.abort(),
    async run(closing) {
      while (!closing.aborted) {
        // Taken before the work: whatever happens during it wakes the next round.
        waker = new AbortController()
        const { signal } = waker
        const startedMs = clock.monotonic()
        let waitedMs = 0
        try {
          ;({ waitedMs } = await tick())
        } catch (error) {
          log.error({ err: error }, 'rotations could not be looked at')
        }
        const workMs = clock.monotonic() - startedMs - waitedMs
        await clock.sleep(Math.max(TICK_MS, workMs * SHARE), AbortSignal.any([signal, closing]))
      }
    },
  }
}
