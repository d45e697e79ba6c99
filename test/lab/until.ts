// Polling with a deadline: tests wait for states, never for time to pass.

import { setTimeout as sleep } from 'node:timers/promises'

export interface UntilOptions {
  /** What is waited for, for the error: "n1 serves the new certificate". */
  readonly what: string
  readonly timeoutMs?: number
  readonly everyMs?: number
}

const TIMEOUT_MS = 120_000
const EVERY_MS = 50

/**
 * Resolves with the first value of `check` that is neither false nor undefined. An error thrown by it
 * counts as "not yet" and is the cause of the error that the deadline throws.
 */
export async function until<T>(
  check: () => Promise<T | false | undefined> | T | false | undefined,
  { what, timeoutMs = TIMEOUT_MS, everyMs = EVERY_MS }: UntilOptions,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await check()
      if (value !== false && value !== undefined) return value
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() >= endMs) {
      throw new Error(
        `not within ${timeoutMs} ms: ${what}`,
        last === undefined ? {} : { cause: last },
      )
    }
    await sleep(everyMs)
  }
}
