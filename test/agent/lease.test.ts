// Leases of the node's groups, as the agent takes them: for what disturbs services and for nothing else,
// with or without its controller, over refusals, wakes and crashes.

import t from 'tap'
import type { LeaseAnswer } from '../../shared/contract/agent-api.ts'
import { OperationalError } from '../../shared/errors.ts'
import { CONF, lastOf, type Scene, scene, seen, services, TLS } from '../support/agent-scene.ts'
import { DAY_MS, documentOf } from '../support/fake-controller.ts'
import { type AgentParts, startAgent } from '../support/memory-agent.ts'
import { newNode, wish } from '../support/memory-fleet.ts'

const GO: LeaseAnswer = { granted: true, reason: { code: 'lease-granted', message: 'go' } }
const HELD: LeaseAnswer = {
  granted: false,
  reason: { code: 'budget-leased', message: 'group meta is being changed at n2' },
}

/** A node that has converged, and whose report of that has arrived. */
async function converged(
  t: Parameters<typeof scene>[0],
  { grouped, ...parts }: AgentParts & { readonly grouped: boolean | undefined },
): Promise<Scene> {
  const node = newNode()
  const found = await scene(t, parts, node)
  const { controller, agent } = found
  await agent.afterPass(() => {
    controller.grouped = grouped
    controller.offer(documentOf({ generation: 1, services }))
  })
  await agent.afterPass(() => agent.wake('files'))
  await agent.afterPass(() => agent.wake('files'))
  await seen('the report', () => lastOf(controller.reports)?.services[1]?.outcome === 'in-sync')
  controller.leases.length = 0
  return found
}

/** Somebody switches TLS off and restarts the database: only another restart brings it back. */
function spoil({ node }: Scene): void {
  node.advance(1_000)
  const good = node.files.text(CONF) ?? ''
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  node.stop('influxdb')
  node.start('influxdb')
}

const database = ({ agent }: Scene) =>
  agent.control.status().services.find(one => one.service === 'influxdb')

await t.test('an edit that needs no restart is put back without asking anybody', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  const good = node.files.text(CONF) ?? ''
  controller.leave()

  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), good)
  t.strictSame(controller.leases, [])
})

await t.test('a refused correction waits, writes nothing more, and is woken', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  controller.answerLease = async () => HELD
  const before = lastOf(controller.reports)?.sequence

  spoil(found)
  await agent.afterPass(() => agent.wake('files'))

  t.match(controller.leases, [{ purpose: 'correction', generation: 1, sequence: before }])
  t.match(database(found), { outcome: 'waiting', reason: HELD.reason })
  t.equal(node.served('influxdb'), 'plaintext')
  await agent.afterPass(() => agent.wake('files'))
  const changes = node.changes()
  for (let look = 0; look < 5; look++) await agent.afterPass(() => agent.wake('files'))
  t.equal(node.changes(), changes, 'looks write nothing')
  t.equal(controller.leases.length, 1, 'nor do they ask')

  controller.answerLease = async () => GO
  await agent.afterPass(() => controller.nudge())
  t.match(node.served('influxdb'), TLS)
  t.equal(controller.leases.length, 2)
  await seen(
    'a report that ends the lease',
    () => (lastOf(controller.reports)?.sequence ?? 0) > (controller.leases[1]?.sequence ?? 0),
  )
  await agent.afterPass(() => agent.wake('files'))
  const rest = node.changes()
  for (let look = 0; look < 3; look++) await agent.afterPass(() => agent.wake('files'))
  t.equal(node.changes(), rest, 'converged again, it writes nothing')
})

await t.test('a wake that is lost costs time only', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  controller.answerLease = async () => HELD
  spoil(found)
  await agent.afterPass(() => agent.wake('files'))

  controller.answerLease = async () => GO
  await agent.afterPass(() => agent.advance(5_000))

  t.match(node.served('influxdb'), TLS)
})

