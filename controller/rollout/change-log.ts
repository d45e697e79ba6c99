// Which nodes have changed since somebody looked last: so that a look at what has changed is not a look
// at everything. In memory and bounded; who asks for more than is remembered is told to look at all.

export interface Changes {
  /** To be given with the next question. */
  readonly cursor: number
  /** Undefined: any node may have changed. */
  readonly nodes: readonly string[] | undefined
}

export interface ChangeLog {
  note(node: string): void
  /** Whatever was known is in doubt. */
  noteAll(): void
  /** Never too few; `cursor` undefined: of somebody who has not looked yet. */
  since(cursor: number | undefined): Changes
  /** What was noted since then is noted again: it was taken back, after somebody may have looked. */
  repeat(cursor: number): void
}

// Twice a fleet of 30,000 that reports at once; a name is a reference to a string.
const ENTRIES_MAX = 65_536

export function createChangeLog(entriesMax = ENTRIES_MAX): ChangeLog {
  let entries: string[] = []
  /** How many entries were forgotten before the first of these. */
  let base = 0
  let readTo = 0

  const noteAll = () => {
    base += entries.length + 1
    entries = []
  }
  const note = (node: string) => {
    // One write after another to what is kept of the same node, and nobody has looked between.
    if (entries.at(-1) === node && readTo < base + entries.length) return
    entries.push(node)
    if (entries.length < 2 * entriesMax) return
    base += entries.length - entriesMax
    entries = entries.slice(-entriesMax)
  }
  return {
    note,
    noteAll,
    since(cursor) {
      const end = base + entries.length
      readTo = end
      const isKnown = cursor !== undefined && cursor >= base && cursor <= end
      return {
        cursor: end,
        nodes: isKnown ? [...new Set(entries.slice(cursor - base))] : undefined,
      }
    },
    repeat(cursor) {
      if (cursor < base) return noteAll()
      for (const node of new Set(entries.slice(cursor - base))) note(node)
    },
  }
}
