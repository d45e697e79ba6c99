// What comes from outside while the loop is busy: documents, previews, an operator's wishes.

import t from 'tap'
import { lastOf, scene, seen, services, summary, TLS, turns } from '../support/agent-scene.ts'
import { createFakeController, documentOf, unreachable } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, outcomes } from '../support/memory-fleet.ts'

await t.test('a preview is answered by a plan, and nothing is touched', async t => {
  const { node, controller, agent } = await scene(t)
  // That the node is in no group is written down once.
  controller.grouped = undefined
  const changes = node.changes()

  await agent.afterPass(() =>
    controller.askPreview({ previewId: 'p1', content: { services: [...services] } }),
  )

  t.equal(controller.previews.length, 1)
  t.strictSame(outcomes(controller.previews[0]?.services ?? []), {
    prometheus: 'planned',
    influxdb: 'planned',
  })
  t.equal(node.changes(), changes, 'not one write')
  t.strictSame(node.activations, [])
})

await t.test('a preview that cannot be delivered stops nothing', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  const remote = { ...controller.remote, preview: () => Promise.reject(unreachable()) }
  const agent = await startAgent(node, { ...controller, remote })
  t.teardown(() => agent.kill())

  await agent.afterPass(() => controller.askPreview({ previewId: 'p', content: { services: [] } }))
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  t.match(node.served('influxdb'), TLS)
})

await t.test('an operator lifts it too, also while something else had woken the loop', async t => {
  const node = newNode()
  node.refuseStart = name => name === 'influxdb.service'
  const { controller, agent } = await scene(t, {}, node)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'failed')
  node.refuseStart = undefined
  node.start('influxdb')

  agent.wake('files')
  const reports = await agent.control.apply()

  t.equal(outcomes(reports)['influxdb'], 'changed')
})

await t.test('an operator who asks during a pass gets the answer of a later one', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  const before = node.served('prometheus')
  let answer: Promise<unknown> | undefined
  t.intercept(node.host.services, 'peekInvocation', {
    value: async (unit: string) => {
      answer ??= agent.control.renew(['prometheus'])
      return (await node.host.services.show(unit))?.invocationId
    },
  })

  await agent.afterPass(() => agent.wake('files'))
  const reports = await answer

  t.match(reports, [{ service: 'prometheus', outcome: 'changed' }, { service: 'influxdb' }])
  t.not(node.served('prometheus'), before)
})

await t.test('a refused document is reported, once, and changes nothing', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 5, services })))
  await agent.afterPass(() => agent.wake('files'))
  const changes = node.changes()

  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 6, services, node: 'another' })),
  )
  await seen('the report', () => lastOf(controller.reports)?.problem !== undefined)

  t.equal(lastOf(controller.reports)?.problem?.code, 'desired-other-node')
  t.equal(agent.control.status().problem?.code, 'desired-other-node')
  t.equal(lastOf(controller.reports)?.observedGeneration, 5)
  t.ok(node.changes() - changes <= 4, 'no more than the report was written')
  const asked = controller.questions.length
  await turns()
  t.ok(controller.questions.length - asked <= 1, 'it is not asked for again and again')
  await agent.afterPass(() => controller.offer(documentOf({ generation: 7, services })))
  t.equal(agent.control.status().problem, undefined)
})
