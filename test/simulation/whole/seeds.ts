// Seeds of whole fleets in turn, until their time is over or one of them is violated.

import { runWhole } from './run.ts'

export type WholeResult = {
  /** Those that were run, in order. */
  readonly seeds: readonly number[]
  readonly ends: ReadonlyMap<string, number>
  /** What happened how often. */
  readonly counts: ReadonlyMap<string, number>
} & (
  | { readonly kind: 'held' }
  | {
      readonly kind: 'violated'
      readonly seed: number
      readonly error: unknown
      readonly trace: readonly string[]
    }
)

export async function runWholeSeeds(
  all: Iterable<number>,
  isOver: () => boolean,
): Promise<WholeResult> {
  const ends = new Map<string, number>()
  const counts = new Map<string, number>()
  const seeds: number[] = []
  for (const seed of all) {
    if (isOver()) break
    seeds.push(seed)
    let trace: readonly string[] = []
    try {
      const outcome = await runWhole(seed, { onTrace: lines => (trace = lines) })
      for (const end of outcome.ends) ends.set(end, (ends.get(end) ?? 0) + 1)
      for (const [what, times] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + times)
    } catch (error) {
      return { kind: 'violated', seed, error, trace, seeds, ends, counts }
    }
  }
  return { kind: 'held', seeds, ends, counts }
}
