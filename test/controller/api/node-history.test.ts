import t from 'tap'
import { NodeRolloutList } from '../../../shared/contract/node-history.ts'
import { RolloutList, RolloutView } from '../../../shared/contract/operator-api.ts'
import { addNode, codeOf, operatorOf, parsed, startController } from './support.ts'

const spec = (days: number) => `
version: 1
fleet: demo
services: [{ service: prometheus, nodes: all, lifetime: ${days}d }]
rollout: { autoStart: false }
`

await t.test('a node tells its own rollouts, in pages, whatever others were in them', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  for (const name of ['n1', 'n2', 'n3']) await addNode(operator, name)
  const ids: string[] = []
  for (const days of [20, 30, 40]) {
    const made = await operator('POST', '/v1/rollouts', { spec: spec(days) })
    const { id } = parsed(RolloutView, made)
    await operator('POST', `/v1/rollouts/${id}/abort`, {})
    ids.unshift(id)
  }
  const viewer = operatorOf(running, running.viewerToken)
  const page = async (query: string) =>
    parsed(NodeRolloutList, await viewer('GET', `/v1/nodes/n2/rollouts?${query}`))

  const first = await page('limit=2')
  const { rollouts } = parsed(RolloutList, await viewer('GET', '/v1/rollouts?limit=1'))

  t.strictSame(
    first.rollouts.map(({ rollout }) => rollout),
    ids.slice(0, 2),
  )
  const [newest] = first.rollouts
  t.strictSame(
    newest?.step,
    rollouts[0]?.steps.find(({ node }) => node === 'n2'),
    'the step that the rollout has',
  )
  t.match(newest, { revision: 3, author: 'admin', status: 'aborted', endedAtMs: Number })
  const second = await page(`limit=2&after=${first.next}`)
  t.strictSame(
    second.rollouts.map(({ rollout }) => rollout),
    ids.slice(2),
  )
  t.equal(second.next, undefined)
  const { rollouts: counted } = parsed(
    RolloutList,
    await viewer('GET', '/v1/rollouts?limit=1&steps=counts'),
  )
  t.match(counted, [{ steps: [], stepCounts: { skipped: Number, waiting: Number } }])
  const sum = Object.values(counted[0]?.stepCounts ?? {}).reduce((all, one) => all + one, 0)
  t.equal(sum, 3, 'a list can have the numbers of its steps in place of them')
  t.equal(codeOf(await viewer('GET', '/v1/nodes/nobody/rollouts')), 'not-found')
})
