// "Did you mean": the known word that is closest to an unknown one.

/** The closest of `known` within a third of the word's length (at least 2 edits), or undefined. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const allowed = Math.max(2, Math.floor(word.length / 3))
  const ranked = known
    .map(candidate => ({
      candidate,
      edits: editDistance(word.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ candidate, edits }) => edits <= allowed && edits < candidate.length)
    .toSorted((a, b) => a.edits - b.edits || (a.candidate < b.candidate ? -1 : 1))
  return ranked[0]?.candidate
}

/** Insertions, deletions, substitutions and swaps of neighbours; words are cut to keep it cheap. */
export function editDistance(left: string, right: string): number {
  const a = left.slice(0, WORD_LENGTH_MAX)
  const b = right.slice(0, WORD_LENGTH_MAX)
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      const edits = [at(row, j - 1) + 1, at(last, j) + 1, at(last, j - 1) + cost]
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits.push(at(beforeLast, j - 2) + 1)
      row.push(Math.min(...edits))
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

// No known word is longer; a hostile one must not cost time.
const WORD_LENGTH_MAX = 64

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0
}
