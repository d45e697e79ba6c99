// Leases of renewals and corrections: who gets one, when it ends, who is woken.

import t, { type Test } from 'tap'
import { createRunner, type Runner } from '../../../controller/rollout/runner.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { Store } from '../../../controller/store/store.ts'
import { sealDesiredState } from '../../../shared/contract/desired-state.ts'
import type { Report } from '../../../shared/contract/report.ts'
import {
  sampleContent,
  sampleNode,
  sampleReport,
  type SampleReport,
  T0,
} from '../../contract/samples.ts'

const NAMES = ['a', 'b', 'c', 'lone'] as const
const HOUR_MS = 3_600_000
const SPEC = `version: 1
fleet: demo
services: []
groups:
  - { name: meta, kind: raft, nodes: { names: [a, b, c] } }
`

interface Fixture {
  readonly store: Store
  readonly runner: Runner
  readonly woken: string[][]
  readonly offline: Set<string>
  readonly pass: (ms: number) => void
  readonly claim: (
    node: string,
    purpose: 'renewal' | 'correction',
    sequence?: number,
  ) => Promise<string>
  readonly tell: (node: string, report: SampleReport, endsInMs?: number) => Promise<void>
  readonly holders: () => Promise<readonly string[]>
}

async function setUp(t: Test): Promise<Fixture> {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  t.teardown(() => store.close())
  const digests = new Map<string, string>()
  await store.transaction(async tx => {
    await tx.revisions.insert({
      digest: 'f'.repeat(64),
      text: SPEC,
      author: 'ada',
      createdAtMs: T0,
    })
    for (const node of NAMES) {
      await tx.nodes.insert({ ...sampleNode(node), enrolledAtMs: T0 })
      const state = sealDesiredState({
        node,
        generation: 1,
        mode: 'enforce',
        permit: false,
        content: sampleContent(node),
      })
      await tx.desired.put({ state, revision: 1 })
      digests.set(node, state.digest)
    }
  })
  const woken: string[][] = []
  const offline = new Set<string>()
  let nowMs = 0
  const runner = createRunner({
    store,
    clock: { now: () => T0 + nowMs, monotonic: () => nowMs, sleep: async () => {} },
    onPublished: () => undefined,
    onFree: nodes => woken.push([...nodes]),
    isOnline: ({ node }) => !offline.has(node),
    log: { info: () => {}, warn: () => {}, error: () => {} },
  })
  const tell: Fixture['tell'] = (node, given, endsInMs) =>
    store.transaction(async tx => {
      const report = ending(sampleReport({ generation: 1, ...given }), endsInMs)
      await tx.reports.put({ node, report, receivedAtMs: T0 })
    })
  for (const node of NAMES) await tell(node, { sequence: 1 })
  return {
    store,
    runner,
    woken,
    offline,
    tell,
    pass: ms => void (nowMs += ms),
    async claim(node, purpose, sequence = 1) {
      const digest = digests.get(node) ?? ''
      return (await runner.claim(node, 1, digest, { purpose, sequence })).reason.code
    },
    holders: async () => (await store.transaction(tx => tx.leases.all())).map(({ node }) => node),
  }
}

/** It serves a certificate that ends so long after the beginning. */
function ending(report: Report, endsInMs: number | undefined): Report {
  if (endsInMs === undefined) return report
  const reason = { code: 'served-as-wanted', message: 'so it is' }
  const served = [{ listener: 'l', ok: true, reason, notAfterMs: T0 + endsInMs }]
  // What is prepared to follow it lives much longer.
  const notAfterMs = T0 + endsInMs + 999 * HOUR_MS
  return { ...report, services: report.services.map(one => ({ ...one, served, notAfterMs })) }
}

await t.test('a lease is held by one member, and asked for again at will', async t => {
  const { claim, holders } = await setUp(t)

  t.equal(await claim('a', 'renewal'), 'lease-granted')
  t.equal(await claim('a', 'renewal'), 'lease-granted', 'the answer was lost')
  t.equal(await claim('b', 'renewal'), 'budget-leased')
  t.equal(await claim('lone', 'correction'), 'no-rollout')
  t.strictSame(await holders(), ['a'])
})

