// The small in-memory parts of the API, with a clock that only moves when told to.

import fc from 'fast-check'
import t from 'tap'
import type { Clock } from '../../../shared/clock.ts'
import { createPresence } from '../../../controller/api/presence.ts'
import { createPreviewBoard } from '../../../controller/api/preview-board.ts'
import { createReportWriter } from '../../../controller/api/report-writer.ts'
import { createTokenBuckets } from '../../../controller/api/token-bucket.ts'
import { createWakeBoard, longPoll } from '../../../controller/api/wake-board.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { report } from './fake-agent.ts'

interface ManualClock extends Clock {
  /** Moves time and ends the sleeps that are over. */
  advance(ms: number): void
}

function manualClock(): ManualClock {
  let nowMs = 1_000_000
  const sleeping = new Set<{ readonly atMs: number; readonly wake: () => void }>()
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep(delayMs, signal) {
      return new Promise(resolve => {
        const one = { atMs: nowMs + delayMs, wake: resolve }
        if (signal?.aborted === true) return resolve()
        sleeping.add(one)
        signal?.addEventListener('abort', () => resolve())
      })
    },
    advance(ms) {
      nowMs += ms
      for (const { atMs, wake } of sleeping) if (atMs <= nowMs) wake()
    },
  }
}

await t.test('a long poll looks again when it is woken, and ends in time', async t => {
  const clock = manualClock()
  const board = createWakeBoard()
  const { signal } = new AbortController()
  let news: string | undefined
  let looks = 0
  const poll = () =>
    longPoll({ board, key: 'n1', waitMs: 1_000, clock, signal, look: async () => (looks++, news) })

  const woken = poll()
  await settle()
  board.wake(['n2'])
  await settle()
  t.equal(looks, 1, 'what concerns others does not wake it')
  board.wake(['n1'])
  await settle()
  t.equal(looks, 2)
  news = 'news'
  board.wake(['n1'])
  t.equal(await woken, 'news')

  news = undefined
  const waited = poll()
  await settle()
  clock.advance(1_000)
  t.equal(await waited, undefined)

  const closed = poll()
  await settle()
  board.close()
  const late = poll()
  clock.advance(1_000)
  t.strictSame([await closed, await late], [undefined, undefined])
})

await t.test('news between looking and waiting is not missed', async t => {
  const clock = manualClock()
  const board = createWakeBoard()
  const { signal } = new AbortController()
  let news: string | undefined
  const answer = await longPoll({
    board,
    key: 'n1',
    waitMs: 1_000,
    clock,
    signal,
    async look() {
      const seen = news
      // Published while this look is under way, after it has read.
      news ??= 'news'
      board.wake(['n1'])
      return seen
    },
  })
  t.equal(answer, 'news')
})

await t.test('a preview goes to its node once, and only its node answers it', async t => {
  const clock = manualClock()
  const woken: string[] = []
  let ids = 0
  const board = createPreviewBoard({
    clock,
    newId: () => `p${++ids}`,
    wake: nodes => woken.push(...nodes),
  })
  const { signal } = new AbortController()
  const content = { services: [] }

  const asked = board.ask({ node: 'n1', content, waitMs: 1_000, signal })
  t.strictSame(woken, ['n1'])
  t.equal(board.take('n2'), undefined)
  t.match(board.take('n1'), { previewId: 'p1', content })
  t.equal(board.take('n1'), undefined)
  t.equal(board.answer('n2', { previewId: 'p1', services: [] }), false)
  t.equal(board.answer('n1', { previewId: 'p1', services: [] }), true)
  t.match(await asked, { previewId: 'p1' })

  const silent = board.ask({ node: 'n1', content, waitMs: 1_000, signal })
  clock.advance(1_000)
  t.equal(await silent, undefined)
  t.equal(board.answer('n1', { previewId: 'p2', services: [] }), false, 'too late')
  t.equal(board.take('n1'), undefined, 'nobody waits for it any more')
})

await t.test('an agent is there while it waits at us and for a while after', async t => {
  const clock = manualClock()
  const presence = createPresence({ clock })
  const n1 = { node: 'n1', seenAtMs: undefined }
  t.equal(presence.isOnline(n1), false, 'never heard of')
  t.equal(presence.isOnline({ node: 'old', seenAtMs: 5 }), true, 'may be on its way back to us')

  const leave = presence.attend('n1')
  clock.advance(10 * 60_000)
  t.equal(presence.isOnline(n1), true)
  t.equal(presence.isOnline({ node: 'old', seenAtMs: 5 }), false)
  t.strictSame(presence.takeHeard(), ['n1'])
  leave()
  t.equal(presence.isOnline(n1), true)
  t.equal(presence.seenAtMs(n1), clock.now())
  clock.advance(2 * 60_000)
  t.equal(presence.isOnline(n1), false)
  t.strictSame([presence.takeHeard(), presence.takeHeard()], [['n1'], []])
  presence.forget('n1')
  t.equal(presence.seenAtMs(n1), undefined)

  const [first, second] = [presence.attend('n1'), presence.attend('n1')]
  presence.forget('n1')
  first()
  t.equal(presence.isOnline(n1), false, 'the end of a wait that was cut is no sign of life')
  const third = presence.attend('n1')
  second()
  t.equal(presence.isOnline(n1), true)
  third()
})

