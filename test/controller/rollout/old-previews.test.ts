// What nodes said is kept as long as somebody may want to look at it, and then forgotten.

import t from 'tap'
import { sha256 } from '../../../shared/digest.ts'
import type { NodePreview } from '../../../shared/contract/rollout-plan.ts'
import { forgetOldPreviews, PREVIEWS_KEPT_MS } from '../../../controller/rollout/old-previews.ts'
import type { RolloutEvent } from '../../../controller/rollout/rollout.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { nowAt, planOf, sampleNode, samplePlan, T0 } from '../../contract/samples.ts'

const PREVIEW: NodePreview = {
  result: 'none',
  reason: { code: 'in-sync', message: 'the node is as the spec wants it' },
  services: [],
}
const DAY_MS = 86_400_000

async function openScene() {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  /** Each node says what its name is mapped to. Without an end it goes on. */
  const rollout = (id: string, said: Readonly<Record<string, string>>, endedAtMs?: number) =>
    store.transaction(async tx => {
      for (const node of Object.keys(said))
        if ((await tx.nodes.get(node)) === undefined) await tx.nodes.insert(sampleNode(node))
      for (const word of Object.values(said)) await tx.previews.put(sha256(word), PREVIEW)
      const { nodes, ...rest } = samplePlan(Object.keys(said))
      const held = nodes.map(one => ({ ...one, preview: sha256(said[one.node] ?? '') }))
      const reason = { code: 'enough', message: 'enough' }
      const end = { ...nowAt(), atMs: endedAtMs ?? 0 }
      const ending: readonly RolloutEvent[] = [
        { kind: 'draining', toward: 'aborted', reason, ...end },
        { kind: 'ended', status: 'aborted', ...end },
      ]
      const events: readonly RolloutEvent[] = [
        { kind: 'planned', ...nowAt() },
        ...(endedAtMs === undefined ? [] : ending),
      ]
      await tx.rollouts.insert({ id, plan: planOf({ nodes: held, ...rest }), events, atMs: T0 })
    })
  const kept = (...words: readonly string[]) =>
    store.transaction(async tx => {
      const found: string[] = []
      for (const word of words)
        if ((await tx.previews.get(sha256(word))) !== undefined) found.push(word)
      return found
    })
  return { store, rollout, kept }
}

await t.test('what only old rollouts name is forgotten, the rest stays', async t => {
  const { store, rollout, kept } = await openScene()
  t.teardown(() => store.close())
  await rollout('r1', { a: 'old', b: 'still said' }, T0)
  await rollout('r2', { c: 'long under way', a: 'yesterday' })
  await rollout('r3', { b: 'still said', d: 'new' }, T0 + 50 * DAY_MS)
  const all = ['old', 'still said', 'long under way', 'yesterday', 'new']

  t.equal(await forgetOldPreviews(store, T0 + PREVIEWS_KEPT_MS - 1), 0)
  t.strictSame(await kept(...all), all)
  t.equal(await forgetOldPreviews(store, T0 + PREVIEWS_KEPT_MS), 1)
  t.strictSame(await kept(...all), all.slice(1))
  t.equal(await forgetOldPreviews(store, T0 + PREVIEWS_KEPT_MS + 50 * DAY_MS), 2)

  t.strictSame(await kept(...all), ['long under way', 'yesterday'], 'of what has not ended')
  const plan = (await store.transaction(tx => tx.rollouts.get('r1')))?.plan
  const nodes = plan?.phases[0]?.batches[0]?.nodes.map(({ preview }) => preview)
  t.strictSame(nodes, [sha256('old'), sha256('still said')], 'the plan says what it was')
})

await t.test('what a rollout begins to name meanwhile stays', async t => {
  const { store, rollout, kept } = await openScene()
  t.teardown(() => store.close())
  await rollout('r1', { a: 'again' }, T0)
  let transactions = 0
  const slow: Pick<typeof store, 'transaction'> = {
    async transaction(work) {
      // Plans have been read, and nothing is removed yet.
      if (++transactions === 2) await rollout('r2', { b: 'again' })
      return store.transaction(work)
    },
  }

  t.equal(await forgetOldPreviews(slow, T0 + PREVIEWS_KEPT_MS), 0)
  t.strictSame(await kept('again'), ['again'])
})

await t.test('each rollout is looked at once', async t => {
  const { store, rollout } = await openScene()
  t.teardown(() => store.close())
  for (const index of [1, 2, 3]) await rollout(`r${index}`, { [`n${index}`]: `${index}` }, T0)
  let transactions = 0
  const counted: Pick<typeof store, 'transaction'> = {
    transaction(work) {
      transactions++
      return store.transaction(work)
    },
  }

  t.equal(await forgetOldPreviews(counted, T0 + PREVIEWS_KEPT_MS), 3)
  transactions = 0
  t.equal(await forgetOldPreviews(counted, T0 + PREVIEWS_KEPT_MS + DAY_MS), 0)
  t.equal(transactions, 1)
})
