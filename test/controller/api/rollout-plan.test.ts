// Plans of rollouts over the API: what was shown is what is stored and done, nodes are held to what
// they said, and what cannot be done node by node is not begun.

import t from 'tap'
import { PlanView, RolloutView } from '../../../shared/contract/operator-api.ts'
import { RolloutPlanView } from '../../../shared/contract/rollout-plan.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { sha256 } from '../../../shared/digest.ts'
import { startFakeAgent } from './fake-agent.ts'
import { addNode, codeOf, joinFleet, operatorOf, parsed, startController } from './support.ts'

const SPEC = `version: 1
fleet: demo
services:
  - { service: prometheus, nodes: { names: [n1, n2] } }
`
const NEXT = `${SPEC}  - { service: node-exporter, nodes: { names: [n1] } }\n`

const planned = (services: readonly ServiceReport[]): ServiceReport[] =>
  services.map(report => ({
    ...report,
    planned: { service: report.service, digest: sha256(report.service), disruption: 'rolling' },
  }))

await t.test('what was shown is stored and done, and nodes are held to what they said', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}), { preview: planned })
  t.teardown(() => agent.stop())
  await addNode(operator, 'n2', {})
  const plan = async (spec: string) =>
    parsed(PlanView, await operator('POST', '/v1/plans', { spec, waitMs: 20_000 }))

  const shown = await plan(SPEC)
  const other = await plan(NEXT)
  t.strictSame((await plan(SPEC)).digest, shown.digest, 'the same again')
  t.not(other.digest, shown.digest)
  const created = parsed(
    RolloutView,
    await operator('POST', '/v1/rollouts', { spec: SPEC, plan: shown.digest }),
  )

  const stored = parsed(RolloutPlanView, await operator('GET', `/v1/rollouts/${created.id}/plan`))
  t.equal(stored.digest, shown.digest)
  const steps = stored.phases[0]?.batches.flatMap(({ nodes }) => nodes) ?? []
  t.match(steps, [
    { node: 'n1', disruption: 'rolling', preview: { services: [{ service: 'prometheus' }] } },
    { node: 'n2', preview: undefined },
  ])
  const short = parsed(
    RolloutPlanView,
    await operator('GET', `/v1/rollouts/${created.id}/plan?diffs=none&node=n1`),
  )
  t.strictSame(
    short.phases[0]?.batches.flatMap(({ nodes }) => nodes.map(({ preview }) => preview)),
    [undefined],
  )
  const document = await running.controller.context.store.transaction(tx => tx.desired.get('n1'))
  t.strictSame(document?.state.planned, [
    { service: 'prometheus', digest: sha256('prometheus'), disruption: 'rolling' },
  ])

  const late = await operator('POST', '/v1/rollouts', { spec: NEXT, plan: other.digest })
  t.match([late.status, codeOf(late)], [409, 'stale-plan'])
  const none = await operator('POST', '/v1/rollouts', { spec: NEXT, plan: 'none' })
  t.match([none.status, codeOf(none)], [409, 'stale-plan'])
})

await t.test('a plan that this process has forgotten is made again', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}), { preview: planned })
  t.teardown(() => agent.stop())
  await addNode(operator, 'n2', {})
  const body = { spec: SPEC, waitMs: 20_000 }
  const { digest } = parsed(PlanView, await operator('POST', '/v1/plans', body))
  const { shownPlans } = running.controller.context
  const nothing = { nodes: new Map(), conditions: new Map() }
  for (let index = 0; index < 10; index++) shownPlans.keep(sha256(String(index)), nothing)
  t.equal(shownPlans.find(digest ?? ''), undefined)

  const created = await operator('POST', '/v1/rollouts', { ...body, plan: digest })

  t.equal(created.status, 201)
})

await t.test('a cluster that has to be stopped as a whole is not changed node by node', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const reason = { code: 'coordinated-change', message: 'stop all of them' }
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}), {
    preview: services =>
      services.map(report => ({ ...report, outcome: 'unsupported' as const, reason })),
  })
  t.teardown(() => agent.stop())
  await addNode(operator, 'n2', {})

  const refused = await operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: 20_000 })

  t.match(refused, { status: 409, body: { code: 'coordinated-change', detail: /n1.*stop all/ } })
  t.match(await operator('GET', '/v1/rollouts'), { body: { rollouts: [] } })
  t.match(await operator('GET', '/v1/revisions'), { body: { revisions: [] } })
})

