// What every store must tell of one node's past: its own steps, newest rollout first, in pages.

import { stepOf } from '../../controller/rollout/steps.ts'
import { nowAt, planOf, samplePlan, sampleNode, T0 } from './samples.ts'
import type { Check } from './store.ts'

const reason = { code: 'a-reason', message: 'because' }

export function checkNodeHistory(check: Check): void {
  check('the rollouts of a node are told with its own step of each', async (t, store) => {
    const end = async (id: string, names: readonly string[]) => {
      await store.transaction(async tx => {
        const plan = planOf(samplePlan(names))
        await tx.rollouts.insert({ id, plan, events: [{ kind: 'planned', ...nowAt() }], atMs: T0 })
      })
      await store.transaction(tx =>
        tx.rollouts.append(
          id,
          1,
          [
            { kind: 'draining', toward: 'aborted', reason, ...nowAt() },
            { kind: 'ended', status: 'aborted', ...nowAt(7) },
          ],
          T0,
        ),
      )
    }
    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
    })
    await end('r1', ['a', 'b'])
    await end('r2', ['b'])
    await end('r3', ['a'])

    const told = (node: string, page: { before?: string; limit: number }) =>
      store.transaction(tx => tx.nodeHistory.rollouts(node, page))
    const ids = async (node: string, page: { before?: string; limit: number }) =>
      (await told(node, page)).map(({ rollout }) => rollout)

    t.strictSame(await ids('a', { limit: 9 }), ['r3', 'r1'])
    t.strictSame(await ids('a', { limit: 1 }), ['r3'])
    t.strictSame(await ids('a', { before: 'r3', limit: 9 }), ['r1'])
    t.strictSame(await ids('a', { before: 'r2', limit: 9 }), ['r1'], 'of any rollout')
    t.strictSame(await ids('c', { limit: 9 }), [])
    const [first] = await told('b', { limit: 1 })
    const rollout = await store.transaction(tx => tx.rollouts.get('r2'))
    const step = rollout && stepOf(rollout, 'b')
    t.match(first, {
      rollout: 'r2',
      revision: rollout?.plan.revision,
      author: rollout?.plan.author,
    })
    t.match(first, { status: 'aborted', endedAtMs: rollout?.endedAtMs })
    t.match(first, { state: step?.state, sinceMs: step?.sinceMs, generation: step?.generation })
  })
}
