// Issuer `provided` at the controller: upload, who may read what, to whom a key is delivered, and where
// it is not to be found.

import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { parseProvidedAnswer } from '../../../shared/contract/agent-api.ts'
import {
  NodeView,
  OPERATOR_ROUTES,
  RolloutList,
  RolloutView,
} from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { ProvidedList, ProvidedStored, ProvidedView } from '../../../shared/contract/provided.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { describeOperatorApi } from '../../../controller/api/describe.ts'
import { checkBackup } from '../../../controller/backup/check.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { createTestCa, DAY_MS, type Holder, keyPemOf } from '../../shared/pki/support.ts'
import {
  type AgentClient,
  codeOf,
  joinFleet,
  operatorOf,
  parsed,
  type Running,
  startController,
  type Operator,
} from './support.ts'

const nowMs = Date.now()
const publicCa = createTestCa('public')
const root = publicCa.make({
  profile: { kind: 'root' },
  name: 'public root now',
  nowMs,
  lifetimeMs: 3650 * DAY_MS,
})
const intermediate = publicCa.make({
  profile: { kind: 'intermediate' },
  name: 'public now',
  issuer: root,
  nowMs,
  lifetimeMs: 1000 * DAY_MS,
})

function leaf(dns: readonly string[], lifetimeMs = 40 * DAY_MS): Holder {
  return publicCa.server(dns, [], { issuer: intermediate, nowMs, lifetimeMs })
}

function body({ pem, keyPem }: Holder) {
  return { certificateChain: `${pem}${intermediate.pem}`, privateKey: keyPem }
}

const fingerprintOf = ({ pem }: Holder) => certificateFacts(pem).fingerprint
const WILDCARD = `${OPERATOR_ROUTES.provided}/wildcard`

const SPEC = `
version: 1
fleet: demo
services:
  - service: kibana
    nodes: { names: [n1, n2] }
    issuer: provided
    provided: wildcard
    names: dns
  - { service: prometheus, nodes: { names: [n1, n3] } }
`

async function start(t: Parameters<typeof startController>[0]) {
  const running = await startController(t, { publicRoots: [root.pem] })
  const operator = operatorOf(running)
  return { running, operator }
}

await t.test(
  'a pair is uploaded, shown without its key, and replaced by its next version',
  async t => {
    const { running, operator } = await start(t)
    const [first, second] = [
      leaf(['*.example.org']),
      leaf(['*.example.org', 'example.org'], 20 * DAY_MS),
    ]

    const created = await operator('PUT', WILDCARD, body(first))
    t.equal(created.status, 201)
    t.match(parsed(ProvidedStored, created), {
      isUnchanged: false,
      outdated: [],
      provided: {
        name: 'wildcard',
        fingerprint: fingerprintOf(first),
        names: { dns: ['*.example.org'], ip: [] },
        isPublic: true,
        uploadedBy: 'admin',
        problems: [],
        warnings: [],
        usedBy: [],
        previous: [],
      },
    })
    t.match(parsed(ProvidedStored, await operator('PUT', WILDCARD, body(first))), {
      isUnchanged: true,
    })
    const replaced = await operator('PUT', WILDCARD, body(second))
    t.equal(replaced.status, 200)
    const shown = await operator('GET', WILDCARD)
    t.match(parsed(ProvidedView, shown), {
      fingerprint: fingerprintOf(second),
      previous: [{ fingerprint: fingerprintOf(first) }],
    })
    const list = await operator('GET', OPERATOR_ROUTES.provided)
    t.equal(parsed(ProvidedList, list).provided.length, 1)
    running.advance(15 * DAY_MS)
    t.match((await operator('GET', WILDCARD)).body, { warnings: [{ code: 'ends-soon' }] })
    running.advance(6 * DAY_MS)
    t.match((await operator('GET', WILDCARD)).body, { problems: [{ code: 'expired' }] })
    for (const answer of [created, replaced, shown, list])
      t.notMatch(answer.text, /PRIVATE|keySealed/)

    t.equal((await operator('DELETE', WILDCARD)).status, 204)
    t.strictSame((await operator('GET', WILDCARD)).status, 404)
    t.strictSame((await operator('DELETE', WILDCARD)).status, 404)
  },
)

