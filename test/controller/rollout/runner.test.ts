// Rollouts on a real store: what nodes are told and when, who may go on, and that it all comes to rest.

import t from 'tap'
import type { RolloutPlan } from '../../../controller/rollout/rollout.ts'
import { verifyAudit } from '../../../controller/store/audit-chain.ts'
import type { Store } from '../../../controller/store/store.ts'
import {
  contentDigestOf,
  isIntact,
  sealDesiredState,
} from '../../../shared/contract/desired-state.ts'
import {
  sampleContent,
  sampleNode,
  samplePlan,
  samplePlannedNode,
  T0,
} from '../../contract/samples.ts'
import { pass } from './fake-fleet.ts'
import { NAMES, read, setUp, settle, statesOf } from './runner-scene.ts'
import { brief, WHY } from './states.ts'

const desiredOf = (store: Store, node: string) =>
  store.transaction(async tx => await tx.desired.get(node))

await t.test('a rollout stages everywhere, then moves the nodes one by one', async t => {
  const fixture = await setUp(t)
  const { store, runner, published } = fixture

  const created = await runner.create(samplePlan(['a', 'b', 'c']), 'ada')
  t.equal(created.status, 'staging')
  t.same(published, [['a', 'b', 'c']])
  t.match((await desiredOf(store, 'a'))?.state, { generation: 1, mode: 'stage', permit: false })
  await settle(fixture)

  const rollout = await read(store, 'r1')
  t.equal(rollout?.status, 'succeeded')
  t.equal(statesOf(rollout), 'done done done')
  t.same(published.slice(1), [['a'], ['b'], ['c']])
  const desired = await desiredOf(store, 'b')
  t.match(desired, { state: { generation: 2, mode: 'enforce', permit: true }, revision: 1 })
  t.ok(desired !== undefined && isIntact(desired.state))
  const audit = await store.transaction(tx => tx.audit.list({ after: 0, limit: 99 }))
  t.same(verifyAudit(audit), { kind: 'intact' })
  t.match(audit[0], { actor: 'ada', action: 'rollout-create', subject: 'r1' })
  t.match(
    audit.find(entry => entry.action === 'rollout-permit-claimed'),
    { actor: 'a', subject: 'r1/a' },
  )
})

await t.test('the first failure stops it: the others keep or get back what they had', async t => {
  const fixture = await setUp(t)
  const { store, runner, behaviours } = fixture
  await runner.create(samplePlan(['a', 'b', 'c'], 1), 'ada')
  await settle(fixture)
  const from = contentDigestOf(sampleContent('b', 1))
  behaviours['b'] = 'restoring'

  const nodes = NAMES.map(node =>
    samplePlannedNode(node, 2, contentDigestOf(sampleContent(node, 1))),
  )
  await runner.create({ revision: 2, author: 'ada', nodes }, 'ada')
  await settle(fixture)

  const rollout = await read(store, 'r2')
  t.equal(rollout?.status, 'failed')
  t.equal(statesOf(rollout), 'done reverted staged')
  t.match(rollout?.reason, { code: 'node-reverted', message: 'b: the service is restored' })
  t.match(await desiredOf(store, 'a'), { state: { mode: 'enforce', permit: true }, revision: 2 })
  for (const node of ['b', 'c']) {
    const desired = await desiredOf(store, node)
    t.match(desired, { state: { mode: 'enforce', permit: false }, revision: 1 }, node)
    t.ok(desired !== undefined && isIntact(desired.state))
  }
  t.equal((await desiredOf(store, 'b'))?.state.contentDigest, from)
})

await t.test(
  'nodes that are asleep or stopped are deferred, refusing ones stop it in staging',
  async t => {
    const fixture = await setUp(t)
    const { store, runner, behaviours } = fixture
    behaviours['a'] = 'asleep'
    behaviours['b'] = 'stopped'
    await runner.create(samplePlan(['a', 'b', 'c']), 'ada')
    await settle(fixture)
    t.equal((await read(store, 'r1'))?.status, 'partial')
    t.equal(statesOf(await read(store, 'r1')), 'deferred deferred done')
    t.equal(await desiredOf(store, 'a'), undefined)
    t.match((await desiredOf(store, 'b'))?.state, { mode: 'enforce', content: { services: [] } })

    behaviours['a'] = 'refusing'
    await runner.create(samplePlan(['a']), 'ada')
    await settle(fixture)
    t.equal((await read(store, 'r2'))?.status, 'failed')
  },
)

