import { randomBytes } from 'node:crypto'
import { cpSync, readFileSync } from 'node:fs'
import { connect, type ConnectionOptions } from 'node:tls'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { NodeView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { createAuthority, issueLeaf } from '../../../controller/ca/authority.ts'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { openAuthority } from '../../../controller/authorities.ts'
import { databasePath } from '../../../controller/init.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { until } from '../../lab/until.ts'
import { report, serviceReport } from './fake-agent.ts'
import {
  type AgentClient,
  agentClient,
  call,
  codeOf,
  joinFleet,
  newKey,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const DESIRED = `${AGENT_ROUTES.desired}?wait=0`
const DAY_MS = 86_400_000

/** What the other side says to one request with this TLS setup: a status, or the code of the failure. */
async function outcome(running: Running, tls: ConnectionOptions): Promise<string> {
  try {
    const { status, body } = await call({
      url: `${running.controller.urls.agent}${DESIRED}`,
      tls: { ca: running.controller.identityRoot, ...tls },
    })
    const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : 'ok'
    return `${status} ${String(code)}`
  } catch (error) {
    assert(error instanceof Error && 'code' in error, String(error))
    return String(error.code)
  }
}

/** The controller's own authorities, opened from a copy of its data. */
async function authoritiesOf(t: Parameters<typeof startController>[0], running: Running) {
  const copy = t.testdir({})
  for (const name of ['controller.db', 'controller.db-wal'])
    cpSync(`${running.dataDir}/${name}`, `${copy}/${name}`)
  const store = await openSqliteStore({ path: databasePath(copy), busyTimeoutMs: 100 })
  const sealing = createSealing(running.passphrase)
  const opened = await store.transaction(async tx => ({
    identity: await openAuthority(tx, { kind: 'identity', fleet: 'demo' }, sealing),
    service: await openAuthority(tx, { kind: 'service', fleet: 'demo' }, sealing),
  }))
  await store.close()
  return opened
}

await t.test('who may talk to the agent listener', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const n1 = await joinFleet(running, operator, 'n1')
  const { identity, service } = await authoritiesOf(t, running)
  const issuing = { nowMs: Date.now(), random: randomBytes }
  const key = await newKey()
  const { publicKeyPem } = key
  const asNode = { profile: 'identity', nodeId: 'n1', publicKeyPem, lifetimeMs: DAY_MS } as const
  const withCert = (cert: string) => ({ cert, key: key.privateKeyPem })

  await t.test('an enrolled agent may', async t => {
    t.equal((await n1.get(DESIRED)).status, 200)
  })

  await t.test('nobody without a certificate', async t => {
    t.equal(await outcome(running, {}), 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')
  })

  await t.test('no certificate of another CA, were it for the same node', async t => {
    const other = await createAuthority({ kind: 'identity', fleet: 'demo', ...issuing })
    const leaf = issueLeaf(other.intermediate, asNode, issuing)
    t.match(await outcome(running, withCert(leaf.chainPem)), /^(ECONNRESET|EPIPE|ERR_SSL_)/)
  })

  await t.test('no certificate of a service, were it for clients too', async t => {
    const leaf = issueLeaf(
      service.issuer,
      {
        profile: 'server-client',
        names: { dns: ['n1.example.org'], ip: [] },
        publicKeyPem,
        lifetimeMs: DAY_MS,
      },
      issuing,
    )
    t.match(await outcome(running, withCert(leaf.chainPem)), /^(ECONNRESET|EPIPE|ERR_SSL_)/)
  })

  await t.test('no certificate that has ended', async t => {
    const past = { ...issuing, nowMs: Date.now() - 2 * DAY_MS }
    const leaf = issueLeaf(identity.issuer, asNode, past)
    t.match(await outcome(running, withCert(leaf.chainPem)), /^(ECONNRESET|EPIPE|ERR_SSL_)/)
  })

  await t.test('not the controller itself: its certificate is for servers', async t => {
    const names = { dns: ['localhost'], ip: [] }
    const leaf = issueLeaf(
      identity.issuer,
      { profile: 'controller', names, publicKeyPem, lifetimeMs: DAY_MS },
      issuing,
    )
    t.match(await outcome(running, withCert(leaf.chainPem)), /^(ECONNRESET|EPIPE|ERR_SSL_)/)
  })

  await t.test(
    'no identity that this controller does not know of, though its CA signed it',
    async t => {
      const leaf = issueLeaf(identity.issuer, asNode, issuing)
      t.equal(await outcome(running, withCert(leaf.chainPem)), '403 identity-unknown')
    },
  )

  await t.test('no identity of another fleet', async t => {
    const foreign = { ...identity.issuer, fleet: 'other' }
    const leaf = issueLeaf(foreign, asNode, issuing)
    t.equal(await outcome(running, withCert(leaf.chainPem)), '403 identity-foreign')
  })

  await t.test('not with TLS 1.2, on any listener', async t => {
    const own = { cert: n1.certificateChain, key: n1.key.privateKeyPem }
    for (const url of Object.values(running.controller.urls)) {
      const code = await new Promise<string>(resolve => {
        const { hostname: host, port } = new URL(url)
        const tls = { ca: running.controller.identityRoot, maxVersion: 'TLSv1.2', ...own } as const
        const socket = connect({ host, port: Number(port), ...tls }, () => resolve('connected'))
        socket.once('error', error => resolve('code' in error ? String(error.code) : error.message))
      })
      t.equal(code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    }
  })

  await t.test('not when its identity ends while it is connected', async t => {
    running.advance(8 * DAY_MS)
    const answer = await n1.get(DESIRED)
    t.match([answer.status, codeOf(answer)], [403, 'identity-expired'])
    running.advance(-8 * DAY_MS)
  })

  await t.test('not once the node was removed; its connection is cut', async t => {
    const n2 = await joinFleet(running, operator, 'n2')
    const poll = n2.get(`${AGENT_ROUTES.desired}?wait=60000`)
    poll.catch(() => {})
    t.equal((await n2.get(DESIRED)).status, 200)
    const { presence } = running.controller.context
    await until(() => presence.count() === 1, { what: 'the poll waits at the controller' })

    t.equal((await operator('DELETE', '/v1/nodes/n2')).status, 204)

    await t.rejects(poll, { code: 'ECONNRESET' })
    const again = await n2.get(DESIRED)
    t.match([again.status, codeOf(again)], [403, 'identity-denied'])
    t.equal((await operator('GET', '/v1/nodes/n2')).status, 404)
    n2.close()
  })
  n1.close()
})

await t.test('what an agent can say', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const [n1, n2] = [
    await joinFleet(running, operator, 'n1'),
    await joinFleet(running, operator, 'n2'),
  ]
  t.teardown(() => [n1, n2].forEach(client => client.close()))
  const say = (client: AgentClient, body: unknown) => client.post(AGENT_ROUTES.report, body)

  await t.test('it reports about itself, whatever node it names', async t => {
    const body = report({ sequence: 1, services: [serviceReport('prometheus', 'failed')] })
    const answer = await say(n1, { ...body, node: 'n2' })

    t.strictSame([answer.status, answer.body], [200, { accepted: true }])
    t.match(parsed(NodeView, await operator('GET', '/v1/nodes/n1')), {
      agentVersion: 'fake',
      online: true,
    })
    t.strictSame(parsed(NodeView, await operator('GET', '/v1/nodes/n2')).services, [])
  })

  await t.test('a repeated or overtaken report changes nothing', async t => {
    t.strictSame((await say(n1, report({ sequence: 5, services: [] }))).body, { accepted: true })
    t.strictSame((await say(n1, report({ sequence: 5, services: [] }))).body, { accepted: false })
    t.strictSame((await say(n1, report({ sequence: 4, services: [] }))).body, { accepted: false })
  })

  await t.test('reports at once are all kept', async t => {
    const sequences = [11, 12, 13, 14]
    const answers = await Promise.all(
      sequences.flatMap(sequence =>
        [n1, n2].map(client => say(client, report({ sequence, services: [] }))),
      ),
    )
    t.ok(answers.every(({ status }) => status === 200))
  })

  await t.test('what is no report, too large, or a trap is refused', async t => {
    const malformed = await say(n1, { sequence: 'x' })
    t.match(malformed, {
      status: 400,
      body: { code: 'malformed-request', problems: [{ path: '/sequence' }] },
    })
    t.match(malformed.headers, {
      'content-type': /^application\/problem\+json/,
      'x-content-type-options': 'nosniff',
    })
    const proto = await say(n1, '{"__proto__": {"x": 1}, "sequence": 9}')
    t.match([proto.status, codeOf(proto)], [400, 'malformed-request'])
    const large = await say(n1, { filler: 'x'.repeat(300_000) })
    t.match([large.status, codeOf(large)], [413, 'body-too-large'])
    const signing = await n1.post(AGENT_ROUTES.sign, { filler: 'x'.repeat(40_000) })
    t.match([signing.status, codeOf(signing)], [413, 'body-too-large'])
    const strict = await n1.post(AGENT_ROUTES.lease, {
      purpose: 'rollout',
      generation: 1,
      digest: 'a'.repeat(64),
      extra: 1,
    })
    t.match([strict.status, codeOf(strict)], [400, 'malformed-request'])
    const text = await n1.post(AGENT_ROUTES.report, 'x', { 'content-type': 'text/plain' })
    t.match([text.status, codeOf(text)], [415, 'media-type-unsupported'])
    const protocol = await n1.post(AGENT_ROUTES.report, {}, { 'tlsfleet-protocol': '99' })
    t.match([protocol.status, codeOf(protocol)], [400, 'protocol-unsupported'])
    t.equal(Object.hasOwn(Object.prototype, 'x'), false)
  })

  await t.test('it answers only previews that it was asked for', async t => {
    const answer = await n1.post(AGENT_ROUTES.preview, { previewId: 'made-up', services: [] })
    t.strictSame(answer.body, { accepted: false })
  })

  await t.test('it renews its identity with a new key, and with that key again', async t => {
    const key = await newKey()
    const renew = (proofKey: typeof key, name = 'n1') =>
      n1.post(AGENT_ROUTES.renew, {
        publicKey: key.publicKeyPem,
        proof: signProof({ purpose: 'renew', context: [name], key: proofKey.privateKey }),
      })
    t.equal(codeOf(await renew(await newKey())), 'proof-invalid')
    t.equal(codeOf(await renew(key, 'n2')), 'proof-invalid')
    const renewed = await renew(key)
    t.equal(renewed.status, 200)
    t.equal((await renew(key)).text, renewed.text)
    const { certificateChain } = Object(renewed.body)
    const next = agentClient(running, { node: 'n1', key, certificateChain })
    t.equal((await next.get(DESIRED)).status, 200)
    next.close()
    const reused = await n2.post(AGENT_ROUTES.renew, {
      publicKey: key.publicKeyPem,
      proof: signProof({ purpose: 'renew', context: ['n2'], key: key.privateKey }),
    })
    t.match([reused.status, codeOf(reused)], [409, 'key-reused'])
  })
  t.notMatch(readFileSync(`${running.dataDir}/controller.db`, 'latin1'), /PRIVATE KEY/)
})