await t.test('what is not fit to be served is refused, with the reason and what to do', async t => {
  const { running, operator } = await start(t)
  const good = leaf(['*.example.org'])
  const other = leaf(['other.example.org'])
  const encrypted = good.key.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const long = leaf(['*.example.org'], 300 * DAY_MS)
  const table = [
    [
      'a key with a passphrase',
      { ...body(good), privateKey: encrypted.toString() },
      /passphrase/,
      /openssl pkey/,
    ],
    [
      'another key',
      { ...body(good), privateKey: other.keyPem },
      /does not belong/,
      /different requests/,
    ],
    [
      'no intermediate',
      { ...body(good), certificateChain: good.pem },
      /issuer of certificate/,
      /every certificate but the root/,
    ],
    ['a life that no public CA may give', body(long), /300 days/, /public CAs/],
  ] as const
  for (const [what, given, detail, hint] of table) {
    const answer = await operator('PUT', WILDCARD, given)
    t.match(answer, { status: 422, body: { code: 'provided-refused', detail, hint } }, what)
    t.notMatch(answer.text, /PRIVATE/, what)
  }
  const malformed = [
    {},
    { ...body(good), more: 1 },
    { certificateChain: good.pem },
    { ...body(good), privateKey: 'x'.repeat(17_000) },
  ]
  for (const given of malformed)
    t.match(await operator('PUT', WILDCARD, given), {
      status: 400,
      body: { code: 'malformed-request' },
    })
  const large = { ...body(good), trust: ['-----BEGIN '.padEnd(200_000, 'x')] }
  t.match(await operator('PUT', WILDCARD, large), { status: 413 })
  t.equal((await operator('PUT', `${OPERATOR_ROUTES.provided}/Wild*`, body(good))).status, 400)
  t.strictSame((await operator('GET', OPERATOR_ROUTES.provided)).body, { provided: [] })
  t.notMatch(running.log.join(''), /PRIVATE/)

  const [viewer, plain] = [
    operatorOf(running, running.viewerToken),
    operatorOf(running, running.operatorToken),
  ]
  for (const caller of [viewer, plain])
    for (const [method, given] of [
      ['PUT', body(good)],
      ['DELETE', undefined],
    ] as const)
      t.match(await caller(method, WILDCARD, given), {
        status: 403,
        body: { code: 'role-insufficient' },
      })
  t.equal((await viewer('GET', OPERATOR_ROUTES.provided)).status, 200)
})

async function generationOf(operator: Operator, node: string): Promise<number> {
  const { generation = 0 } = parsed(NodeView, await operator('GET', `/v1/nodes/${node}`))
  return generation
}

/** Each node asks for each service, at its own generation and at the next. */
async function askAll(operator: Operator, clients: readonly AgentClient[]) {
  const found: string[] = []
  for (const client of clients)
    for (const service of ['kibana', 'prometheus', 'influxdb'])
      for (const ahead of [0, 1]) {
        const generation = (await generationOf(operator, client.node)) + ahead
        const answer = await client.post(AGENT_ROUTES.provided, { service, generation })
        found.push(
          `${client.node} ${service} ${ahead}: ${answer.status} ${answer.status === 200 ? 'pair' : JSON.stringify(codeOf(answer))}`,
        )
      }
  return found
}

