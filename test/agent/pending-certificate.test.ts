// A certificate that others sign, from the agent's side: days may pass until it is there.

import { createPublicKey } from 'node:crypto'
import t, { type Test } from 'tap'
import { isServer, type ServiceTls } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { readCsr } from '../../shared/pki/csr-reader.ts'
import {
  CONF,
  lastOf,
  type Scene,
  scene,
  seen,
  summary,
  TLS,
  turns,
} from '../support/agent-scene.ts'
import { createFakeController, DAY_MS, documentOf } from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, passOnce, wish } from '../support/memory-fleet.ts'

const PENDING = new OperationalError('certificate-pending', 'it waits for the security team', {
  retryable: true,
})
const RELEASES = /^\/etc\/influxdb\/tls\/releases\/([0-9a-f]+)\//

/** The controller waits for somebody until `sign` is called. */
async function waiting(t: Test, more: { readonly issuer?: string } = {}) {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  let isSigned = false
  let lifetimeMs = 90 * DAY_MS
  controller.answerSign = async request => {
    if (!isSigned) throw PENDING
    return controller.ca.issue(request.publicKey, node.nowMs(), lifetimeMs)
  }
  const { issuer = 'csr' } = more
  const trust = [controller.ca.certificatePem]
  const wanted = { services: ['influxdb'], lifetime: '90d', trust }
  const services = await wish({ ...wanted, issuer })
  const agent = await startAgent(node, controller)
  t.teardown(() => agent.kill())
  const place: Scene = { node, controller, agent }
  return {
    ...place,
    services,
    trust,
    sign(answer = true, days = 90) {
      isSigned = answer
      lifetimeMs = days * DAY_MS
    },
    offer: (generation: number, offered: readonly ServiceTls[], stage = false) =>
      agent.afterPass(() =>
        controller.offer(
          documentOf({
            generation,
            services: offered,
            mode: stage ? 'stage' : 'enforce',
            permit: !stage,
          }),
        ),
      ),
    look: () => agent.afterPass(() => agent.wake('files')),
    told: () => agent.control.status().services[0],
    keys: () => keysOf(node.tree.keys()),
  }
}

/** Releases with a key and those with a chain. */
function keysOf(paths: Iterable<string>) {
  const all = [...paths].filter(path => RELEASES.test(path))
  const ids = (file: string) =>
    all.filter(path => path.endsWith(`/${file}`)).map(path => RELEASES.exec(path)?.[1] ?? '')
  return { keys: ids('key.pem'), chains: ids('chain.pem') }
}

await t.test('it is asked for with the names of the document, and nothing is switched', async t => {
  const place = await waiting(t)
  const plain = place.node.files.text(CONF)

  await place.offer(1, place.services)

  t.match(place.told(), {
    outcome: 'waiting',
    reason: { code: 'certificate-pending', message: /security team/ },
  })
  t.equal(place.node.files.text(CONF), plain)
  t.equal(place.node.served('influxdb'), 'plaintext')
  t.strictSame(place.controller.leases, [], 'nobody is asked for a permit')
  const [asked] = place.controller.signed
  const csr = readCsr(asked?.csr ?? '')
  t.strictSame(csr.names, { dns: ['localhost', 'n1'], ip: ['127.0.0.1'] })
  t.equal(csr.subject, 'CN=localhost')
  t.equal(
    createPublicKey(csr.publicKeyPem).equals(createPublicKey(asked?.publicKey ?? '')),
    true,
    'the request is for the key that is proven',
  )

  place.sign()
  await place.agent.afterPass(() => place.controller.nudge())
  t.strictSame(summary(place), { influxdb: 'changed' })
  t.match(place.node.served('influxdb'), TLS)
  t.equal(place.controller.signed[1]?.csr === undefined, false)
  t.equal(place.keys().keys.length, 1)
})

await t.test('it is asked for now and then, and at once when there is an answer', async t => {
  const place = await waiting(t)
  await place.offer(1, place.services)
  const asked = () => place.controller.signed.length

  for (let look = 0; look < 5; look++) await place.look()
  t.equal(asked(), 1, 'whatever wakes the loop')
  await place.agent.afterPass(() => place.agent.advance(50_000))
  t.equal(asked(), 2, 'by itself, after a while')
  place.agent.advance(50_000)
  await turns()
  await place.look()
  t.equal(asked(), 2, 'and less often then')
  await place.agent.afterPass(() => place.agent.advance(50_000))
  t.equal(asked(), 3)
  const before = asked()
  place.sign()
  await place.look()
  t.equal(asked(), before)
  await place.agent.afterPass(() => place.controller.nudge())
  t.equal(asked(), before + 1)
  t.strictSame(summary(place), { influxdb: 'changed' })
  const keys = new Set(place.controller.signed.map(({ publicKey }) => publicKey))
  t.equal(keys.size, 1, 'always with the same key')
})

