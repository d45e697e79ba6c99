// The agent's standing with its controller: its identity, and what it signs for.

import t from 'tap'
import { isServer } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { newIdentityKey, storeIdentity } from '../../agent/identity.ts'
import { createSession } from '../../agent/session.ts'
import { silentLog } from '../../shared/log.ts'
import { CONF, scene, seen, TLS } from '../support/agent-scene.ts'
import {
  createFakeController,
  createIdentity,
  DAY_MS,
  documentOf,
  unreachable,
} from '../support/fake-controller.ts'
import { newNode, STATE, STOCK_FILES, wish } from '../support/memory-fleet.ts'

await t.test(
  'what is in force is renewed also while another document is only prepared',
  async t => {
    const { node, controller, agent } = await scene(t)
    const internal = (list: Awaited<ReturnType<typeof wish>>) =>
      list.filter(isServer).map(tls => ({
        ...tls,
        trust: [controller.ca.certificatePem],
        certificate: { ...tls.certificate, issuer: 'internal' as const },
      }))
    let current: { generation: number; dns: readonly string[] } = { generation: 0, dns: [] }
    // As the real one: only the newest generation of a node may ask, and gets the names of that one.
    controller.answerSign = async ({ generation, publicKey }) => {
      if (generation === current.generation)
        return controller.ca.issue(publicKey, node.nowMs(), 30 * DAY_MS, current.dns)
      throw new OperationalError('request-refused', 'stale-generation')
    }
    const give = async (mode: 'enforce' | 'stage', generation: number, dns: readonly string[]) => {
      current = { generation, dns }
      const content = internal(await wish({ services: ['influxdb'], dns }))
      await agent.afterPass(() =>
        controller.offer(documentOf({ generation, services: content, mode })),
      )
    }
    await give('enforce', 1, ['n1', 'localhost'])
    const first = node.served('influxdb')
    t.match(first, TLS)

    await give('stage', 2, ['n1', 'localhost'])
    await agent.afterPass(() => agent.advance(26 * DAY_MS))
    const second = node.served('influxdb')
    t.not(second, first, 'it was renewed')

    // With other names than those in force, what the controller would issue is of no use.
    await give('stage', 3, ['n1', 'localhost', 'more'])
    const restarts = node.activations.length
    await agent.afterPass(() => agent.advance(26 * DAY_MS))
    await agent.afterPass(() => agent.advance(DAY_MS))
    t.equal(node.served('influxdb'), second)
    t.equal(node.activations.length, restarts, 'it does not flap')
  },
)

await t.test('the identity is renewed at half of its life, with a new key', async t => {
  const node = newNode()
  const identity = createIdentity(node.nowMs(), 20 * DAY_MS)
  const { controller, agent } = await scene(t, { identity }, node)
  await agent.afterPass(() => agent.advance(9.9 * DAY_MS))
  t.equal(controller.renewed.length, 0)
  const stored = () => node.files.text(`${STATE}/identity.json`) ?? '{}'

  controller.answerRenew = () => Promise.reject(unreachable())
  // By its serial number it comes up to a tenth of the life later.
  await agent.afterPass(() => agent.advance(2.2 * DAY_MS))
  t.equal(controller.renewed.length, 1)
  t.equal(stored(), '{}', 'the old one stays in use')

  // A chain for another key, and something that is no certificate at all.
  const other = (await newIdentityKey('n1')).keys.publicKeyPem
  const issue = createFakeController(() => node.nowMs()).answerRenew
  controller.answerRenew = () => issue(other)
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  controller.answerRenew = async () =>
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(stored(), '{}')

  // It has arrived, and nobody knows whether it is accepted: both are kept.
  controller.answerRenew = issue
  controller.answerWhoami = () => Promise.reject(unreachable())
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4)
  t.equal(stored(), '{}')
  t.match(node.files.text(`${STATE}/identity-next.json`), /BEGIN CERTIFICATE/)

  controller.answerWhoami = async () => undefined
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4, 'the one that is there is tried again')
  t.equal(node.files.text(`${STATE}/identity-next.json`), undefined)
  t.equal(new Set(controller.renewed).size, 4, 'a new key each time')
  const document: { certificateChain?: string } = JSON.parse(stored())
  t.match(document.certificateChain, /BEGIN CERTIFICATE/)
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4, 'and once is enough')
})

