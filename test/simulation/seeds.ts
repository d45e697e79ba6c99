// Some seeds in turn; how their rollouts ended, or the seed and the trace of the first violation.

import { runSeed } from './run.ts'

export type Result =
  | { readonly kind: 'held'; readonly ends: ReadonlyMap<string, number> }
  | {
      readonly kind: 'violated'
      readonly seed: number
      readonly error: unknown
      readonly trace: readonly string[]
    }

export async function runSeeds(seeds: Iterable<number>): Promise<Result> {
  const ends = new Map<string, number>()
  for (const seed of seeds) {
    let trace: readonly string[] = []
    try {
      const outcome = await runSeed(seed, { onTrace: lines => (trace = lines) })
      for (const end of outcome.ends) ends.set(end, (ends.get(end) ?? 0) + 1)
    } catch (error) {
      return { kind: 'violated', seed, error, trace }
    }
  }
  return { kind: 'held', ends }
}

export function from(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first + index)
}
