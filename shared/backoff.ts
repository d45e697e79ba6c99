// Delays between attempts: doubling, limited, half of each drawn at random so that a fleet whose
// controller was away does not come back in one wave.

export interface BackoffOptions {
  /** 0 for the first failure. */
  readonly attempt: number
  readonly baseMs: number
  readonly maxMs: number
  /** From 0 to 1, exclusive. */
  readonly random: () => number
}

/** Equal jitter: between half of the delay and all of it. */
export function backoffMs({ attempt, baseMs, maxMs, random }: BackoffOptions): number {
  const delayMs = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
  return delayMs / 2 + (random() * delayMs) / 2
}

/** `value` give or take up to a tenth. */
export function jittered(valueMs: number, random: () => number): number {
  return valueMs * (0.9 + random() * 0.2)
}
