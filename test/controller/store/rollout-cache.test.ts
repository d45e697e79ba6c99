// Folds are kept between transactions: what was taken back, or written by somebody else, must not be
// among what is kept. And what a store tells of changes of members.

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import t from 'tap'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { RolloutEvent } from '../../../controller/rollout/rollout.ts'
import { memberChangesContract, nodeChangesContract } from '../../contract/member-changes.ts'
import { sectionSample } from '../../contract/sections.ts'
import { nowAt, planOf, sampleNode, samplePlan, T0 } from '../../contract/samples.ts'

const open = (path: string) => openSqliteStore({ path, busyTimeoutMs: 0, nowMs: T0 })
const started: RolloutEvent = { kind: 'started', ...nowAt() }

async function withRollout(path: string) {
  const store = await open(path)
  await store.transaction(async tx => {
    await tx.nodes.insert(sampleNode('a'))
    const plan = planOf(samplePlan(['a']))
    const events: readonly RolloutEvent[] = [{ kind: 'planned', ...nowAt() }]
    await tx.rollouts.insert({ id: 'r', plan, events, atMs: T0 })
  })
  return store
}

await t.test('which members have changed', t => memberChangesContract(t, () => open(':memory:')))
await t.test('which nodes have changed', t => nodeChangesContract(t, () => open(':memory:')))

await t.test(
  'a rollout that has not moved is the same object, and one that has is not',
  async t => {
    const store = await withRollout(':memory:')
    t.teardown(() => store.close())
    const get = () => store.transaction(tx => tx.rollouts.get('r'))
    const [first] = await store.transaction(tx => tx.rollouts.active())
    t.equal(await get(), first)

    const after = await store.transaction(tx => tx.rollouts.append('r', 1, [started], T0))

    t.equal(after.status, 'staging')
    t.equal(await get(), after)
  },
)

await t.test('what a transaction wrote that came to nothing is forgotten', async t => {
  const store = await withRollout(':memory:')
  t.teardown(() => store.close())
  const failed = store.transaction(async tx => {
    await tx.rollouts.append('r', 1, [started], T0)
    t.equal((await tx.rollouts.get('r'))?.status, 'staging', 'within it')
    throw new Error('it comes to nothing')
  })
  await t.rejects(failed)

  t.match(await store.transaction(tx => tx.rollouts.get('r')), { status: 'planned', version: 1 })
  const aborted: RolloutEvent = {
    kind: 'draining',
    toward: 'aborted',
    reason: { code: 'operator', message: 'because' },
    ...nowAt(),
  }
  await store.transaction(tx => tx.rollouts.append('r', 1, [aborted], T0))
  t.match(await store.transaction(tx => tx.rollouts.get('r')), { status: 'draining', version: 2 })
})

await t.test('what another connection has written is read anew', async t => {
  const path = join(t.testdir(), 'store.db')
  const store = await withRollout(path)
  t.teardown(() => store.close())
  const first = await store.transaction(async tx => {
    await tx.rollouts.get('r')
    return tx.rollouts.changedSince(undefined)
  })

  const other = new DatabaseSync(path)
  other.exec(`update rollouts set status = 'staging' where id = 'r'`)
  other.close()

  t.equal((await store.transaction(tx => tx.rollouts.get('r')))?.status, 'staging')
  const { nodes } = await store.transaction(tx => tx.rollouts.changedSince(first.cursor))
  t.equal(nodes, undefined, 'any member may be another one')
})

await t.test('a rollout that was written and one that was read are the same', async t => {
  const path = join(t.testdir(), 'store.db')
  const store = await withRollout(path)
  await store.transaction(tx => tx.rollouts.append('r', 1, [started], T0))
  const kept = await store.transaction(tx => tx.rollouts.get('r'))
  await store.close()

  const again = await open(path)
  t.teardown(() => again.close())
  t.same(await again.transaction(tx => tx.rollouts.get('r')), kept)
})

await t.test('the next controller reads what the one before has kept', async t => {
  const path = join(t.testdir(), 'store.db')
  const { plan, planned, events, expected } = sectionSample()
  const first = await open(path)
  await first.transaction(async tx => {
    for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
    await tx.rollouts.insert({ id: 'r1', plan, events: [planned], atMs: T0 })
    await tx.rollouts.append('r1', 1, events, T0)
  })
  await first.close()

  const next = await open(path)
  t.teardown(() => next.close())

  t.strictSame(await next.transaction(tx => tx.rollouts.get('r1')), expected)
})