await t.test(
  'an abort is audited, withdraws the permit, and ends when nothing is in motion',
  async t => {
    const fixture = await setUp(t)
    const { store, runner, behaviours } = fixture
    await runner.create(samplePlan(['a', 'b']), 'ada')
    for (const node of ['a', 'b']) await pass(store, runner, node, 'good')
    await runner.tick()
    const permitted = (await desiredOf(store, 'a'))?.state
    t.match(permitted, { mode: 'enforce', permit: true, generation: 2 })

    const aborted = await runner.abort('r1', 'bob', WHY)

    t.match(aborted, { status: 'aborted', reason: WHY })
    const late = await runner.claim('a', 2, permitted?.digest ?? '')
    t.match(late, { granted: false, reason: { code: 'permit-stale' } })
    await settle(fixture)
    t.equal((await desiredOf(store, 'a'))?.state.generation, 4, 'withdrawn as 3, given back as 4')
    const audit = await store.transaction(tx => tx.audit.list({ after: 0, limit: 99 }))
    t.match(
      audit.find(entry => entry.action === 'rollout-abort'),
      { actor: 'bob', reason: WHY },
    )
    await t.rejects(runner.abort('none', 'bob', WHY), { code: 'not-found' })

    behaviours['c'] = 'refusing'
    await runner.create(samplePlan(['c']), 'ada')
    await settle(fixture)
    t.match(await runner.abort('r2', 'bob', WHY), {
      kind: 'refused',
      reason: { code: 'illegal-transition' },
    })
  },
)

await t.test('a claim is for the current document only, and is granted again', async t => {
  const { store, runner } = await setUp(t)
  await runner.create(samplePlan(['a', 'b']), 'ada')
  const staged = (await desiredOf(store, 'b'))?.state
  for (const node of ['a', 'b']) await pass(store, runner, node, 'good')
  await runner.tick()
  const { generation = 0, digest = '' } = (await desiredOf(store, 'a'))?.state ?? {}

  const refused = [
    [await runner.claim('a', generation, staged?.digest ?? ''), 'permit-stale'],
    [await runner.claim('a', generation - 1, digest), 'permit-stale'],
    [await runner.claim('b', 1, staged?.digest ?? ''), 'not-permitted'],
    [await runner.claim('c', 1, digest), 'permit-stale'],
    [await runner.claim('nobody', 1, digest), 'permit-stale'],
  ] as const
  for (const [answer, code] of refused) t.match(answer, { granted: false, reason: { code } })

  const granted = await Promise.all([1, 2, 3].map(() => runner.claim('a', generation, digest)))
  for (const answer of granted)
    t.match(answer, { granted: true, reason: { code: 'permit-claimed' } })
  const events = await store.transaction(tx => tx.rollouts.events('r1', { after: 0, limit: 99 }))
  const claims = brief(events.map(({ event }) => event)).filter(line =>
    line.startsWith('permit-claimed'),
  )
  t.same(claims, ['permit-claimed a 2'])
})

await t.test(
  'what an earlier rollout has brought needs no permit of the one that is active',
  async t => {
    const fixture = await setUp(t)
    const { store, runner, behaviours } = fixture
    await runner.create(samplePlan(['a']), 'ada')
    await settle(fixture)
    const state = (await desiredOf(store, 'a'))?.state

    const after = await runner.claim('a', state?.generation ?? 0, state?.digest ?? '')
    t.match(after, { granted: true, reason: { code: 'no-rollout' } })

    behaviours['a'] = 'asleep'
    behaviours['b'] = 'asleep'
    const plan: RolloutPlan = {
      revision: 2,
      author: 'ada',
      nodes: [
        samplePlannedNode('a', 2, contentDigestOf(sampleContent('a', 1))),
        samplePlannedNode('c'),
      ],
    }
    await runner.create(plan, 'ada')
    t.equal(statesOf(await read(store, 'r2')), 'deferred assigned')
    const during = await runner.claim('a', state?.generation ?? 0, state?.digest ?? '')
    t.match(during, { granted: true, reason: { code: 'no-rollout' } })
  },
)

