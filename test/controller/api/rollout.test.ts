import t from 'tap'
import {
  NodeList,
  PlanView,
  RevisionList,
  RevisionView,
  RolloutEventList,
  RolloutList,
  RolloutView,
  TrustView,
} from '../../../shared/contract/operator-api.ts'
import { startFakeAgent } from './fake-agent.ts'
import {
  addNode,
  codeOf,
  joinFleet,
  operatorOf,
  type Operator,
  parsed,
  startController,
} from './support.ts'

const SPEC = `
version: 1
fleet: demo
services:
  - service: prometheus
    nodes: { labels: { role: monitoring } }
`

/** Follows a rollout to its end by long polls. */
async function follow(
  operator: Operator,
  id: string,
): Promise<{ rollout: RolloutView; kinds: string[] }> {
  const kinds: string[] = []
  let after = 0
  for (;;) {
    const answer = await operator('GET', `/v1/rollouts/${id}/events?after=${after}&wait=20000`)
    const { rollout, events } = parsed(RolloutEventList, answer)
    kinds.push(...events.map(({ kind, node }) => (node === undefined ? kind : `${kind} ${node}`)))
    after = events.at(-1)?.version ?? after
    if (rollout.endedAtMs !== undefined && events.length === 0) return { rollout, kinds }
  }
}

await t.test('a fleet is planned and rolled out by agents that poll', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const labels = { role: 'monitoring' }
  const agents = [
    startFakeAgent(await joinFleet(running, operator, 'n1', labels)),
    startFakeAgent(await joinFleet(running, operator, 'n2', labels)),
  ]
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
  await addNode(operator, 'n3', { role: 'web' })

  await t.test('errors in the spec come with line and column', async t => {
    const broken = await operator('POST', '/v1/plans', {
      spec: SPEC.replace('services', 'sevrices'),
    })
    t.match(broken, {
      status: 422,
      body: {
        code: 'invalid-spec',
        problems: [
          { line: 2, column: 1, path: 'services', message: 'missing key `services`' },
          { line: 4, column: 1, message: 'unknown key `sevrices`; did you mean `services`?' },
        ],
      },
    })
    const compiled = await operator('POST', '/v1/rollouts', {
      spec: SPEC.replace('{ labels: { role: monitoring } }', '{ names: [n7] }'),
    })
    t.match(compiled, {
      status: 422,
      body: {
        problems: [{ line: 6, path: 'services[0].nodes.names', message: /no node is named `n7`/ }],
      },
    })
    const foreign = await operator('POST', '/v1/plans', { spec: SPEC.replace('demo', 'other') })
    t.match([foreign.status, codeOf(foreign)], [422, 'wrong-fleet'])
  })

  await t.test('a plan asks the agents and writes nothing', async t => {
    const withAbsent = `${SPEC}  - { service: influxdb, nodes: { names: [n3] } }\n`
    const plan = parsed(
      PlanView,
      await operator('POST', '/v1/plans', { spec: withAbsent, waitMs: 20_000 }),
    )

    t.match(plan, {
      changes: 3,
      windows: [],
      unselected: [],
      // In the order in which they will be switched.
      nodes: [
        { node: 'n3', result: 'unreachable', reason: { code: 'not-enrolled' } },
        {
          node: 'n1',
          result: 'changes',
          services: [{ service: 'prometheus', activation: 'restart' }],
        },
        { node: 'n2', result: 'changes' },
      ],
    })
    const { revisions } = parsed(RevisionList, await operator('GET', '/v1/revisions'))
    t.strictSame(revisions, [])
    const { rollouts } = parsed(RolloutList, await operator('GET', '/v1/rollouts'))
    t.strictSame(rollouts, [])
  })

  await t.test('a rollout moves node by node to its end', async t => {
    const created = await operator('POST', '/v1/rollouts', { spec: SPEC })
    t.equal(created.status, 201)
    const { id } = parsed(RolloutView, created)

    const { rollout, kinds } = await follow(operator, id)

    t.match(rollout, {
      status: 'succeeded',
      revision: 1,
      steps: [
        { node: 'n1', state: 'done' },
        { node: 'n2', state: 'done' },
      ],
    })
    t.ok(kinds.indexOf('node-done n1') < kinds.indexOf('node-permitted n2'), 'one after the other')
    t.ok(kinds.includes('permit-claimed n2'))
    const { nodes } = parsed(NodeList, await operator('GET', '/v1/nodes?label=role%3Dmonitoring'))
    t.match(nodes, [
      { name: 'n1', state: 'converged', mode: 'enforce', revision: 1, online: true },
      { name: 'n2', state: 'converged' },
    ])
    t.match(parsed(RevisionView, await operator('GET', '/v1/revisions/1')), {
      text: SPEC,
      author: 'admin',
    })
  })

  await t.test('the same spec again, written differently, has nothing to do', async t => {
    const again = await operator('POST', '/v1/rollouts', { spec: `# the same\n${SPEC}` })
    t.equal(again.status, 200)
    t.match(parsed(RolloutView, again), { status: 'succeeded', steps: [], revision: 1 })
  })

  await t.test('pages of nodes end, and filters hold', async t => {
    const first = parsed(NodeList, await operator('GET', '/v1/nodes?limit=2'))
    t.match(first, { nodes: [{ name: 'n1' }, { name: 'n2' }], next: /^[\w-]+$/ })
    const second = parsed(NodeList, await operator('GET', `/v1/nodes?limit=2&after=${first.next}`))
    t.match(second, { nodes: [{ name: 'n3', state: 'pending' }] })
    t.notOk(second.next)
  })

  await t.test(
    'the trust bundle is the root of the service CA, not that of identities',
    async t => {
      const trust = parsed(TrustView, await operator('GET', '/v1/trust'))
      t.equal(trust.service.length, 1)
      t.not(trust.service[0], running.controller.identityRoot)
    },
  )
})

await t.test('a rollout stops at the first node that fails', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const labels = { role: 'monitoring' }
  const agents = [
    startFakeAgent(await joinFleet(running, operator, 'n1', labels), { outcome: 'restored' }),
    startFakeAgent(await joinFleet(running, operator, 'n2', labels)),
  ]
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))

  const { id } = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  const { rollout, kinds } = await follow(operator, id)

  t.match(rollout, { status: 'failed', steps: [{ node: 'n1', state: 'reverted' }, { node: 'n2' }] })
  t.notOk(kinds.includes('node-permitted n2'), 'the second node was never disturbed')
  const late = await operator('POST', `/v1/rollouts/${id}/abort`)
  t.match([late.status, codeOf(late)], [409, 'illegal-transition'])
  const unknown = await operator('GET', '/v1/rollouts/none-such')
  t.match([unknown.status, codeOf(unknown)], [404, 'not-found'])
})
