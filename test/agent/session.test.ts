// The agent's standing with its controller: its identity, and what it signs for.

import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { newIdentityKey } from '../../agent/identity.ts'
import { CONF, scene, TLS } from '../support/agent-scene.ts'
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
      list.map(tls => ({
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
  await agent.afterPass(() => agent.advance(0.2 * DAY_MS))
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

  controller.answerRenew = issue
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4)
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
    const internal = (await wish()).map(tls => ({
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