await t.test('a plan that others have overtaken is refused', async t => {
  const fixture = await setUp(t)
  const { store, runner } = fixture
  await store.transaction(tx =>
    tx.desired.put({
      state: sealDesiredState({
        node: 'a',
        generation: 3,
        mode: 'enforce',
        permit: false,
        content: sampleContent('a', 9),
      }),
      revision: 9,
    }),
  )
  await t.rejects(runner.create(samplePlan(['a']), 'ada'), { code: 'stale-plan' })
  await t.rejects(runner.create(samplePlan(['nobody']), 'ada'), { code: 'not-found' })
  const forged = { ...samplePlannedNode('b'), content: sampleContent('b', 5) }
  await t.rejects(
    runner.create({ revision: 1, author: 'ada', nodes: [forged] }, 'ada'),
    /another content/,
  )
  await runner.create(samplePlan(['b', 'c']), 'ada')
  await t.rejects(runner.create(samplePlan(['c']), 'ada'), { code: 'overlapping-rollout' })
  const list = await store.transaction(tx => tx.rollouts.list({ limit: 9 }))
  t.equal(list.length, 1)
  const empty = await runner.create({ revision: 1, author: 'ada', nodes: [] }, 'ada')
  t.equal(empty.status, 'succeeded')
})

await t.test(
  'a node that is removed, and one that comes back under its name, do not hold up the rest',
  async t => {
    const fixture = await setUp(t)
    const { store, runner, behaviours, errors } = fixture
    await runner.create(samplePlan(['a', 'b', 'c']), 'ada')
    await store.transaction(async tx => {
      await tx.nodes.remove('b', T0)
      await tx.nodes.remove('c', T0)
      await tx.nodes.insert(sampleNode('c'))
    })
    behaviours['b'] = 'asleep'

    await settle(fixture)

    t.equal(statesOf(await read(store, 'r1')), 'done deferred deferred')
    t.equal((await read(store, 'r1'))?.status, 'partial')
    t.equal(await desiredOf(store, 'c'), undefined)
    t.same(errors, [])
  },
)

await t.test(
  'a node that is removed while it holds a permit is passed over, one that is at work is broken',
  async t => {
    const fixture = await setUp(t)
    const { store, runner, errors, behaviours } = fixture
    const remove = (node: string) => store.transaction(tx => tx.nodes.remove(node, T0))
    await runner.create(samplePlan(NAMES), 'ada')
    for (const node of NAMES) await pass(store, runner, node, 'good')
    await runner.tick()
    await remove('a')
    await runner.tick()
    t.equal(statesOf(await read(store, 'r1')), 'deferred permitted staged')

    const { generation = 0, digest = '' } = (await desiredOf(store, 'b'))?.state ?? {}
    t.match(await runner.claim('b', generation, digest), { granted: true })
    await remove('b')
    behaviours['b'] = 'asleep'
    await settle(fixture)

    t.equal(statesOf(await read(store, 'r1')), 'deferred broken staged')
    t.match((await read(store, 'r1'))?.reason, { code: 'node-broken', message: /removed/ })
    t.same(errors, [])
  },
)

await t.test('a rollout that cannot move does not stop another', async t => {
  let isUp = true
  const fixture = await setUp(t, {
    isOnline: ({ node }) => {
      if (node === 'a' && !isUp) throw new Error('cannot say')
      return true
    },
  })
  const { store, runner, errors } = fixture
  await runner.create(samplePlan(['a']), 'ada')
  isUp = false
  await runner.create(samplePlan(['b']), 'ada')

  await settle(fixture)

  t.equal((await read(store, 'r1'))?.status, 'staging')
  t.equal((await read(store, 'r2'))?.status, 'succeeded')
  t.match(errors[0], { rollout: 'r1', err: { message: 'cannot say' } })
})