await t.test('the key waits on the disk, also through a new process', async t => {
  const place = await waiting(t)
  await place.offer(1, place.services)
  place.agent.kill()
  const before = place.keys()

  place.sign()
  const next = await startAgent(place.node, place.controller)
  t.teardown(() => next.kill())

  t.match(next.control.status().services, [{ outcome: 'changed' }])
  t.strictSame(place.keys().keys, before.keys)
  t.strictSame(before.chains, [])
})

await t.test('while it is prepared nothing fails, and the rollout is told to wait', async t => {
  const place = await waiting(t, { issuer: 'acme' })

  await place.offer(1, place.services, true)
  t.match(place.told(), { outcome: 'waiting', reason: { code: 'certificate-pending' } })
  place.sign()
  await place.agent.afterPass(() => place.controller.nudge())

  t.strictSame(summary(place), { influxdb: 'staged' })
  t.equal(place.node.served('influxdb'), 'plaintext')
})

await t.test('at a renewal the one in use stays in use, and is kept up', async t => {
  const place = await waiting(t)
  place.sign(true, 30)
  await place.offer(1, place.services)
  await place.look()
  t.strictSame(summary(place), { influxdb: 'in-sync' })
  const leaf = place.node.served('influxdb')
  const good = place.node.files.text(CONF) ?? ''

  place.sign(false)
  await place.agent.afterPass(() => place.agent.advance(20 * DAY_MS))
  t.match(place.told(), {
    outcome: 'waiting',
    reason: { code: 'certificate-pending' },
    served: [{ ok: true, fingerprint: leaf }],
    changes: [{ kind: 'certificate', reason: { code: 'renewal-due' } }],
    corrective: false,
  })

  place.node.advance(1_000)
  place.node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  const asked = place.controller.signed.length
  await place.look()
  t.equal(place.node.files.text(CONF), good, 'an edit by hand is taken back')
  t.match(place.told(), { outcome: 'waiting', reason: { code: 'certificate-pending' } })
  t.equal(place.node.served('influxdb'), leaf)
  t.equal(place.controller.signed.length, asked, 'and nobody was asked because of it')
  t.equal(place.keys().keys.length, 2, 'the key that waits is still there')

  place.sign()
  await place.agent.afterPass(() => place.controller.nudge())
  t.match(place.node.served('influxdb'), TLS)
  t.not(place.node.served('influxdb'), leaf)
  await place.look()
  t.strictSame(summary(place), { influxdb: 'in-sync' })
})

await t.test('a renewal that an operator asked for is not forgotten while it waits', async t => {
  const place = await waiting(t)
  place.sign()
  await place.offer(1, place.services)
  const leaf = place.node.served('influxdb')
  place.sign(false)

  const [report] = await place.agent.control.renew(['influxdb'])
  t.match(report, { outcome: 'waiting' })
  await place.look()
  t.match(place.told(), { outcome: 'waiting' })
  place.sign()
  place.controller.nudge()

  await seen('the new leaf', () => place.node.served('influxdb') !== leaf)
  await seen('the end', () => summary(place)['influxdb'] === 'changed')
  await place.look()
  await seen('rest', () => summary(place)['influxdb'] === 'in-sync')
})

await t.test('another issuer than before is asked, also where the same CA is trusted', async t => {
  const place = await waiting(t)
  place.sign()
  await place.offer(1, issuedBy('internal', place.services))
  const internal = place.node.served('influxdb')
  t.match(internal, TLS)
  place.sign(false)

  await place.offer(2, place.services)
  t.match(place.told(), { outcome: 'waiting', changes: [{ reason: { code: 'issuer-changed' } }] })
  t.equal(place.node.served('influxdb'), internal)
  place.sign()
  await place.agent.afterPass(() => place.controller.nudge())
  t.not(place.node.served('influxdb'), internal)
  await place.look()
  t.strictSame(summary(place), { influxdb: 'in-sync' })
})

await t.test('what is in force is renewed without the key of what is prepared', async t => {
  const place = await waiting(t)
  const inForce = await wish({ services: ['influxdb'], lifetime: '90d' })
  await place.offer(1, inForce)
  await place.offer(2, place.services, true)
  t.match(place.told(), { outcome: 'waiting' })
  const [asked] = place.controller.signed

  // The self-signed one is due while the other waits.
  const leaf = place.node.served('influxdb')
  await place.agent.afterPass(() => place.agent.advance(75 * DAY_MS))
  t.not(place.node.served('influxdb'), leaf, 'renewed')
  place.sign()
  await place.agent.afterPass(() => place.controller.nudge())

  t.strictSame(summary(place), { influxdb: 'staged' })
  t.equal(lastOf(place.controller.signed)?.publicKey, asked?.publicKey)
})

