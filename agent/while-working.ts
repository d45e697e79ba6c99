// Work that takes long and sleeps nowhere: each sleep beside it is a sign of life of the loop.

import type { Clock } from '../shared/clock.ts'

const BEAT_MS = 5_000

export async function whileWorking<T>(clock: Pick<Clock, 'sleep'>, work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const ended = work.finally(() => over.abort())
  while (!over.signal.aborted) await Promise.race([ended, clock.sleep(BEAT_MS, over.signal)])
  return ended
}