await t.test(
  'an internal certificate is asked for with a proof, and a bad answer changes nothing',
  async t => {
    const { node, controller, agent } = await scene(t)
    const internal = (await wish()).filter(isServer).map(tls => ({
      ...tls,
      trust: [controller.ca.certificatePem],
      certificate: { ...tls.certificate, issuer: 'internal' as const },
    }))
    const issue = controller.answerSign
    controller.answerSign = async () =>
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'

    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services: internal })))

    t.strictSame(
      agent.control.status().services.map(one => one.outcome),
      ['failed', 'failed'],
    )
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    controller.answerSign = issue
    await agent.afterPass(() => agent.advance(300_000))
    t.strictSame(
      agent.control.status().services.map(one => one.outcome),
      ['changed', 'changed'],
    )
    const [first] = controller.signed
    t.match(first, { service: 'prometheus', generation: 1, publicKey: /PUBLIC KEY/, proof: /./ })
    t.match(node.served('influxdb'), TLS)
  },
)

const refusal = (code: string) =>
  new OperationalError('identity-refused', `controller refused this node's identity: ${code}`, {
    details: { code, status: 403 },
    hint: 'Enrol the node with a new token: tlsfleet node token NAME',
  })

await t.test('a node that is refused says so, goes on, and takes up a new enrolment', async t => {
  const node = newNode()
  const { controller, agent } = await scene(t, {}, node)
  const services = await wish()
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  const served = node.served('influxdb')
  t.match(served, TLS)
  t.equal(agent.control.status().problem, undefined)

  await agent.afterPass(() => controller.refuse(refusal('identity-cloned')))
  const { problem } = agent.control.status()
  t.match(problem, { code: 'identity-refused', message: /identity-cloned; .*node token NAME/ })

  // Drift is healed and what was accepted stays, though nobody can be asked.
  node.files.put(CONF, (node.files.text(CONF) ?? '').replace('https-enabled = true', ''))
  await agent.afterPass(() => agent.wake('files'))
  t.match(node.files.text(CONF), /https-enabled = true/)
  t.equal(agent.control.status().generation, 1)
  t.equal(controller.renewed.length + controller.renewedLate.length, 0)

  const enrolled = createIdentity(node.nowMs(), 30 * DAY_MS)
  await storeIdentity(node.files, STATE, enrolled)
  controller.refuse(undefined)
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(agent.control.status().problem, undefined, 'without a restart')
  t.strictSame(controller.connected.at(-1), enrolled.certificateChain)
})

for (const [how, tell] of [
  ['at once where it is told', true],
  ['with its next pass', false],
] as const)
  await t.test(`whose controller is gone takes up a new enrolment ${how}`, async t => {
    const node = newNode()
    const { controller, agent } = await scene(t, {}, node)
    const services = await wish()
    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
    await seen('the report', () => controller.reports.at(-1)?.observedGeneration === 1)
    const changed = node.activations.length
    controller.leave()
    await seen('that nobody answers', () =>
      /controller_reachable.* 0$/m.test(agent.control.metrics()),
    )
    await agent.afterPass(() => agent.wake('files'))

    const enrolled = createIdentity(node.nowMs(), 30 * DAY_MS)
    await storeIdentity(node.files, STATE, enrolled)
    controller.comeBack()
    const reported = controller.reports.length
    await agent.afterPass(() => (tell ? agent.control.enrolled() : agent.advance(300_000 * 1.1)))
    t.strictSame(controller.connected.at(-1), enrolled.certificateChain)
    // Another controller has never heard of it.
    await seen('what was reported before', () => controller.reports.length > reported)
    t.equal(controller.reports.at(-1)?.observedGeneration, 1)
    t.equal(node.activations.length, changed, 'nothing is touched')
  })

await t.test('an enrolment that cannot be read is not looked at again and again', async t => {
  const node = newNode()
  const { files } = node
  const nowMs = () => node.nowMs()
  const identity = createIdentity(nowMs(), 30 * DAY_MS)
  const session = await createSession({
    host: { files, clock: { now: nowMs, monotonic: nowMs, sleep: async () => {} } },
    stateDirectory: STATE,
    identity,
    connect: () => createFakeController(nowMs).remote,
    log: silentLog,
    random: () => 0.5,
    onRefused: () => {},
  })
  files.put(`${STATE}/identity.json`, '{')
  session.lookAgain()
  t.equal(session.dueAtMs(), 0, 'at once')
  t.equal(await session.renewIfDue(new AbortController().signal), false)
  t.ok(session.dueAtMs() > nowMs(), 'and then in its time')
})

await t.test('one that has ended is renewed by proof of its key', async t => {
  const node = newNode()
  const identity = createIdentity(node.nowMs(), 10 * DAY_MS)
  node.advance(40 * DAY_MS)
  const { controller } = await scene(t, { identity }, node)

  await seen('the renewal', () => controller.renewedLate.length > 0)
  t.equal(controller.renewed.length, 0)
})
