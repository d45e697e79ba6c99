// Assertions are for bugs: what they check can be false only if this program is wrong.

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The end of every switch over a closed union: a new variant stops compiling here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}

class AssertionError extends Error {
  override readonly name = 'AssertionError'
}