for (const [what, grouped, offline, goes] of [
  ['a node in a group waits', true, undefined, false],
  ['a node in no group goes ahead', false, undefined, true],
  ['a node of which nothing was said waits', undefined, undefined, false],
  ['agent.toml lets a node in a group go ahead', true, 'go', true],
  ['agent.toml lets a node in no group wait', false, 'wait', false],
] as const) {
  await t.test(`without a controller ${what}`, async t => {
    const rule =
      offline === undefined ? {} : { offline: { disruptive: offline, renewWithinMs: undefined } }
    const found = await converged(t, { grouped, ...rule })
    const { node, controller, agent } = found
    controller.leave()

    spoil(found)
    await agent.afterPass(() => agent.wake('files'))

    if (goes) {
      t.match(node.served('influxdb'), TLS)
      return
    }
    t.equal(node.served('influxdb'), 'plaintext')
    const reason = database(found)?.reason
    t.equal(reason?.code, 'lease-unanswered')
    t.match(reason?.message, new RegExp(new Date(node.nowMs()).toISOString().slice(0, 16)))
    await agent.afterPass(() => agent.wake('files'))
    const changes = node.changes()
    await agent.afterPass(() => agent.advance(10_000))
    t.strictSame(database(found)?.reason, reason, 'each attempt says the same')
    t.equal(node.changes(), changes)

    await agent.afterPass(() => {
      controller.comeBack()
      agent.advance(60_000)
    })
    await seen('it is healed', () => TLS.test(node.served('influxdb')))
  })
}

await t.test('what the controller said of groups outlives the process', async t => {
  const found = await converged(t, { grouped: false })
  const { node, controller, agent } = found
  agent.kill()
  controller.leave()

  spoil(found)
  const next = await startAgent(node, controller)
  t.teardown(() => next.kill())

  t.match(node.served('influxdb'), TLS)
})

await t.test('a renewal asks as one; near its end agent.toml may let it go ahead', async t => {
  const offline = { disruptive: 'group', renewWithinMs: 2 * DAY_MS } as const
  const found = await converged(t, { grouped: true, offline })
  const { node, controller, agent } = found
  const before = node.served('influxdb')
  const { renewAtMs = 0, notAfterMs = 0 } = database(found) ?? {}
  controller.answerLease = async () => HELD

  await agent.afterPass(() => agent.advance(renewAtMs + 1_000 - node.nowMs()))
  const purposes = controller.leases.map(({ purpose }) => purpose)
  t.strictSame([...new Set(purposes)], ['renewal'])
  t.equal(node.served('influxdb'), before)
  controller.leave()
  await agent.afterPass(() => agent.advance(notAfterMs - 3 * DAY_MS - node.nowMs()))
  t.equal(node.served('influxdb'), before, 'three days are left')
  await agent.afterPass(() => agent.advance(1.5 * DAY_MS))

  t.not(node.served('influxdb'), before)
  t.match(node.served('influxdb'), TLS)
})

await t.test('an operator who asks for a new certificate need not ask again', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  const before = node.served('influxdb')
  controller.answerLease = async () => HELD
  const [report] = (await agent.control.renew(['influxdb'])).filter(
    one => one.service === 'influxdb',
  )
  t.match(report, { outcome: 'waiting', reason: HELD.reason })
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.served('influxdb'), before)

  controller.answerLease = async () => GO
  controller.nudge()

  // The wish was answered before its pass had ended.
  await seen('the new certificate', () => node.served('influxdb') !== before)
  t.match(node.served('influxdb'), TLS)
})

await t.test('killed between claim and switch, it goes on with the same lease', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  controller.answerLease = () => {
    agent.kill()
    return Promise.resolve(GO)
  }
  spoil(found)
  agent.wake('files')
  await seen('the claim', () => controller.leases.length === 1)
  t.equal(node.served('influxdb'), 'plaintext')

  controller.answerLease = async () => GO
  const next = await startAgent(node, controller)
  t.teardown(() => next.kill())

  const [first, second] = controller.leases
  t.strictSame({ ...second, sequence: 0 }, { ...first, sequence: 0 }, 'the same question')
  t.match(node.served('influxdb'), TLS)
})