await t.test(
  'a key is delivered to the nodes and services that are to have it, and to no others',
  async t => {
    const { running, operator } = await start(t)
    const clients: AgentClient[] = []
    for (const name of ['n1', 'n2', 'n3']) clients.push(await joinFleet(running, operator, name))
    t.teardown(() => clients.forEach(client => client.close()))
    const [n1] = clients
    const pair = leaf(['*.example.org'])
    await operator('PUT', WILDCARD, body(pair))
    parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: 0 }))

    t.strictSame(
      (await askAll(operator, clients)).filter(one => !one.includes('403')),
      [
        'n1 kibana 0: 200 pair',
        'n1 kibana 1: 409 "stale-generation"',
        'n2 kibana 0: 200 pair',
        'n2 kibana 1: 409 "stale-generation"',
      ],
    )
    const generation = await generationOf(operator, 'n1')
    const answer = await n1?.post(AGENT_ROUTES.provided, { service: 'kibana', generation })
    t.strictSame(parseProvidedAnswer(answer?.body), {
      certificateChain: body(pair).certificateChain,
      privateKey: pair.keyPem,
    })
    t.equal(answer?.headers['cache-control'], 'no-store')
    const forged = { service: 'kibana', generation, node: 'n1', name: 'wildcard' }
    t.match(await clients[2]?.post(AGENT_ROUTES.provided, forged), { status: 400 })

    await t.test('both are in the audit log', async t => {
      await running.controller.close()
      const store = await openSqliteStore({ path: databaseOf(running), busyTimeoutMs: 2_000 })
      const audit = await store.transaction(tx => tx.audit.list({ after: 0, limit: 500 }))
      await store.close()
      const entries = audit.filter(({ action }) => action.startsWith('provided-'))
      const lines = entries.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`)
      const { fingerprint } = certificateFacts(pair.pem)
      t.ok(lines.includes(`admin provided-upload wildcard/${fingerprint}`))
      t.ok(lines.includes(`node:n1 provided-deliver n1/kibana/wildcard/${fingerprint}`))
      t.ok(lines.includes('node:n3 provided-deny n3/kibana'))
      t.equal(lines.filter(line => line.includes('provided-deliver')).length, 3)
      t.equal(lines.filter(line => line.includes('provided-deny')).length, 14)
      t.notMatch(JSON.stringify(audit), /PRIVATE/)
      await running.restart()
    })
  },
)

await t.test('a node can ask so often and no more; a locked one not at all', async t => {
  const { running, operator } = await start(t)
  const client = await joinFleet(running, operator, 'n1')
  t.teardown(() => client.close())
  const ask = async () =>
    (await client.post(AGENT_ROUTES.provided, { service: 'kibana', generation: 1 })).status
  t.equal(await ask(), 403)
  let status = 403
  for (let asked = 1; status === 403 && asked < 400; asked++) status = await ask()
  t.equal(status, 429)
  await operator('POST', '/v1/nodes/n1/revoke')
  const refused = await client
    .post(AGENT_ROUTES.provided, { service: 'kibana', generation: 1 })
    .then(
      ({ status, body: problem }) => `${status} ${JSON.stringify(problem)}`,
      () => 'cut off',
    )
  t.match(refused, /identity-revoked|cut off/)
})

await t.test(
  'versions stay as long as somebody has them, pairs as long as a spec names them',
  async t => {
    const { running, operator } = await start(t)
    const client = await joinFleet(running, operator, 'n1')
    t.teardown(() => client.close())
    const [first, second] = [leaf(['*.example.org']), leaf(['*.example.org'])]
    const spec = SPEC.replace('[n1, n2]', '[n1]').replace(/^.*prometheus.*$/m, '')
    const unknown = await operator('POST', '/v1/plans', { spec, waitMs: 0 })
    t.match(unknown, {
      status: 422,
      body: {
        problems: [
          {
            line: 8,
            column: 15,
            path: 'services[0].provided',
            message: /no pair named `wildcard`/,
          },
        ],
      },
    })

    await operator('PUT', WILDCARD, body(first))
    parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec, waitMs: 0 }))
    const stored = parsed(ProvidedStored, await operator('PUT', WILDCARD, body(second)))
    t.match(stored.outdated, [{ node: 'n1', service: 'kibana', fingerprint: fingerprintOf(first) }])
    const generation = await generationOf(operator, 'n1')
    const answer = await client.post(AGENT_ROUTES.provided, { service: 'kibana', generation })
    t.equal(parseProvidedAnswer(answer.body).privateKey, first.keyPem, 'what its document says')

    t.match(await operator('DELETE', WILDCARD), {
      status: 409,
      body: { code: 'provided-in-use', detail: 'pair wildcard is used by n1' },
    })
    // The node does not answer: its rollout is given up, and its document is the old one again.
    const [rollout] = parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts
    await operator('POST', `/v1/rollouts/${rollout?.id}/abort`)
    t.match(await operator('DELETE', WILDCARD), { status: 409 }, 'the latest spec names it')
    const plain = spec.replace(/\n    issuer: provided\n    provided: wildcard\n/, '\n')
    const other = await operator('POST', '/v1/rollouts', { spec: plain, waitMs: 0 })
    t.equal(other.status, 201, other.text)
    t.match(await operator('DELETE', WILDCARD), { status: 204 })
  },
)

function databaseOf({ dataDir }: Running): string {
  return join(dataDir, 'controller.db')
}

/** Spellings of a key that would give it away. */
function traces(pair: Holder): readonly Buffer[] {
  const der = pair.key.export({ type: 'pkcs8', format: 'der' })
  const { d = '' } = pair.key.export({ format: 'jwk' })
  const scalar = Buffer.from(d, 'base64url')
  const lines = keyPemOf(pair.key).split('\n')
  return [
    der,
    scalar,
    ...[lines[1] ?? '', der.toString('base64'), der.toString('hex'), d, scalar.toString('hex')].map(
      text => Buffer.from(text),
    ),
    Buffer.from('PRIVATE KEY'),
  ]
}

await t.test('neither disk nor backup nor log holds a key in clear', async t => {
  const { running, operator } = await start(t)
  const pair = leaf(['*.example.org'])
  await operator('PUT', WILDCARD, body(pair))
  const { privateKey } = body(pair)
  t.ok(
    traces(pair).every(trace => trace.length >= 11),
    'long enough to be no accident',
  )
  t.ok(Buffer.from(privateKey).includes(traces(pair)[2] ?? ''), 'the test would find it')

  const files = readdirSync(running.dataDir).map(
    name => [name, readFileSync(join(running.dataDir, name))] as const,
  )
  const archive = await backupOf(running)
  const log = Buffer.from(running.log.join(''))
  const places = [...files, ['backup', archive], ['log', log]] as const
  t.ok(files.some(([name]) => name === 'controller.db'))
  for (const [name, content] of places)
    for (const trace of traces(pair)) t.notOk(content.includes(trace), name)
  const path = join(t.testdir({}), 'backup')
  writeFileSync(path, archive)
  t.match(await checkBackup(path, running.passphrase), { nodes: 0 }, 'with the passphrase it opens')

  await running.controller.close()
  const closed = readFileSync(databaseOf(running))
  for (const trace of traces(pair)) t.notOk(closed.includes(trace), 'the database at rest')
  // What is sealed for one pair is not the key of another.
  const database = new DatabaseSync(databaseOf(running))
  database.exec("update provided set name = 'other'")
  database.close()
  const again = await running.restart()
  writeFileSync(path, await backupOf(again))
  const problem = await checkBackup(path, running.passphrase).catch((error: unknown) => error)
  t.match(problem, { code: 'sealed-key-tampered' })
})

/** As bytes: a backup is no text. */
async function backupOf({ controller, adminToken }: Running): Promise<Buffer> {
  const options = {
    headers: { authorization: `Bearer ${adminToken}` },
    ca: controller.identityRoot,
    agent: new Agent({ keepAlive: false }),
  }
  const [response] = await once(
    get(`${controller.urls.operator}${OPERATOR_ROUTES.backup}`, options),
    'response',
  )
  return buffer(response)
}

await t.test('in the API description the key goes in and nothing like it comes out', async t => {
  const description = JSON.stringify(await describeOperatorApi('1.2.3'))
  const mentions = [...description.matchAll(/"privateKey":\{[^}]*\}/g)].map(([text]) => text)
  t.equal(mentions.length, 1)
  t.match(mentions[0], '"writeOnly":true')
})
