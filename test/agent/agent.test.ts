// The daemon's loop on a node in memory, with a controller that is an object.

import t from 'tap'
import { CONF, lastOf, scene, seen, services, summary, TLS, turns } from '../support/agent-scene.ts'
import { createFakeController, DAY_MS, documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, passOnce, STATE, STOCK_FILES, wish } from '../support/memory-fleet.ts'

await t.test('an agent without a desired state says so and touches nothing', async t => {
  const { node, controller, agent } = await scene(t)

  await seen('the report', () => controller.reports.length === 1)

  t.strictSame(controller.reports[0]?.services, [])
  t.equal(controller.reports[0]?.observedGeneration, undefined)
  t.equal(agent.control.status().generation, undefined)
  t.strictSame(controller.questions, [undefined])
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
  t.strictSame(node.activations, [])
})

await t.test('with the controller away, drift is healed with the last accepted state', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 1, services, permit: true })),
  )
  await agent.afterPass(() => agent.wake('files'))
  controller.leave()
  const good = node.files.text(CONF) ?? ''

  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), good)
  t.equal(controller.leases.length, 1, 'a correction needs no permit')
  agent.kill()

  // Nor does a new process need the controller.
  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  const next = await startAgent(node, controller)
  t.teardown(() => next.kill())
  t.equal(node.files.text(CONF), good)
  t.equal(next.control.status().generation, 1)

  // What it had to tell arrives when the controller is back, the newest only.
  const before = controller.reports.length
  controller.comeBack()
  next.advance(60_000)
  await seen('the report', () => controller.reports.length > before)
  t.equal(lastOf(controller.reports)?.observedGeneration, 1)
})

await t.test(
  'a clean stop before the switch leaves everything; after it, it is finished',
  async t => {
    for (const step of ['claim', 's7 switch', 's9 activate', 's10 verify']) {
      const node = newNode()
      const controller = createFakeController(() => node.nowMs())
      const stopAt = (reached: string) => {
        if (reached === step) agent.signalStop()
      }
      controller.answerLease = async () => {
        stopAt('claim')
        return { granted: true, reason: { code: 'granted', message: 'go' } }
      }
      const agent = await startAgent(node, controller, { onStep: stopAt })
      const document = documentOf({
        generation: 1,
        services: await wish({ services: ['influxdb'] }),
        permit: true,
      })

      controller.offer(document)
      await agent.ended

      if (step === 'claim') {
        t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf, step)
        t.strictSame(node.activations, [], step)
      } else t.match(node.served('influxdb'), TLS, step)
      t.equal(node.files.text(`${STATE}/journal.json`), undefined, 'nothing is left to finish')
    }
  },
)

await t.test('a stopped agent has left its watchdog, its poll and its connection', async t => {
  const { controller, agent } = await scene(t)
  let closed = 0
  controller.remote.close = () => void (closed += 1)

  await agent.stop()

  const beats = agent.heartbeats()
  const asked = controller.questions.length
  agent.advance(DAY_MS)
  await turns()
  t.strictSame([agent.heartbeats(), controller.questions.length, closed], [beats, asked, 1])
})

await t.test('the heartbeat comes from the loop: a loop that hangs is silent', async t => {
  const { node, controller, agent } = await scene(t)
  const beats = agent.heartbeats()
  for (let piece = 0; piece < 5; piece++) {
    agent.advance(20_000)
    await seen('a heartbeat', () => agent.heartbeats() > beats + piece)
  }
  t.equal(agent.passes(), 1, 'without a pass each')

  const beforePass = agent.heartbeats()
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.ok(agent.heartbeats() - beforePass >= 5, 'the waits of a verification are signs of life, too')

  // From now on the pass hangs, while polls go on and the controller comes and goes.
  let hung = false
  t.intercept(node.host.services, 'show', {
    value: () => {
      hung = true
      return new Promise(() => undefined)
    },
  })
  controller.offer(documentOf({ generation: 2, services: await wish({ dns: ['n1', 'more'] }) }))
  await seen('the pass hangs', () => hung)
  const last = agent.heartbeats()
  for (let round = 0; round < 5; round++) {
    controller.leave()
    await turns()
    agent.advance(60_000)
    await turns()
    controller.comeBack()
    agent.advance(60_000)
    await turns()
  }
  t.equal(agent.heartbeats(), last)
})

for (const where of ['the poll', 'a pass'] as const) {
  await t.test(
    `a bug in ${where} ends the agent as a whole, so that it is started anew`,
    async t => {
      const node = newNode()
      const controller = createFakeController(() => node.nowMs())
      const bug = () => Promise.reject(new TypeError('a bug'))
      if (where === 'the poll') controller.remote.desired = bug
      const agent = await startAgent(node, controller)
      if (where === 'a pass') {
        t.intercept(node.host.services, 'show', { value: bug })
        controller.offer(documentOf({ generation: 1, services }))
      }

      await t.rejects(agent.ended, { message: 'a bug' })

      const asked = controller.questions.length
      const beats = agent.heartbeats()
      controller.offer(documentOf({ generation: 2, services }))
      agent.advance(DAY_MS)
      await turns()
      t.strictSame([controller.questions.length, agent.heartbeats()], [asked, beats])
    },
  )
}

await t.test('the files of what it looks after are watched', async t => {
  const { controller, agent } = await scene(t)

  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  for (const path of [CONF, '/etc/prometheus/prometheus.yml', '/etc/influxdb/tls/current'])
    t.ok(agent.watched().includes(path), path)
})

await t.test(
  'passOnce and the daemon agree: adopting a converged node restarts nothing',
  async t => {
    const node = newNode()
    await passOnce(node, services)
    const activations = node.activations.length
    const { controller, agent } = await scene(t, {}, node)

    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

    t.strictSame(summary({ node, controller, agent }), {
      prometheus: 'in-sync',
      influxdb: 'in-sync',
    })
    t.equal(node.activations.length, activations)
  },
)