await t.test('a lease that is needed no more ends with a report that says nothing new', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  const good = node.files.text(CONF) ?? ''
  controller.answerLease = () => {
    agent.kill()
    return Promise.resolve(GO)
  }
  spoil(found)
  agent.wake('files')
  await seen('the claim', () => controller.leases.length === 1)

  // The operator mends it before the agent is back.
  node.files.put(CONF, good)
  node.stop('influxdb')
  node.start('influxdb')
  const next = await startAgent(node, controller)
  t.teardown(() => next.kill())

  const asked = controller.leases[0]?.sequence ?? 0
  await seen('the report', () => (lastOf(controller.reports)?.sequence ?? 0) > asked)
  t.equal(controller.leases.length, 1)
  await next.afterPass(() => next.wake('files'))
  const changes = node.changes()
  await next.afterPass(() => next.wake('files'))
  t.equal(node.changes(), changes)
})

await t.test('each lease ends with a report, also when each attempt fails alike', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  node.fault = (_, path) => {
    if (path.includes('journal'))
      throw new OperationalError('disk-full', 'could not write the journal', { retryable: true })
  }

  spoil(found)
  await agent.afterPass(() => agent.wake('files'))
  await agent.afterPass(() => agent.advance(5_000))
  await agent.afterPass(() => agent.advance(10_000))

  t.match(database(found), { outcome: 'failed', reason: { code: 'disk-full' } })
  const asked = controller.leases.map(({ sequence = 0 }) => sequence)
  t.ok(asked.length >= 3, `${asked.length} claims`)
  t.equal(new Set(asked).size, asked.length, 'a report was made between each two')
  await seen(
    'that of the last',
    () => (lastOf(controller.reports)?.sequence ?? 0) > (lastOf(asked) ?? 0),
  )
})

await t.test('a permit that was taken back puts nothing in force', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  const before = node.served('influxdb')
  const next = await wish({ dns: ['n1', 'localhost', 'more'] })
  controller.answerLease = async () => HELD
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services: next, permit: true })),
  )
  t.match(controller.leases.at(-1), { purpose: 'rollout', generation: 2 })

  controller.answerLease = async () => GO
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 3, services: next, mode: 'stage' })),
  )
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.served('influxdb'), before)
  t.equal(database(found)?.outcome, 'staged')

  spoil(found)
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.served('influxdb'), before, 'what was in force is kept up')
  t.match(controller.leases.at(-1), { purpose: 'correction', generation: 3 })
})

await t.test('what waits while another content is staged is told beside it', async t => {
  const found = await converged(t, { grouped: true })
  const { controller, agent } = found
  const next = await wish({ dns: ['n1', 'localhost', 'more'] })
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services: next, mode: 'stage' })),
  )
  controller.answerLease = async () => HELD

  spoil(found)
  await agent.afterPass(() => agent.wake('files'))

  const report = database(found)
  t.equal(report?.outcome, 'staged')
  t.ok(report?.notices.some(({ code }) => code === HELD.reason.code))
})

await t.test('while its own step is under way the permit is what counts', async t => {
  const found = await converged(t, { grouped: true })
  const { node, controller, agent } = found
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services, permit: true })),
  )
  controller.answerLease = async ({ purpose }) =>
    purpose === 'rollout'
      ? GO
      : { granted: false, reason: { code: 'step-in-motion', message: 'r1 is at it' } }

  spoil(found)
  await agent.afterPass(() => agent.wake('files'))

  t.strictSame(
    controller.leases.map(({ purpose }) => purpose),
    ['correction', 'rollout'],
  )
  t.match(node.served('influxdb'), TLS)
})
