// Issuer `files` on a running agent: a pair that another tool keeps is watched, judged, taken over when
// it is good, and never written.

import t from 'tap'
import type { Reason } from '../../shared/contract/schema.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { scene, seen } from '../support/agent-scene.ts'
import { createMemoryCa, DAY_MS, documentOf } from '../support/fake-controller.ts'
import { newNode, wish } from '../support/memory-fleet.ts'

const LIVE = '/etc/letsencrypt/live/n1'
const ARCHIVE = '/etc/letsencrypt/archive/n1'
const PATHS = { certificate: `${LIVE}/fullchain.pem`, privateKey: `${LIVE}/privkey.pem` }

interface Placed {
  readonly dns?: readonly string[]
  readonly lifetimeMs?: number
  /** The key of another certificate. */
  readonly foreignKey?: boolean
}

await t.test('certbot renews, and the service follows without a hand on its files', async t => {
  const node = newNode()
  const ca = createMemoryCa(node.nowMs())
  const written: string[] = []
  let isToolAtWork = false
  node.fault = (operation, path) => {
    if (!isToolAtWork) written.push(`${operation} ${path}`)
  }

  /** Writes a pair into the archive, as certbot numbers them. */
  async function archive(number: number, given: Placed = {}) {
    const { dns = ['n1', 'localhost'], lifetimeMs = 90 * DAY_MS } = given
    const keys = await generateKey('ec-p256')
    const other = await generateKey('ec-p256')
    const chain = ca.issue(keys.publicKeyPem, node.nowMs(), lifetimeMs, dns)
    node.files.put(`${ARCHIVE}/fullchain${number}.pem`, chain)
    const { privateKeyPem } = given.foreignKey === true ? other : keys
    node.files.put(`${ARCHIVE}/privkey${number}.pem`, privateKeyPem.reveal(), { mode: 0o600 })
    return certificateFacts(chain).fingerprint
  }
  /** Switches the links, as certbot does at the end. */
  async function switchTo(number: number) {
    isToolAtWork = true
    await node.files.switchLink(PATHS.certificate, `../../archive/n1/fullchain${number}.pem`)
    await node.files.switchLink(PATHS.privateKey, `../../archive/n1/privkey${number}.pem`)
    isToolAtWork = false
  }

  const first = await archive(1)
  node.files.put(`${LIVE}/README`, 'certbot')
  await switchTo(1)
  const { controller, agent } = await scene(
    t,
    { issuers: { files: { prometheus: PATHS }, localCa: undefined } },
    node,
  )
  const services = await wish({
    services: ['prometheus'],
    issuer: 'files',
    trust: [ca.certificatePem],
  })
  controller.offer(documentOf({ generation: 1, services }))
  await seen('the pair', () => node.served('prometheus') === first)
  await agent.afterPass(() => agent.wake('files'))

  for (const path of [
    PATHS.certificate,
    PATHS.privateKey,
    `${ARCHIVE}/fullchain1.pem`,
    `${ARCHIVE}/privkey1.pem`,
  ])
    t.ok(agent.watched().includes(path), `${path} is watched`)

  const second = await archive(2)
  await switchTo(2)
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.served('prometheus'), second)
  t.ok(agent.watched().includes(`${ARCHIVE}/fullchain2.pem`))
  t.notOk(agent.control.status().services[0]?.renewAtMs, 'its tool renews it')
  await agent.afterPass(() => agent.control.renew(['prometheus']))
  t.equal(node.served('prometheus'), second, 'the wish for a renewal is for its tool')

  // What is no good stays where it is, and is said.
  const told = (): Reason | undefined => {
    const [service] = agent.control.status().services
    return service?.outcome === 'failed' ? service.reason : service?.notices[0]
  }
  const bad = [
    [
      'half written: key and certificate differ',
      { foreignKey: true },
      'key-mismatch',
      /not taken over/,
    ],
    ['other names', { dns: ['other.example.org'] }, 'certificate-rejected', /does not cover/],
    ['already ended', { lifetimeMs: -10_000 }, 'certificate-rejected', /valid until/],
  ] as const
  for (const [index, [what, given, code, message]] of bad.entries()) {
    await archive(3 + index, given)
    await switchTo(3 + index)
    await agent.afterPass(() => agent.wake('files'))
    t.match(told(), { code, message }, what)
    t.equal(node.served('prometheus'), second, what)
  }
  const last = await archive(9)
  await switchTo(9)
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.served('prometheus'), last)

  t.strictSame(
    written.filter(line => line.includes('/etc/letsencrypt')),
    [],
  )
  t.equal(node.files.text(`${LIVE}/README`), 'certbot')
  t.ok(
    written.some(line => line.includes('/etc/prometheus/')),
    'the test would see it',
  )
})