await t.test('a cluster is changed as a whole, or nothing of it is begun', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}), {
    preview: services =>
      planned(services).map(report => ({
        ...report,
        activationReason: { code: 'coordinated-change', message: 'stop all of them' },
        planned: report.planned && { ...report.planned, disruption: 'coordinated' as const },
      })),
  })
  t.teardown(() => agent.stop())
  await addNode(operator, 'n2', {})
  const spec = (n2: 'leave' | 'manage') => `version: 1
fleet: demo
services:
  - { service: elasticsearch, nodes: { names: [n1] }, options: { transport: manage } }
  - { service: elasticsearch, nodes: { names: [n2] }, options: { transport: ${n2} } }
`
  const start = (n2: 'leave' | 'manage', together?: readonly string[]) =>
    operator('POST', '/v1/rollouts', {
      spec: spec(n2),
      waitMs: 20_000,
      ...(together && { together }),
    })

  t.match(await start('manage'), {
    status: 409,
    body: {
      code: 'coordinated-change',
      detail: /\(n1\): stop all/,
      hint: /^--together elasticsearch changes/,
    },
  })
  t.match(await start('leave', ['elasticsearch']), {
    status: 409,
    body: { code: 'coordinated-change', detail: /\(n2\): n2 is a member of group elasticsearch/ },
  })
  const asked = (together?: readonly string[]) =>
    operator('POST', '/v1/plans', {
      spec: spec('manage'),
      waitMs: 20_000,
      ...(together && { together }),
    })
  t.match(await asked(), {
    body: {
      refused: { code: 'coordinated-change', message: /^n1 cannot.*--together elasticsearch/ },
    },
  })
  t.notHas((await asked(['elasticsearch'])).body, { refused: {} })
  t.match(await operator('GET', '/v1/revisions'), { body: { revisions: [] } })
  const created = await start('manage', ['elasticsearch'])
  t.equal(created.status, 201)
})

await t.test('TLS between nodes is for certificates of the fleet only', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  await addNode(operator, 'n1', {})
  const spec = `version: 1
fleet: demo
services:
  - { service: elasticsearch, nodes: all, issuer: csr, options: { transport: manage } }
`
  const refused = await operator('POST', '/v1/plans', { spec, waitMs: 0 })
  t.match(refused, { status: 422, body: { code: 'invalid-spec' } })
  t.match(JSON.stringify(refused.body), /issuer csr could join the cluster/)
})

await t.test(
  'a group that is changed as a whole is part of the plan and of its digest',
  async t => {
    const running = await startController(t)
    const operator = operatorOf(running)
    for (const name of ['n1', 'n2']) await addNode(operator, name, {})
    const spec = `${SPEC}groups:\n  - { name: web, kind: pool, percent: 50, nodes: all }\n`
    const body = { spec, waitMs: 0 }

    const unknown = await operator('POST', '/v1/plans', { ...body, together: ['wab'] })
    t.match(unknown, { status: 409, body: { code: 'group-unknown', hint: /web/ } })
    const rolling = parsed(PlanView, await operator('POST', '/v1/plans', body))
    const whole = parsed(
      PlanView,
      await operator('POST', '/v1/plans', { ...body, together: ['web'] }),
    )

    t.not(whole.digest, rolling.digest)
    t.match(whole.rollout, { together: ['web'], phases: [{ name: 'together', coordinated: true }] })
    t.match(whole.windows, [{ code: 'window-group-web' }])
    const other = await operator('POST', '/v1/rollouts', {
      ...body,
      plan: rolling.digest,
      together: ['web'],
    })
    t.match(other, { status: 409, body: { code: 'stale-plan' } })
    // What was shown knows of its groups.
    const created = await operator('POST', '/v1/rollouts', { ...body, plan: whole.digest })
    t.equal(created.status, 201)
    const { id } = parsed(RolloutView, created)
    t.match(await operator('GET', `/v1/rollouts/${id}/plan`), { body: { together: ['web'] } })
  },
)