await t.test('it ends with a later report that says how it went', async t => {
  const { claim, holders, runner, tell } = await setUp(t)
  await claim('a', 'correction', 5)

  for (const [what, report, isHeld] of [
    ['was on its way', { sequence: 5, outcome: 'in-sync' }, true],
    ['of another document', { sequence: 6, generation: 9 }, true],
    ['broke', { sequence: 7, outcome: 'failed', activations: 2 }, true],
    ['mended', { sequence: 8, outcome: 'in-sync' }, false],
  ] as const) {
    await tell('a', report)
    await runner.tick()
    t.equal((await holders()).length === 1, isHeld, what)
  }
})

await t.test('a node that is broken keeps it, however often it says so', async t => {
  const { claim, holders, runner, store } = await setUp(t)
  await claim('a', 'correction')
  const held = sampleReport({ sequence: 3, generation: 1, outcome: 'failed', activations: 0 })
  const services = held.services.map(one => ({ ...one, broken: true }))
  await store.transaction(tx =>
    tx.reports.put({ node: 'a', report: { ...held, services }, receivedAtMs: T0 }),
  )

  await runner.tick()

  t.strictSame(await holders(), ['a'])
})

await t.test('who was refused is woken when it would be granted, one for each lease', async t => {
  const { claim, runner, tell, woken, pass } = await setUp(t)
  await claim('a', 'renewal')
  await claim('b', 'renewal')
  await claim('c', 'correction')
  await runner.tick()
  t.strictSame(woken, [])

  await tell('a', { sequence: 2 })
  await runner.tick()
  await runner.tick()
  t.strictSame(woken, [['b']], 'in the order in which they asked, and once')
  t.equal(await claim('c', 'correction'), 'budget-leased', 'it is as good as taken')

  pass(20_000)
  await runner.tick()
  t.strictSame(woken, [['b'], ['c']], 'who needed it no more does not keep it from others')
  t.equal(await claim('c', 'correction'), 'lease-granted')
})

await t.test(
  'a freeze holds back corrections of all nodes, and renewals until a floor',
  async t => {
    const { claim, store, runner, tell, woken } = await setUp(t)
    await store.transaction(tx =>
      tx.freezes.put({ name: 'quiet', scope: {}, reason: 'holidays', actor: 'ada', atMs: T0 }),
    )
    // A renewal is due eight hours before the end.
    await tell('a', { sequence: 2 }, 5 * HOUR_MS)
    await tell('b', { sequence: 2 }, 3 * HOUR_MS)

    t.equal(await claim('lone', 'correction'), 'frozen')
    t.equal(await claim('a', 'correction'), 'frozen')
    t.equal(await claim('a', 'renewal'), 'frozen')
    t.equal(await claim('b', 'renewal'), 'lease-granted')
    await tell('b', { sequence: 3 })
    await runner.tick()
    t.strictSame(woken, [])
    await store.transaction(tx => tx.freezes.remove('quiet'))
    await runner.tick()
    t.strictSame(woken, [['lone', 'a']])
  },
)

await t.test('no budget keeps an ended certificate in use', async t => {
  const { claim, offline, tell, pass } = await setUp(t)
  await tell('a', { sequence: 2 }, HOUR_MS)
  offline.add('c')

  t.equal(await claim('a', 'renewal'), 'budget-out')
  pass(HOUR_MS)
  t.equal(await claim('a', 'correction'), 'budget-out')
  t.equal(await claim('a', 'renewal'), 'lease-granted')
  t.equal(await claim('b', 'renewal'), 'budget-leased', 'still one at a time')
})

await t.test('every answer says whether the node is in a group', async t => {
  const { runner, store } = await setUp(t)
  const isGrouped = (node: string) => store.transaction(tx => runner.isGrouped(tx, node))

  t.strictSame(await Promise.all(NAMES.map(isGrouped)), [true, true, true, false])
  t.match(await runner.claim('a', 9, '', { purpose: 'renewal' }), { grouped: true })
  t.match(await runner.claim('lone', 9, '', { purpose: 'renewal' }), { grouped: false })
})
