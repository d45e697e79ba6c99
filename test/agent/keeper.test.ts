// Which documents are in force, also after failures, damage and a full disk.

import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { CONF, lastOf, scene, seen, services, summary, TLS } from '../support/agent-scene.ts'
import { createFakeController, documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, outcomes, passOnce, STATE, wish } from '../support/memory-fleet.ts'

await t.test('while a stage document is prepared, the one in force is kept up', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  const served = node.served('influxdb')
  const good = node.files.text(CONF) ?? ''
  const next = await wish({ dns: ['n1', 'localhost', 'more'] })

  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services: next, mode: 'stage', permit: true })),
  )

  t.strictSame(summary({ node, controller, agent }), { prometheus: 'staged', influxdb: 'staged' })
  t.equal(node.served('influxdb'), served)
  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.files.text(CONF), good, 'healed in the sense of the old document')
  t.equal(node.served('influxdb'), served)
  t.ok(
    controller.leases.every(({ generation }) => generation === 1),
    'what was proven is put back without a lease',
  )

  await agent.afterPass(() => controller.offer(documentOf({ generation: 3, services: next })))
  t.strictSame(summary({ node, controller, agent }), { prometheus: 'changed', influxdb: 'changed' })
  t.not(node.served('influxdb'), served)
})

await t.test('an audit document ends enforcement: drift is reported and left', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services, mode: 'audit' })),
  )
  const bad = (node.files.text(CONF) ?? '').replace('https-enabled = true', 'https-enabled = false')

  node.advance(1_000)
  node.files.put(CONF, bad)
  const changes = node.changes()
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), bad)
  t.equal(summary({ node, controller, agent })['influxdb'], 'planned')
  const written = node.changes() - changes
  t.ok(written <= 4, `${written} changes: its own report, nothing of the node's`)
})

await t.test('what was held after a failure is lifted by a new generation only', async t => {
  const node = newNode()
  node.refuseStart = name =>
    name === 'influxdb.service' && (node.files.text(CONF) ?? '').includes('https-enabled = true\n')
  const { controller, agent } = await scene(t, {}, node)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'restored')
  node.refuseStart = undefined
  const tried = node.activations.length

  await agent.afterPass(() => agent.wake('files'))
  await agent.afterPass(() => agent.advance(400_000))
  t.equal(node.activations.length, tried, 'not tried again by itself')
  t.equal(summary({ node, controller, agent })['influxdb'], 'restored')

  await agent.afterPass(() => controller.offer(documentOf({ generation: 2, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'changed')
  t.match(node.served('influxdb'), TLS)
})

await t.test('a full disk under the agent state does not end the loop', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  node.fault = (_, path) => {
    if (path.startsWith(STATE)) throw new OperationalError('disk-full', `could not write ${path}`)
  }
  const more = await wish({ dns: ['n1', 'localhost', 'more'] })

  await agent.afterPass(() => controller.offer(documentOf({ generation: 2, services: more })))

  t.equal(agent.control.status().problem?.code, 'disk-full')
  t.equal(agent.control.status().generation, 1, 'what could not be kept does not count')
  node.fault = undefined
  await agent.afterPass(() => agent.advance(300_000))
  await agent.afterPass(() => agent.advance(300_000))
  t.equal(agent.control.status().generation, 2)
  t.equal(agent.control.status().problem, undefined)
  await seen('the report', () => lastOf(controller.reports)?.observedGeneration === 2)
})

await t.test(
  'a damaged desired state is asked for again and never replaced by an older one',
  async t => {
    const node = newNode()
    const controller = createFakeController(() => node.nowMs())
    const first = await startAgent(node, controller)
    await first.afterPass(() => controller.offer(documentOf({ generation: 8, services })))
    await first.stop()
    node.files.put(`${STATE}/desired.json`, '{"checksum":"0","body":{}}')

    controller.offer(documentOf({ generation: 7, services: [] }))
    const second = await startAgent(node, controller)
    await seen('it is refused', () => second.control.status().problem?.code === 'desired-outdated')
    t.equal(second.control.status().generation, undefined)
    await second.afterPass(() => controller.offer(documentOf({ generation: 8, services })))
    t.teardown(() => second.kill())

    t.equal(second.control.status().generation, 8)
    t.equal(second.control.status().problem, undefined)
    t.strictSame(outcomes(second.control.status().services), {
      prometheus: 'in-sync',
      influxdb: 'in-sync',
    })
  },
)

await t.test('damaged state files of the agent are no lasting problem', async t => {
  const node = newNode()
  await passOnce(node, services)
  const activations = node.activations.length
  node.files.put(`${STATE}/journal.json`, 'garbage')
  node.files.put(`${STATE}/ledger.json`, '{"checksum":"0","body":{}}')
  const { controller, agent } = await scene(t, {}, node)

  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  t.equal(agent.control.status().problem, undefined)
  t.ok(node.files.text(`${STATE}/journal.json.damaged`))
  t.ok(node.files.text(`${STATE}/ledger.json.damaged`))
  t.equal(node.activations.length, activations)
})