await t.test('how long an agent may be silent can be set', async t => {
  const clock = manualClock()
  const presence = createPresence({ clock, offlineAfterMs: 20_000 })
  presence.heard('n1')
  clock.advance(19_999)
  t.equal(presence.isOnline({ node: 'n1', seenAtMs: undefined }), true)
  t.equal(presence.isOnline({ node: 'old', seenAtMs: 5 }), true)
  clock.advance(1)
  t.equal(presence.isOnline({ node: 'n1', seenAtMs: undefined }), false)
  t.equal(presence.isOnline({ node: 'old', seenAtMs: 5 }), false)
})

await t.test('who came and went is told without asking for everybody', async t => {
  const clock = manualClock()
  const presence = createPresence({ clock })
  const first = presence.changedSince(undefined)
  t.equal(first.nodes, undefined, 'who has not looked yet looks at all')

  presence.heard('n1')
  const leave = presence.attend('n2')
  const came = presence.changedSince(first.cursor)
  t.strictSame(came.nodes, ['n1', 'n2'])
  presence.heard('n1')
  t.strictSame(presence.changedSince(came.cursor).nodes, [], 'it was there before')

  clock.advance(90_000)
  const old = presence.changedSince(came.cursor)
  t.equal(old.nodes, undefined, 'all who were there before this process have had their time')
  leave()
  clock.advance(90_000)
  const gone = presence.changedSince(old.cursor)
  t.strictSame(gone.nodes, ['n2'])
  t.equal(presence.isOnline({ node: 'n2', seenAtMs: undefined }), false)

  presence.heard('n1')
  presence.forget('n1')
  presence.note('n3')
  t.strictSame(presence.changedSince(gone.cursor).nodes, ['n1', 'n3'])
})

await t.test('a bucket never gives more than its burst and its rate', async t => {
  fc.assert(
    fc.property(fc.array(fc.nat(3_000), { maxLength: 200 }), waits => {
      const buckets = createTokenBuckets({ burst: 5, perSecond: 2 })
      let nowMs = 0
      let taken = 0
      for (const waitMs of waits) {
        nowMs += waitMs
        if (buckets.take('n1', nowMs)) taken++
      }
      return taken <= 5 + (nowMs / 1000) * 2 && taken >= Math.min(waits.length, 5)
    }),
  )
  const small = createTokenBuckets({ burst: 1, perSecond: 0, keysMax: 2 })
  t.strictSame(
    ['a', 'b', 'a', 'c', 'b'].map(key => small.take(key, 0)),
    [true, true, false, true, true],
  )
})

await t.test('reports are committed in groups, each answered after its commit', async t => {
  const clock = manualClock()
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0 })
  t.teardown(() => store.close())
  await store.transaction(async tx => {
    for (const name of ['n1', 'n2'])
      await tx.nodes.insert({
        name,
        labels: {},
        names: { dns: [name], ip: [] },
        createdAtMs: 0,
        enrolledAtMs: undefined,
        seenAtMs: undefined,
      })
  })
  let commits = 0
  const counted: typeof store = {
    close: () => store.close(),
    transaction: work => (commits++, store.transaction(work)),
  }
  const writer = createReportWriter({ store: counted, clock })
  const put = (node: string, sequence: number) =>
    writer.put({ node, report: report({ sequence, services: [] }), receivedAtMs: 0 })

  const answers = Promise.all([put('n1', 1), put('n2', 1), put('n1', 1), put('gone', 1)])
  await settle()
  t.equal(commits, 0)
  clock.advance(20)
  t.strictSame(await answers, [true, true, false, false])
  t.equal(commits, 1)
  const next = put('n1', 2)
  await settle()
  clock.advance(20)
  t.equal(await next, true, 'the next group is not forgotten')

  const broken = createReportWriter({
    clock,
    store: { close: async () => {}, transaction: () => Promise.reject(new Error('disk full')) },
  })
  const refused = broken.put({
    node: 'n1',
    report: report({ sequence: 3, services: [] }),
    receivedAtMs: 0,
  })
  await settle()
  clock.advance(20)
  await t.rejects(refused, { message: 'disk full' })
})

/** Lets everything that can go on go on. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
