// Something that a node waits for has happened: its poll is answered with `wake`, once. A nudge that
// is lost costs time only, because the node asks again by itself.

import type { WakeBoard } from './wake-board.ts'

export interface Nudges {
  nudge(nodes: readonly string[]): void
  /** True once after each nudge. */
  take(node: string): boolean
}

export function createNudges(board: WakeBoard): Nudges {
  const nudged = new Set<string>()
  return {
    nudge(nodes) {
      for (const node of nodes) nudged.add(node)
      board.wake(nodes)
    },
    take: node => nudged.delete(node),
  }
}
