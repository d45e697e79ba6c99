// Answers of pure functions, remembered. A pass over a converged node asks what the pass before it
// asked, and reading certificates and configuration files is most of what that would cost.

// A node has a handful of certificates; in a rotation some more for a while.
const ANSWERS_MAX = 32

/** `answer` must depend on what is in the key alone. What was not asked for longest is forgotten first. */
export function createMemory<A>(): (key: string, answer: () => A) => A {
  const known = new Map<string, { readonly answer: A }>()
  return (key, answer) => {
    const found = known.get(key) ?? { answer: answer() }
    // Again at the end of the order.
    known.delete(key)
    known.set(key, found)
    const oldest = known.keys().next()
    if (known.size > ANSWERS_MAX && oldest.done !== true) known.delete(oldest.value)
    return found.answer
  }
}
