// What every store must do with rollouts: what it keeps of them is what their events say, however it is read.

import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sha256 } from '../../shared/digest.ts'
import { evolveAll, startRollout } from '../../controller/rollout/evolve.ts'
import type { RolloutEvent } from '../../controller/rollout/rollout.ts'
import { countSteps } from '../../controller/rollout/steps.ts'
import type { Store } from '../../controller/store/store.ts'
import {
  sampleContent,
  sampleNode,
  planOf,
  nowAt,
  samplePlan,
  samplePlannedNode,
  sampleReport,
  T0,
} from './samples.ts'
import type { Check } from './store.ts'

const samplePlanOf = (names: readonly string[]) => planOf(samplePlan(names))

export function checkRollouts(check: Check): void {
  const planned: RolloutEvent = { kind: 'planned', ...nowAt() }
  const started: RolloutEvent = { kind: 'started', ...nowAt(1) }
  const assigned = (node: string): RolloutEvent => ({
    kind: 'node-assigned',
    node,
    generation: 1,
    ...nowAt(2),
  })
  const refused: RolloutEvent = {
    kind: 'node-refused',
    node: 'a',
    reason: { code: 'file-missing', message: 'there is no file' },
    ...nowAt(3),
  }
  const addNodes = (store: Store) =>
    store.transaction(async tx => {
      for (const name of ['a', 'b', 'c']) await tx.nodes.insert(sampleNode(name))
    })

  check('a rollout is the fold of its events, whichever way it is read', async (t, store) => {
    await addNodes(store)
    const plan = planOf({
      revision: 3,
      author: 'ada',
      nodes: [samplePlannedNode('b'), samplePlannedNode('a', 2, sha256('old'))],
    })
    const inserted = await store.transaction(tx =>
      tx.rollouts.insert({ id: 'r1', plan, events: [planned, started], atMs: T0 }),
    )
    t.equal(inserted.version, 2)

    const later = [assigned('b'), assigned('a'), refused]
    const appended = await store.transaction(tx => tx.rollouts.append('r1', 2, later, T0 + 9))

    const folded = evolveAll(startRollout('r1', plan, planned), [started, ...later])
    await store.transaction(async tx => {
      t.strictSame(appended, folded)
      t.strictSame(await tx.rollouts.get('r1'), folded)
      t.strictSame(await tx.rollouts.list({ limit: 5 }), [folded])
      const events = await tx.rollouts.events('r1', { after: 1, limit: 2 })
      t.same(events, [
        { version: 2, atMs: T0, event: started },
        { version: 3, atMs: T0 + 9, event: assigned('b') },
      ])
      t.equal(await tx.rollouts.get('none'), undefined)
    })
  })

  check(
    'of two that append to the same version one wins, and the other learns that it may try again',
    async (t, store) => {
      await addNodes(store)
      await store.transaction(tx =>
        tx.rollouts.insert({ id: 'r1', plan: samplePlanOf(['a']), events: [planned], atMs: T0 }),
      )
      const append = () => store.transaction(tx => tx.rollouts.append('r1', 1, [started], T0))

      const results = await Promise.allSettled([append(), append(), append()])

      t.same(
        results.map(result => result.status),
        ['fulfilled', 'rejected', 'rejected'],
      )
      await t.rejects(append(), { code: 'version-conflict', retryable: true })
      const unknown = store.transaction(tx => tx.rollouts.append('none', 0, [started], T0))
      await t.rejects(unknown, { code: 'not-found' })
      const illegal = store.transaction(tx => tx.rollouts.append('r1', 2, [started], T0))
      await t.rejects(illegal, { name: 'IllegalTransition' })
      await store.transaction(async tx => {
        t.equal((await tx.rollouts.get('r1'))?.version, 2)
        t.equal((await tx.rollouts.events('r1', { after: 0, limit: 9 })).length, 2)
      })
    },
  )

  check(
    'a node is in one active rollout at a time; ended ones free their nodes',
    async (t, store) => {
      await addNodes(store)
      const insert = (id: string, names: readonly string[]) =>
        store.transaction(tx =>
          tx.rollouts.insert({ id, plan: samplePlanOf(names), events: [planned], atMs: T0 }),
        )
      await insert('r1', ['a', 'b'])
      await t.rejects(insert('r2', ['c', 'b']), { code: 'overlapping-rollout' })
      await insert('r3', ['c'])
      const reason = { code: 'operator', message: 'not today' }

      await store.transaction(tx =>
        tx.rollouts.append(
          'r1',
          1,
          [
            { kind: 'draining', toward: 'aborted', reason, ...nowAt() },
            { kind: 'ended', status: 'aborted', ...nowAt() },
          ],
          T0,
        ),
      )
      await insert('r4', ['b', 'a'])

      await store.transaction(async tx => {
        const ids = async (list: Promise<readonly { readonly id: string }[]>) =>
          (await list).map(rollout => rollout.id)
        t.same(await ids(tx.rollouts.active()), ['r3', 'r4'])
        t.same(await ids(tx.rollouts.list({ limit: 9 })), ['r4', 'r3', 'r1'])
        t.same(await ids(tx.rollouts.list({ limit: 1 })), ['r4'])
        t.same((await tx.rollouts.get('r1'))?.reason, reason)
      })
    },
  )

  check('summaries say of rollouts what the whole of them says', async (t, store) => {
    await addNodes(store)
    const author = { author: 'ada', revision: 1 }
    const phases = [
      { name: 'first', nodes: ['a', 'b', 'c'].map(name => samplePlannedNode(name)) },
      { name: 'second', nodes: [samplePlannedNode('b', 2, samplePlannedNode('b').to)] },
    ]
    const plans = [
      planOf(samplePlan(['a', 'b'])),
      planOf({ ...author, nodes: [], phases }),
      planOf(samplePlan(['a', 'c'])),
    ]
    const reason = { code: 'operator', message: 'not today' }
    const planned = { kind: 'planned', ...nowAt() } as const
    const started = { kind: 'started', ...nowAt() } as const
    const skipped = { kind: 'node-skipped', node: 'a', reason, ...nowAt() } as const
    const draining = { kind: 'draining', toward: 'aborted', reason, ...nowAt() } as const
    const ended = { kind: 'ended', status: 'aborted', ...nowAt() } as const
    for (const [index, plan] of plans.entries())
      await store.transaction(async tx => {
        const id = `r${index}`
        await tx.rollouts.insert({ id, plan, events: [planned, started, skipped], atMs: T0 })
        if (index < 2) await tx.rollouts.append(id, 3, [draining, ended], T0)
      })

    await store.transaction(async tx => {
      const all = await tx.rollouts.list({ limit: 9 })
      const expected = all.map(rollout => {
        const { id, version, plan, status, toward, reason, gates, startedAtMs, endedAtMs } = rollout
        const told = { id, version, status, toward, reason, gates, startedAtMs, endedAtMs }
        const { revision, author } = plan
        return { ...told, revision, author, counts: countSteps(rollout) }
      })
      t.strictSame(await tx.rollouts.summaries({ limit: 9 }), expected)
      t.strictSame(await tx.rollouts.summaries({ limit: 9 }), expected, 'and once more')
      t.match(expected[2]?.counts, { skipped: 1, waiting: 1 })
      t.match(expected[1]?.counts, { skipped: 1, waiting: 2 }, 'of the phase that it is in')
      const aborted = await tx.rollouts.summaries({ limit: 1, statuses: ['aborted'], before: 'r2' })
      t.strictSame(aborted, expected.slice(1, 2))
    })
  })

  check(
    'the members of a rollout are its nodes that are in the fleet, with what is known of them',
    async (t, store) => {
      await addNodes(store)
      const state = sealDesiredState({
        node: 'b',
        generation: 4,
        mode: 'enforce',
        permit: true,
        content: sampleContent('b'),
      })
      const report = sampleReport({
        generation: 4,
        digest: state.digest,
        outcome: 'changed',
        activations: 1,
      })
      await store.transaction(async tx => {
        await tx.desired.put({ state, revision: 1 })
        await tx.reports.put({ node: 'b', report, receivedAtMs: T0 + 3 })
        await tx.nodes.setEnrolled('b', T0 + 1)
        await tx.nodes.setSeen(['b'], T0 + 2)
        await tx.rollouts.insert({
          id: 'r1',
          plan: samplePlanOf(['c', 'b', 'a']),
          events: [planned],
          atMs: T0,
        })
        await tx.nodes.remove('a', T0)

        t.same(await tx.rollouts.members('r1'), [
          {
            node: 'c',
            enrolledAtMs: undefined,
            seenAtMs: undefined,
            desired: undefined,
            highestGeneration: 0,
            report: undefined,
          },
          {
            node: 'b',
            enrolledAtMs: T0 + 1,
            seenAtMs: T0 + 2,
            desired: { generation: 4, digest: state.digest, contentDigest: state.contentDigest },
            highestGeneration: 4,
            report: {
              sequence: 0,
              receivedAtMs: T0 + 3,
              observedGeneration: 4,
              observedDigest: state.digest,
              services: [
                {
                  service: 'prometheus',
                  outcome: 'changed',
                  reason: { code: 'changed', message: 'the service is changed' },
                  activations: 1,
                  served: [],
                },
              ],
            },
          },
        ])
      })
    },
  )
}
