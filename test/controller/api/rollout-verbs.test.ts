// A group that can spare one, of which one is away: the other two are not touched side by side with
// it, whoever looks is told why, and operators steer.

import t from 'tap'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { FreezeList, GroupList, StepList } from '../../../shared/contract/rollout-verbs.ts'
import { until } from '../../lab/until.ts'
import { startFakeAgent } from './fake-agent.ts'
import { addNode, codeOf, joinFleet, operatorOf, parsed, startController } from './support.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - service: prometheus
    nodes: { names: [n1, n2] }
groups:
  - { name: meta, kind: raft, nodes: all }
rollout: { autoStart: false }
`

await t.test('a rollout is started, held by a budget, paused, frozen, aborted', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const labels = { role: 'meta' }
  const agents = [
    startFakeAgent(await joinFleet(running, operator, 'n1', labels)),
    startFakeAgent(await joinFleet(running, operator, 'n2', labels)),
  ]
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
  // Declared, and never there: its group can spare one, and this one is it.
  await addNode(operator, 'n3', labels)

  const created = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  t.equal(created.status, 'planned')
  const path = `/v1/rollouts/${created.id}`
  const steps = async () => parsed(StepList, await operator('GET', `${path}/steps`))
  t.match((await steps()).steps[0]?.waiting, { code: 'not-started' })
  t.equal(codeOf(await operator('POST', `${path}/pause`, {})), 'illegal-transition')

  t.match(parsed(RolloutView, await operator('POST', `${path}/start`, {})), { status: 'staging' })
  await until(
    async () => {
      const { status, steps: all } = await steps()
      return status === 'running' && all.every(one => one.waiting?.code === 'budget-out')
    },
    { what: 'the budget holds it' },
  )
  const { groups } = parsed(GroupList, await operator('GET', '/v1/groups'))
  t.match(groups, [
    {
      name: 'meta',
      kind: 'raft',
      limit: 1,
      members: ['n1', 'n2', 'n3'],
      out: [{ node: 'n3', reason: { code: 'not-enrolled' } }],
      leases: [],
    },
  ])
  t.same((await operator('GET', '/v1/groups/meta/budget')).body, groups[0])
  t.equal(codeOf(await operator('GET', '/v1/groups/nobody/budget')), 'not-found')

  t.match(parsed(RolloutView, await operator('POST', `${path}/pause`, { reason: 'lunch' })), {})
  t.strictSame((await steps()).pausedBy, ['manual'])
  await operator('POST', `${path}/resume`, {})
  t.strictSame((await steps()).pausedBy, [])

  await operator('PUT', '/v1/freezes/night', { reason: 'nobody is here' })
  const { freezes } = parsed(FreezeList, await operator('GET', '/v1/freezes'))
  t.match(freezes, [{ name: 'night', actor: 'admin' }])
  await until(async () => (await steps()).pausedBy[0] === 'frozen', {
    what: 'the freeze has paused it',
  })
  t.equal(codeOf(await operator('DELETE', '/v1/freezes/day')), 'not-found')
  await operator('DELETE', '/v1/freezes/night')
  await until(async () => (await steps()).pausedBy.length === 0, { what: 'it goes on by itself' })

  const skipped = parsed(RolloutView, await operator('POST', `${path}/nodes/n2/skip`, {}))
  t.equal(skipped.steps.find(({ node }) => node === 'n2')?.state, 'skipped')
  t.equal(
    codeOf(await operator('POST', `${path}/nodes/n1/force-release`, {})),
    'illegal-transition',
  )
  t.equal(codeOf(await operator('POST', `${path}/rollback`, {})), 'illegal-transition')
  t.match(parsed(RolloutView, await operator('POST', `${path}/supersede`, {})), {
    status: 'superseded',
  })
  t.equal(codeOf(await operator('POST', `${path}/rollback`, {})), 'nothing-to-do')
})
