// Time as a dependency. Decisions take `nowMs`; only loops and edges hold a Clock.

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number
  /** Never goes back, unaffected by changes of the wall clock; milliseconds from an arbitrary origin. */
  monotonic(): number
  /** Resolves after `delayMs`, or at once when the signal is aborted. Never rejects. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  // Of the same clock as performance.now(), whose module would be loaded for it: 2 ms of every start.
  monotonic() {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1000 + nanoseconds / 1e6
  },
  sleep(delayMs, signal) {
    return new Promise(resolve => {
      if (signal?.aborted === true) {
        resolve()
        return
      }
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, delayMs)
      signal?.addEventListener('abort', done, { once: true })
    })
  },
}