await t.test('of two certificates only the one that is prepared is asked for', async t => {
  const place = await waiting(t)
  place.sign(true, 30)
  await place.offer(1, place.services)
  const leaf = place.node.served('influxdb')
  place.sign(false)
  const dns = ['n1', 'localhost', 'more']
  const { trust } = place
  const next = await wish({ services: ['influxdb'], issuer: 'csr', lifetime: '90d', dns, trust })
  await place.offer(2, next, true)

  // The one in force is due as well.
  await place.agent.afterPass(() => place.agent.advance(25 * DAY_MS))
  await place.look()

  const asked = place.controller.signed.filter(({ generation }) => generation === 2)
  t.ok(asked.length > 1)
  for (const { csr = '' } of asked) t.match(readCsr(csr).names.dns, ['localhost', 'more', 'n1'])
  t.equal(new Set(asked.map(({ publicKey }) => publicKey)).size, 1, 'with one key')
  t.equal(place.node.served('influxdb'), leaf)
  const { controller, node } = place
  controller.answerSign = async ({ publicKey }) =>
    controller.ca.issue(publicKey, node.nowMs(), 90 * DAY_MS, dns)
  await place.agent.afterPass(() => controller.nudge())
  t.strictSame(summary(place), { influxdb: 'staged' })
  await place.offer(3, next)
  t.not(place.node.served('influxdb'), leaf)
  t.equal(place.keys().keys.length, 2, 'no key is left that waits for nothing')
})

await t.test('an answer that does not fit is refused, and the key goes on waiting', async t => {
  const place = await waiting(t)
  const other = createFakeController(() => place.node.nowMs())
  place.controller.answerSign = async request =>
    other.ca.issue(request.publicKey, place.node.nowMs(), 90 * DAY_MS)
  await place.offer(1, place.services)
  t.match(place.told(), { outcome: 'failed', reason: { code: 'certificate-rejected' } })
  const { publicKey: own } = place.controller.signed[0] ?? {}
  place.controller.answerSign = async request =>
    place.controller.ca.issue(request.publicKey, place.node.nowMs(), 90 * DAY_MS, ['n2'])
  await place.look()
  t.match(place.told(), { outcome: 'failed', reason: { message: /does not cover localhost, n1/ } })

  // More names than asked for are the business of whoever signs.
  const names = ['n1', 'localhost', 'more']
  place.controller.answerSign = async request =>
    place.controller.ca.issue(request.publicKey, place.node.nowMs(), 90 * DAY_MS, names)
  await place.look()

  t.match(place.node.served('influxdb'), TLS)
  t.equal(lastOf(place.controller.signed)?.publicKey, own)
  await place.look()
  t.strictSame(summary(place), { influxdb: 'in-sync' })
})

await t.test('without a controller nobody signs, and it is said', async t => {
  const [report] = await passOnce(newNode(), await wish({ services: ['influxdb'], issuer: 'csr' }))

  t.match(report, { outcome: 'failed', reason: { code: 'issuer-unavailable' } })
})

function issuedBy(issuer: 'internal', services: readonly ServiceTls[]): readonly ServiceTls[] {
  return services.map(tls =>
    isServer(tls) ? { ...tls, certificate: { ...tls.certificate, issuer } } : tls,
  )
}

await t.test('drift is healed while a certificate cannot be had for another reason', async t => {
  const { node, controller, agent } = await scene(t)
  const trust = [controller.ca.certificatePem]
  const wanted = await wish({ services: ['influxdb'], issuer: 'csr', lifetime: '30d', trust })
  const internal = issuedBy('internal', wanted)
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 1, services: internal, permit: true })),
  )
  await agent.afterPass(() => agent.wake('files'))
  const good = node.files.text(CONF) ?? ''
  controller.answerSign = async () => {
    throw new OperationalError('request-refused', 'the CA is away', { retryable: true })
  }
  await agent.afterPass(() => agent.advance(25 * DAY_MS))
  t.match(agent.control.status().services, [{ outcome: 'failed' }])

  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), good)
  t.match(agent.control.status().services, [{ outcome: 'failed', served: [{ ok: true }] }])
  await seen('the report', () => lastOf(controller.reports)?.services[0]?.outcome === 'failed')
})
