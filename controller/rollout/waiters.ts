// Nodes that were refused a lease, in the order in which they asked. When it would be granted they are
// woken, once; whoever still needs it asks again. Kept in memory only: an agent that was forgotten asks
// again by itself, later.

import type { Clock } from '../../shared/clock.ts'
import type { LeaseRequest } from '../../shared/contract/agent-api.ts'
import type { Reason } from '../../shared/contract/schema.ts'

export interface Waiter {
  readonly node: string
  readonly purpose: LeaseRequest['purpose']
}

export interface Waiters {
  note(waiter: Waiter, granted: boolean): void
  /** Nodes that were woken and have not asked since. */
  woken(): ReadonlySet<string>
  /** Who would be granted a lease now. `why`: what is in its way; changes nothing. */
  ready(
    why: (waiter: Waiter, woken: ReadonlySet<string>) => Promise<Reason | undefined>,
  ): Promise<readonly string[]>
  /** After `ready`, once it is certain. */
  woke(nodes: readonly string[]): void
}

// Bounds one round; the next goes on behind them.
const LOOKS_MAX = 64
// So long a node that was woken counts as if it had its lease: its pass takes a moment.
const WOKEN_MS = 20_000

export function createWaiters(clock: Pick<Clock, 'monotonic'>): Waiters {
  const waiting = new Map<string, Waiter>()
  const woken = new Map<string, number>()
  let next = 0

  function wokenNow(): Set<string> {
    const nowMs = clock.monotonic()
    for (const [node, atMs] of woken) if (nowMs - atMs >= WOKEN_MS) woken.delete(node)
    return new Set(woken.keys())
  }

  return {
    note(waiter, granted) {
      woken.delete(waiter.node)
      if (granted) waiting.delete(waiter.node)
      else waiting.set(waiter.node, waiter)
    },
    woken: wokenNow,
    async ready(why) {
      const all = [...waiting.values()]
      const from = next >= all.length ? 0 : next
      const round = all.slice(from, from + LOOKS_MAX)
      next = from + round.length
      const taken = wokenNow()
      const nodes: string[] = []
      for (const waiter of round) {
        if ((await why(waiter, taken)) !== undefined) continue
        taken.add(waiter.node)
        nodes.push(waiter.node)
      }
      return nodes
    },
    woke(nodes) {
      for (const node of nodes) {
        waiting.delete(node)
        woken.set(node, clock.monotonic())
      }
    },
  }
}
