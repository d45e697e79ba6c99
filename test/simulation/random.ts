// The only randomness of a simulation: one seed, split so that a draw more in one part of the world
// does not shift the others.

export interface Random {
  /** 0 … limit - 1. */
  below(limit: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  /** A part of the list, in its order. */
  some<T>(list: readonly T[], probability: number): T[]
  /** Another stream, which depends on the seed and the name only. */
  split(name: string): Random
}

/** mulberry32: small, seeded, the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  // Seeds that follow one another begin alike.
  for (let count = 0; count < 4; count++) next()
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: probability => next() < probability,
    pick: list => {
      const value = list[below(list.length)]
      if (value === undefined) throw new Error('nothing to pick from')
      return value
    },
    some: (list, probability) => list.filter(() => next() < probability),
    split: name => randomFrom(hash(`${seed} ${name}`)),
  }
}

// FNV-1a.
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193)
  return value >>> 0
}
