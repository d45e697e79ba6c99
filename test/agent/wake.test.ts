// Waking the loop: why, how soon, and that nothing is lost.

import t from 'tap'
import { createWake } from '../../agent/wake.ts'

/** A clock whose sleeps a test ends, one after the other. */
function createStoppedClock() {
  const sleeps: { readonly ms: number; end(): void }[] = []
  return {
    sleeps,
    clock: {
      now: () => 0,
      monotonic: () => 0,
      sleep: (ms: number, signal?: AbortSignal) =>
        new Promise<void>(resolve => {
          if (signal?.aborted === true) resolve()
          signal?.addEventListener('abort', () => resolve())
          sleeps.push({ ms, end: resolve })
        }),
    },
  }
}

const never = new AbortController().signal

await t.test('time passes: the reason is the timer', async t => {
  const { clock, sleeps } = createStoppedClock()
  const wake = createWake(clock)

  const waiting = wake.wait(1_000, never)
  sleeps[0]?.end()

  t.equal(await waiting, 'timer')
  t.strictSame(
    sleeps.map(one => one.ms),
    [1_000],
  )
})

await t.test('a wake ends the wait at once, and counts once', async t => {
  const { clock, sleeps } = createStoppedClock()
  const wake = createWake(clock)

  const waiting = wake.wait(1_000, never)
  wake('desired')
  wake('operator')
  t.equal(await waiting, 'desired', 'the first reason')
  const next = wake.wait(1_000, never)
  sleeps.at(-1)?.end()
  t.equal(await next, 'timer', 'all of it was one wake')
})

await t.test('a wake that came before the wait is not lost', async t => {
  const { clock, sleeps } = createStoppedClock()
  const wake = createWake(clock)

  wake('operator')

  t.equal(await wake.wait(1_000, never), 'operator')
  t.equal(sleeps.length, 0)
})

await t.test('files that change wake after a moment in which more may change', async t => {
  const { clock, sleeps } = createStoppedClock()
  const wake = createWake(clock)

  wake('files')
  const waiting = wake.wait(1_000, never)
  wake('files')
  t.equal(sleeps.length, 1)
  t.ok((sleeps[0]?.ms ?? 0) <= 100, 'a short one: drift is corrected within a quarter of a second')
  sleeps[0]?.end()

  t.equal(await waiting, 'files')
})

await t.test('a stop ends every wait', async t => {
  const { clock } = createStoppedClock()
  const stop = new AbortController()
  const wake = createWake(clock)

  const waiting = wake.wait(1_000, stop.signal)
  stop.abort()

  t.equal(await waiting, 'timer')
  t.equal(await wake.wait(1_000, stop.signal), 'timer', 'and those after it')
})
