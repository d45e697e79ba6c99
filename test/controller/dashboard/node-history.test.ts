import t from 'tap'
import { countsOf } from '../../../controller/dashboard/page/rollout-model.ts'
import { historyOf } from '../../../controller/dashboard/page/node-history.ts'

function rollout(id: string, sinceMs: number) {
  const step = { node: 'n1', state: 'done', sinceMs } as const
  return { rollout: id, revision: 1, author: 'ada', status: 'succeeded', step } as const
}

function record(sequence: number, atMs: number) {
  return { sequence, atMs, actor: 'ada', action: 'node-add', subject: 'n1', hash: 'x' }
}

await t.test('two lists become one, newest first', async t => {
  const { happenings, hasMore } = historyOf(
    { rollouts: [rollout('r2', 50), rollout('r1', 10)] },
    { records: [record(9, 40), record(8, 5)] },
  )
  t.strictSame(
    happenings.map(({ key }) => key),
    ['r2', '9', 'r1', '8'],
  )
  t.equal(hasMore, false)
})

await t.test(
  'where one list is cut off, the other does not tell what came before alone',
  async t => {
    const { happenings, hasMore } = historyOf(
      { rollouts: [rollout('r2', 50), rollout('r1', 10)] },
      { records: [record(9, 40), record(8, 30)], next: 8 },
    )
    t.strictSame(
      happenings.map(({ key }) => key),
      ['r2', '9', '8'],
    )
    t.equal(hasMore, true)
  },
)

await t.test('a list of rollouts has the numbers of steps in place of them', async t => {
  const { counts, nodes } = countsOf({ stepCounts: { done: 3, waiting: 2 } })
  t.equal(counts.get('done'), 3)
  t.equal(nodes, 5)
  t.equal(countsOf({}).nodes, 0)
})
