// A property as a test. Says the seed always, and of a counterexample what people need to see: whole
// disks would fill pages.

import fc from 'fast-check'
import type { Test } from 'tap'

export interface Holding<T> {
  readonly values: fc.Arbitrary<T>
  readonly runs: number
  /** A counterexample in a few words. */
  readonly describe: (value: T) => string
}

/** `fc.check` with the seed of a failure: `HOLD_SEED=…` and the path repeat it. */
export async function hold<T>(
  t: Test,
  { values, runs, describe }: Holding<T>,
  work: (value: T) => Promise<void>,
): Promise<void> {
  const given = process.env['HOLD_SEED']
  const seed = given === undefined ? {} : { seed: Number(given) }
  const property = fc.asyncProperty(values, work)
  const result = await fc.check(property, { numRuns: runs, ...seed })
  if (!result.failed) {
    t.pass(`${runs} runs, seed ${result.seed}`)
    return
  }
  const [value] = result.counterexample ?? []
  const found = value === undefined ? 'nothing' : describe(value)
  t.fail(`HOLD_SEED=${result.seed}: ${String(result.errorInstance)}: ${found}`)
}
