// How often rotations are looked at: what a look costs the store is paid for with a pause, what nodes
// were waited for is not.

import t from 'tap'
import { createRotationLoop } from '../../../controller/rotation/loop.ts'
import type { Clock } from '../../../shared/clock.ts'

const log = { info: () => {}, warn: () => {}, error: () => {} }

/** The first pause after a tick that takes so long, of which it waits for nodes for so long. */
async function pauseAfter(tookMs: number, waitedMs: number): Promise<number> {
  let nowMs = 0
  const closing = new AbortController()
  const pauses: number[] = []
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: async delayMs => {
      pauses.push(delayMs)
      closing.abort()
    },
  }
  const tick = async () => {
    nowMs += tookMs
    return { acts: 1, waitedMs }
  }
  await createRotationLoop({ tick }, { clock, log }).run(closing.signal)
  return pauses[0] ?? Number.NaN
}

await t.test('a look that takes no time is repeated after a second', async t => {
  t.equal(await pauseAfter(0, 0), 1_000)
})

await t.test('the store belongs to others for most of the time', async t => {
  t.equal(await pauseAfter(400, 0), 8_000)
})

await t.test(
  'for as long as nodes were waited for, the store was free: no pause follows from that',
  async t => {
    t.equal(await pauseAfter(15_000, 15_000), 1_000)
    t.equal(await pauseAfter(15_400, 15_000), 8_000)
  },
)

await t.test('a tick that fails is told of, and the next one follows a pause', async t => {
  const told: unknown[] = []
  const closing = new AbortController()
  let pauses = 0
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    sleep: async () => {
      pauses += 1
      if (pauses === 2) closing.abort()
    },
  }
  const tick = async () => {
    throw new Error('the store is closed')
  }
  const error = (fields: object) => told.push(fields)
  await createRotationLoop({ tick }, { clock, log: { ...log, error } }).run(closing.signal)
  t.equal(pauses, 2)
  t.equal(told.length, 2)
})
