import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { createEnroll } from '../../../agent/edges/enroll.ts'
import { createRemote } from '../../../agent/edges/remote.ts'
import type { Identity } from '../../../agent/remote.ts'
import { Secret } from '../../../shared/secret.ts'
import { formatToken } from '../../../shared/pki/enrollment-token.ts'
import { spkiPin } from '../../../shared/pki/pin.ts'
import type { CertificateProfile } from '../../../shared/pki/profile.ts'
import { createTestCa, DAY_MS, type Leaf, type Pair } from './test-ca.ts'

const FLEET = 'prod'
const ca = createTestCa('identity root')
const controllerProfile = (uri: string, ip = '127.0.0.1'): CertificateProfile => ({
  kind: 'server',
  names: { dns: [], ip: [ip] },
  uris: [uri],
  clientAuth: false,
})
const controller = ca.issue({ profile: controllerProfile(`spiffe://${FLEET}/controller`) })
const nodeProfile: CertificateProfile = { kind: 'client', uris: [`spiffe://${FLEET}/node/es-1`] }
const signal = new AbortController().signal

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly protocol: unknown
  readonly body: unknown
}

interface Reply {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

interface FakeController {
  readonly url: string
  readonly server: Server
  readonly seen: Seen[]
  readonly connections: () => number
  /** Requests whose head arrived, once every connection is over. */
  readonly heard: () => Promise<number>
}

async function fakeController(
  t: Test,
  reply: (seen: Seen) => Reply | 'hang',
  { pair = controller, mutual = true }: { readonly pair?: Pair; readonly mutual?: boolean } = {},
): Promise<FakeController> {
  const seen: Seen[] = []
  const ends: Promise<unknown>[] = []
  let heads = 0
  const server = createServer({
    cert: pair.certificatePem,
    key: pair.keyPem,
    minVersion: 'TLSv1.3',
    ...(mutual ? { requestCert: true, rejectUnauthorized: true, ca: ca.certificatePem } : {}),
  })
  server.on('connection', socket =>
    ends.push(new Promise(resolve => socket.once('close', resolve))),
  )
  server.on('request', (request, response) => {
    heads++
    const answerTo = (body: unknown) => {
      const { method, url, headers } = request
      const one = { method, url, protocol: headers['tlsfleet-protocol'], body }
      seen.push(one)
      const answer = reply(one)
      if (answer === 'hang') return
      const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      response.writeHead(answer.status ?? 200, answer.headers ?? {}).end(text)
    }
    // A client that goes away in the middle of its request wants no answer.
    bodyOf(request).then(answerTo, () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `https://127.0.0.1:${port}`,
    server,
    seen,
    connections: () => ends.length,
    heard: () => Promise.all(ends).then(() => heads),
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  const text = Buffer.concat(chunks).toString()
  return text === '' ? undefined : JSON.parse(text)
}

function identity(agentUrl: string, leaf: Partial<Leaf> = {}, issuer = ca): Identity {
  const { certificatePem, keyPem } = issuer.issue({ profile: nodeProfile, ...leaf })
  return {
    fleet: FLEET,
    node: 'es-1',
    agentUrl,
    certificateChain: certificatePem,
    privateKey: new Secret(keyPem),
    identityTrust: [ca.certificatePem],
  }
}

function remoteTo(t: Test, url: string, more: Partial<Identity> = {}, requestTimeoutMs = 30_000) {
  const remote = createRemote({ identity: { ...identity(url), ...more }, requestTimeoutMs })
  t.teardown(() => remote.close())
  return remote
}

const desired = { generation: 3, waitMs: 1_000 }
const digest = 'a'.repeat(64)

await t.test('each method asks its route and understands the answer', async t => {
  const answers: Readonly<Record<string, Reply>> = {
    '/agent/v1/desired?wait=1000&generation=3': {
      body: { nowMs: 5, document: { any: 1 }, newField: 1 },
    },
    '/agent/v1/desired?wait=1000': { body: { nowMs: 5 } },
    '/agent/v1/desired?wait=1000&generation=3&epoch=9': { body: { nowMs: 6 } },
    '/agent/v1/report': { status: 204 },
    '/agent/v1/preview': { status: 202, body: '' },
    '/agent/v1/sign': { body: { certificateChain: '-----BEGIN CERTIFICATE-----' } },
    '/agent/v1/provided': {
      body: {
        certificateChain: '-----BEGIN CERTIFICATE-----',
        privateKey: '-----BEGIN PRIVATE KEY-----',
      },
    },
    '/agent/v1/renew': { body: { certificateChain: '-----BEGIN CERTIFICATE----- new' } },
    '/agent/v1/lease': { body: { granted: true, reason: { code: 'free', message: 'go' } } },
  }
  const fake = await fakeController(t, one => answers[one.url ?? ''] ?? { status: 404 })
  const remote = remoteTo(t, fake.url)
  const report = { sequence: 1, atMs: 1, agentVersion: '1', services: [], facts: {} }
  const sign = { service: 'influxdb', publicKey: 'P', proof: 'p', generation: 3 } as const

  t.same(await remote.desired(desired, signal), { nowMs: 5, document: { any: 1 } })
  t.same(await remote.desired({ ...desired, generation: undefined }, signal), { nowMs: 5 })
  t.same(await remote.desired({ ...desired, epoch: 9 }, signal), { nowMs: 6 })
  await remote.report(report, signal)
  await remote.preview({ previewId: 'x', services: [] }, signal)
  t.equal(await remote.sign(sign, signal), '-----BEGIN CERTIFICATE-----')
  const pair = await remote.provided({ service: 'kibana', generation: 3 }, signal)
  t.equal(pair.privateKey.reveal(), '-----BEGIN PRIVATE KEY-----')
  t.notMatch(JSON.stringify(pair), /PRIVATE/)
  const renewed = await remote.renew('P', 'p', signal)
  t.same(renewed, { certificateChain: '-----BEGIN CERTIFICATE----- new' })
  t.match(await remote.lease({ purpose: 'renewal', generation: 3, digest }, signal), {
    granted: true,
  })

  t.same(
    fake.seen.map(({ method, body }) => [method, body]),
    [
      ['GET', undefined],
      ['GET', undefined],
      ['GET', undefined],
      ['POST', report],
      ['POST', { previewId: 'x', services: [] }],
      ['POST', sign],
      ['POST', { service: 'kibana', generation: 3 }],
      ['POST', { publicKey: 'P', proof: 'p' }],
      ['POST', { purpose: 'renewal', generation: 3, digest }],
    ],
  )
  t.ok(fake.seen.every(one => one.protocol === '1'))
  t.equal(fake.connections(), 1, 'one connection is kept')
})

await t.test('only a controller of this fleet at this address is asked anything', async t => {
  const other = createTestCa('identity root')
  const good = `spiffe://${FLEET}/controller`
  const impostors: Readonly<Record<string, Pair>> = {
    'a node with a server name': ca.issue({
      profile: controllerProfile(`spiffe://${FLEET}/node/es-2`),
    }),
    'controller of another fleet': ca.issue({
      profile: controllerProfile('spiffe://test/controller'),
    }),
    'another address': ca.issue({ profile: controllerProfile(good, '127.0.0.2') }),
    'another CA of the same name': other.issue({ profile: controllerProfile(good) }),
    'an expired controller': ca.issue({
      profile: controllerProfile(good),
      startsIn: -9,
      endsIn: -1,
    }),
    'a client certificate': ca.issue({ profile: nodeProfile }),
    'a controller that is a client as well': ca.issue({
      profile: {
        kind: 'server',
        names: { dns: [], ip: ['127.0.0.1'] },
        uris: [good],
        clientAuth: true,
      },
    }),
  }

  for (const [name, pair] of Object.entries(impostors)) {
    const fake = await fakeController(t, () => ({ body: { nowMs: 1 } }), { pair, mutual: false })
    await t.rejects(
      remoteTo(t, fake.url).desired(desired, signal),
      {
        code: 'controller-unreachable',
        retryable: true,
        details: { reason: 'controller-not-trusted' },
      },
      name,
    )
    t.equal(await fake.heard(), 0, `${name} learns nothing`)
  }
})

await t.test(
  'an identity that is no good is told apart from a controller that is away',
  async t => {
    const fake = await fakeController(t, () => ({ body: { nowMs: 1 } }))
    const expired = identity(fake.url, { startsIn: -9, endsIn: -1 })
    const foreign = identity(fake.url, {}, createTestCa())

    await t.rejects(remoteTo(t, fake.url, expired).desired(desired, signal), {
      code: 'identity-refused',
      retryable: false,
      message: /it expired on/,
    })
    // Nothing in a connection that breaks says why.
    await t.rejects(remoteTo(t, fake.url, foreign).desired(desired, signal), {
      code: /^(identity-refused|controller-unreachable)$/,
    })
    fake.server.close()
    fake.server.closeAllConnections()
    await t.rejects(remoteTo(t, fake.url, expired).desired(desired, signal), {
      code: 'controller-unreachable',
      details: { errno: 'ECONNREFUSED' },
    })
  },
)

await t.test('a refusal carries what the controller said', async t => {
  const problem = (status: number, code: string, more = {}) => ({
    status,
    body: { type: 'about:blank', title: 'no', status, code, ...more },
  })
  const replies: readonly Reply[] = [
    problem(409, 'stale-generation', { hint: 'ask again', requestId: 'r1' }),
    { ...problem(429, 'too-many'), headers: { 'retry-after': '7' } },
    problem(401, 'identity-denied'),
    problem(403, 'identity-denied'),
    problem(403, 'names-missing'),
    { status: 502, body: '<html>' },
    { status: 302, headers: { location: 'https://elsewhere.test/' } },
    { body: 'not json' },
    { body: { nowMs: 'soon' } },
    { body: '' },
    { body: 'x'.repeat(1_100_000) },
  ]
  let next = 0
  const fake = await fakeController(t, () => replies[next++] ?? {})
  const remote = remoteTo(t, fake.url)

  for (const expected of [
    {
      code: 'request-refused',
      retryable: false,
      hint: 'ask again',
      details: { code: 'stale-generation', status: 409, requestId: 'r1' },
    },
    { code: 'request-refused', retryable: true, details: { code: 'too-many', retryAfterMs: 7000 } },
    { code: 'identity-refused' },
    { code: 'identity-refused' },
    { code: 'request-refused', details: { code: 'names-missing' } },
    { code: 'request-refused', retryable: true, details: { code: 'http-502' } },
    { code: 'request-refused', details: { code: 'http-302' } },
    { code: 'malformed-answer' },
    { code: 'malformed-answer' },
    { code: 'malformed-answer' },
    { code: 'malformed-answer' },
  ])
    await t.rejects(remote.desired(desired, signal), expected)
})

await t.test(
  'a request ends with its time, with its signal, and survives a stale connection',
  async t => {
    const silent = await fakeController(t, () => 'hang')
    const patient = remoteTo(t, silent.url, {}, 60)
    const aborted = new AbortController()

    await t.rejects(patient.lease({ purpose: 'renewal', generation: 1, digest }, signal), {
      code: 'controller-unreachable',
      retryable: true,
    })
    const poll = patient.desired(desired, aborted.signal)
    aborted.abort()
    await t.rejects(poll, { code: 'controller-unreachable' })

    let count = 0
    const fake = await fakeController(t, () => ({ body: { nowMs: ++count } }))
    const remote = remoteTo(t, fake.url)
    await remote.desired(desired, signal)
    // The server gives up the kept connection at the very moment of the next request.
    fake.server.once('request', request => request.socket.destroy())
    t.match(await remote.desired(desired, signal), { nowMs: 3 })
    t.equal(fake.connections(), 2)
  },
)

const enrolment = {
  publicKeyPem: 'PUBLIC',
  prove: (id: string) => `proof of ${id}`,
  facts: { os: 'linux' },
}
const answer = {
  fleet: FLEET,
  node: 'es-1',
  certificateChain: '-----BEGIN CERTIFICATE-----',
  identityTrust: ['-----BEGIN CERTIFICATE-----'],
  agentUrl: 'https://c.test:7443',
}

function tokenFor(enrollUrl: string, pin = spkiPin(ca.certificatePem)): string {
  const secret = new Secret(randomBytes(32).toString('base64url'))
  return formatToken({ id: '0123456789abcdef', secret, pin, enrollUrl }).reveal()
}

await t.test('a node joins the fleet whose CA its token pins', async t => {
  const pair = { ...controller, certificatePem: controller.certificatePem + ca.certificatePem }
  const fake = await fakeController(t, () => ({ body: answer }), { pair, mutual: false })
  const enroll = createEnroll()

  t.same(await enroll({ ...enrolment, token: tokenFor(fake.url), nowMs: Date.now() }), answer)
  t.match(fake.seen, [
    {
      method: 'POST',
      url: '/enroll/v1/enroll',
      protocol: '1',
      body: {
        tokenId: '0123456789abcdef',
        tokenSecret: /^[\w-]{43}$/,
        publicKey: 'PUBLIC',
        proof: 'proof of 0123456789abcdef',
        facts: { os: 'linux' },
      },
    },
  ])
})

await t.test('nothing is sent to a server that the pin does not vouch for', async t => {
  const chain = { ...controller, certificatePem: controller.certificatePem + ca.certificatePem }
  const elsewhere = ca.issue({
    profile: controllerProfile(`spiffe://${FLEET}/controller`, '127.0.0.9'),
  })
  const otherPin = spkiPin(createTestCa().certificatePem)
  const cases: readonly (readonly [string, Pair, string | undefined, number])[] = [
    ['another CA', chain, otherPin, 0],
    ['the pinned CA is not shown', controller, undefined, 0],
    [
      'another address',
      { ...elsewhere, certificatePem: elsewhere.certificatePem + ca.certificatePem },
      undefined,
      0,
    ],
    ['expired', chain, undefined, 2 * DAY_MS],
  ]

  for (const [name, pair, pin, later] of cases) {
    const fake = await fakeController(t, () => ({ body: answer }), { pair, mutual: false })
    const request = { ...enrolment, token: tokenFor(fake.url, pin), nowMs: Date.now() + later }
    await t.rejects(createEnroll()(request), { code: 'wrong-ca-pin' }, name)
    t.equal(await fake.heard(), 0, name)
  }
})

await t.test('a failed enrolment says why', async t => {
  const pair = { ...controller, certificatePem: controller.certificatePem + ca.certificatePem }
  const used = { status: 409, body: { type: 'x', title: 'x', status: 409, code: 'token-used' } }
  const fake = await fakeController(t, () => used, { pair, mutual: false })
  const silent = await fakeController(t, () => 'hang', { pair, mutual: false })
  const join = (token: string, timeoutMs = 30_000) =>
    createEnroll({ timeoutMs })({ ...enrolment, token, nowMs: Date.now() })

  await t.rejects(join(tokenFor(fake.url)), {
    code: 'request-refused',
    details: { code: 'token-used' },
  })
  const late = { code: 'controller-unreachable', retryable: true }
  await t.rejects(join(tokenFor(silent.url), 100), late)
  await t.rejects(join('tfe1.nonsense'), { code: 'token-malformed' })
  await t.rejects(join(tokenFor('https://127.0.0.1:1')), {
    code: 'controller-unreachable',
    details: { errno: 'ECONNREFUSED' },
  })
})
