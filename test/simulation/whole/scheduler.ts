// The one clock of a simulated world. Everything that takes time or comes from elsewhere is an event
// here: the earliest happens next, and nothing else until all that follows from it at once is done.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../../shared/clock.ts'
import { T0 } from './trust.ts'

export interface Scheduler {
  /** Milliseconds since the world began. */
  nowMs(): number
  /** For those who wait in the world. */
  readonly clock: Clock
  /** Call the result to take it back. */
  after(delayMs: number, work: () => unknown): () => void
  /** The next event that is due up to this time, and what follows from it; false: there is none. */
  step(untilMs: number): Promise<boolean>
  /** Of a controller or an operator, which work outside of the clock. */
  settle(): Promise<void>
}

interface Event {
  readonly dueMs: number
  readonly order: number
  readonly work: () => unknown
}

export function createScheduler(): Scheduler {
  // Sorted, the next one last.
  const events: Event[] = []
  let nowMs = 0
  let orders = 0
  const isLater = (a: Event, b: Event) =>
    a.dueMs > b.dueMs || (a.dueMs === b.dueMs && a.order > b.order)
  const insert = (event: Event) => {
    let low = 0
    let high = events.length
    while (low < high) {
      const middle = (low + high) >> 1
      const found = events[middle]
      if (found !== undefined && isLater(found, event)) low = middle + 1
      else high = middle
    }
    events.splice(low, 0, event)
  }
  const after: Scheduler['after'] = (delayMs, work) => {
    orders += 1
    const event = { dueMs: nowMs + Math.max(0, Math.ceil(delayMs)), order: orders, work }
    insert(event)
    return () => {
      const index = events.indexOf(event)
      if (index >= 0) events.splice(index, 1)
    }
  }
  const sleep: Clock['sleep'] = (delayMs, signal) =>
    new Promise(resolve => {
      const wakeUp = () => {
        cancel()
        signal?.removeEventListener('abort', wakeUp)
        resolve()
      }
      const cancel = after(delayMs, wakeUp)
      if (signal?.aborted === true) wakeUp()
      else signal?.addEventListener('abort', wakeUp, { once: true })
    })
  return {
    nowMs: () => nowMs,
    clock: { now: () => T0 + nowMs, monotonic: () => nowMs, sleep },
    after,
    async step(untilMs) {
      const next = events.at(-1)
      if (next === undefined || next.dueMs > untilMs) {
        nowMs = Math.max(nowMs, untilMs)
        return false
      }
      events.pop()
      nowMs = Math.max(nowMs, next.dueMs)
      await next.work()
      await nextTurn()
      return true
    },
    settle: async () => nextTurn(),
  }
}
