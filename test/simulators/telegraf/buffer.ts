// What an output has not written yet: bounded, the oldest goes first.

export interface Buffer {
  /** How many had to go. */
  add(lines: readonly string[]): number
  /** The oldest, up to a batch; they stay until removed. */
  batch(size: number): readonly string[]
  remove(lines: readonly string[]): void
  length(): number
}

export function createBuffer(limit: number): Buffer {
  let held: readonly string[] = []
  return {
    add: lines => {
      const all = [...held, ...lines]
      held = all.slice(-limit)
      return all.length - held.length
    },
    batch: size => held.slice(0, size),
    remove: lines => {
      // Some of them may have been pushed out while they were on their way.
      const gone = new Set(lines)
      held = held.filter(line => !gone.has(line))
    },
    length: () => held.length,
  }
}
