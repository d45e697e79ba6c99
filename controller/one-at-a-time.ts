// Rounds of the same work, in the order in which they were asked for.

// What was read last must be what is put in force last.
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let tail = Promise.resolve()
  return () => {
    const turn = tail.then(work)
    tail = turn.catch(() => {})
    return turn
  }
}
