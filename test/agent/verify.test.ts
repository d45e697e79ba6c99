// Proof by the service itself: what counts as up, for how long, and how soon it is given up.

import t from 'tap'
import type { Host, UnitState } from '../../agent/host.ts'
import { type Proof, type Verdict, verifyService } from '../../agent/verify.ts'
import { newNode } from '../support/memory-fleet.ts'

const UNIT = 'influxdb.service'
const stock = await newNode().host.services.show(UNIT)
if (stock === undefined) throw new Error('no unit')
const base: UnitState = { ...stock, restarts: 7, invocationId: 'new' }

const CRASHED = { activeState: 'activating', subState: 'auto-restart' } as const
const FAILED = { activeState: 'failed', result: 'exit-code' } as const
const WRONG = { code: 'served-stale', message: 'another certificate' }

interface Course {
  /** State of the unit after so many milliseconds; undefined: it is gone. */
  readonly unit?: (atMs: number) => Partial<UnitState> | undefined
  readonly served?: (atMs: number) => boolean
  readonly proof?: Partial<Proof>
}

async function verify({ unit = () => ({}), served = () => true, proof = {} }: Course) {
  let nowMs = 0
  let looks = 0
  const node = newNode()
  const host: Host = {
    ...node.host,
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      sleep: async ms => void (nowMs += ms),
    },
    services: {
      ...node.host.services,
      show: async () => {
        const change = unit(nowMs)
        return change === undefined ? undefined : { ...base, ...change }
      },
    },
  }
  const verdict = await verifyService(host, {
    unit: UNIT,
    lookServed: async () => {
      looks += 1
      return served(nowMs) ? undefined : WRONG
    },
    policy: { stableForMs: 5_000, deadlineMs: 60_000 },
    isQuiet: false,
    staleInvocation: undefined,
    ...proof,
  })
  return { verdict, nowMs, looks, code: codeOf(verdict) }
}

function codeOf(verdict: Verdict): string {
  return verdict.kind === 'proven' ? 'proven' : verdict.reason.code
}

await t.test('up, served and stable for the whole required time', async t => {
  const { code, nowMs, looks } = await verify({})

  t.equal(code, 'proven')
  t.ok(nowMs >= 5_000 && nowMs < 6_000, `${nowMs} ms`)
  t.ok(looks > 20, 'it was looked at all the time, with new connections')
})

await t.test('without an activation one good look is enough', async t => {
  const { code, nowMs, looks } = await verify({ proof: { isQuiet: true } })

  t.strictSame([code, nowMs, looks], ['proven', 0, 1])
})

await t.test('a product that takes its time before it listens is waited for', async t => {
  const { code, nowMs } = await verify({ served: atMs => atMs >= 40_000 })

  t.equal(code, 'proven')
  t.ok(nowMs >= 45_000)
})

await t.test(
  'what is not served as wanted by the deadline is disproven, with the last reason',
  async t => {
    const { verdict, nowMs, code } = await verify({ served: () => false })

    t.equal(code, 'served-stale')
    t.ok(nowMs >= 60_000 && nowMs < 61_000)
    t.match(verdict, { kind: 'disproven', reason: { message: /60 s after/ } })
  },
)

await t.test('every interruption starts the required time anew', async t => {
  const flapping = await verify({ served: atMs => atMs % 4_000 < 3_000 })
  const once = await verify({ served: atMs => atMs < 3_000 || atMs > 4_000 })
  const restarted = await verify({
    unit: atMs => (atMs < 4_000 ? {} : { restarts: 8, invocationId: 'newer' }),
  })

  t.equal(flapping.code, 'served-stale')
  t.equal(once.code, 'proven')
  t.ok(once.nowMs >= 9_000)
  t.equal(restarted.code, 'proven', 'one restart by the manager is tolerated')
  t.ok(restarted.nowMs >= 9_000)
})

await t.test('a crash loop is seen although each start looks good', async t => {
  // Up for 300 ms, then 100 ms until the manager has started it again.
  const { code, nowMs } = await verify({
    unit: atMs => ({
      restarts: 7 + Math.floor(atMs / 400),
      invocationId: `start ${Math.floor(atMs / 400)}`,
      ...(atMs % 400 < 300 ? {} : CRASHED),
    }),
  })

  t.equal(code, 'unit-crash-loop')
  t.ok(nowMs < 5_000, `after ${nowMs} ms`)
})

await t.test(
  'a unit that failed, died or is gone is given up soon, not at the deadline',
  async t => {
    for (const [expected, change] of [
      ['unit-failed', FAILED],
      ['unit-died', { activeState: 'inactive', result: 'success' }],
    ] as const) {
      const { code, nowMs } = await verify({ unit: () => change })
      t.equal(code, expected)
      t.ok(nowMs <= 2_000, `${nowMs} ms`)
    }
    t.equal((await verify({ unit: () => undefined })).code, 'not-installed')
    const late = await verify({ unit: atMs => (atMs < 3_000 ? {} : FAILED) })
    t.equal(late.code, 'unit-failed', 'also after good looks')
  },
)

await t.test('a unit between two states is no failure', async t => {
  const { code } = await verify({
    unit: atMs => {
      if (atMs < 200) return { activeState: 'inactive' }
      return atMs < 20_000 ? { activeState: 'activating', busy: true } : {}
    },
  })
  const queued = await verify({ unit: () => ({ activeState: 'inactive', busy: true }) })

  t.equal(code, 'proven')
  t.equal(queued.code, 'unit-not-active')
  t.ok(queued.nowMs >= 60_000, 'a job that is queued may still start it')
})

await t.test('proof counts for the new process only', async t => {
  const never = await verify({ proof: { staleInvocation: 'new' } })
  const soon = await verify({
    unit: atMs => ({ invocationId: atMs < 10_000 ? 'old' : 'new' }),
    proof: { staleInvocation: 'old' },
  })

  t.equal(never.code, 'unit-not-restarted')
  t.equal(soon.code, 'proven')
  t.ok(soon.nowMs >= 15_000)
})
