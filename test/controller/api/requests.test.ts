// Certificates that others sign, over the API: asked for by agents, listed, exported, imported, refused.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseDesiredAnswer, SignAnswer } from '../../../shared/contract/agent-api.ts'
import {
  CertificateImportAnswer,
  CertificateRequestList,
  CertificateRequestView,
} from '../../../shared/contract/certificate-requests.ts'
import { OPERATOR_ROUTES, RolloutList } from '../../../shared/contract/operator-api.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { readCsr } from '../../../shared/pki/csr-reader.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { until } from '../../lab/until.ts'
import { createPrivateCa, DAY_MS, type LeafWish, type PrivateCa } from '../issuers/private-ca.ts'
import { startFakeAgent } from './fake-agent.ts'
import {
  type AgentClient,
  type Answer,
  codeOf,
  joinFleet,
  type Key,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const NAMES = (node: string) => ({ dns: [`${node}.example.org`], ip: ['10.1.2.3'] })

function specOf(ca: PrivateCa, change = ''): string {
  const pem = (text: string) => JSON.stringify(text)
  return `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all, issuer: csr, lifetime: 365d, renewBefore: 30d, trust: [${pem(ca.root)}] ${change} }
`
}

interface Scene {
  readonly running: Running
  readonly operator: Operator
  readonly ca: PrivateCa
  readonly agents: readonly AgentClient[]
}

async function scene(t: Test, nodes: readonly string[] = ['n1']): Promise<Scene> {
  const running = await startController(t)
  const operator = operatorOf(running)
  const ca = createPrivateCa(Date.now())
  const agents: AgentClient[] = []
  for (const node of nodes) agents.push(await joinFleet(running, operator, node))
  t.teardown(() => agents.forEach(agent => agent.close()))
  await apply({ running, operator, ca, agents }, specOf(ca))
  return { running, operator, ca, agents }
}

/** Resolves when every node has a document of this spec to look at. */
async function apply({ operator, agents }: Scene, text: string): Promise<void> {
  const before = await Promise.all(agents.map(generationOf))
  // One that waits for its certificates waits for ever here.
  const { rollouts } = parsed(RolloutList, await operator('GET', '/v1/rollouts'))
  for (const { id } of rollouts) await operator('POST', `/v1/rollouts/${id}/abort`)
  // Nobody would say what it would change.
  const body = { spec: text, waitMs: 0 }
  await until(async () => (await operator('POST', '/v1/rollouts', body)).status === 201, {
    what: 'a rollout',
    everyMs: 20,
  })
  for (const [index, agent] of agents.entries())
    await until(async () => (await generationOf(agent)) > (before[index] ?? 0), {
      what: `a document for ${agent.node}`,
      everyMs: 20,
    })
}

async function generationOf(agent: AgentClient): Promise<number> {
  const answer = parseDesiredAnswer((await agent.get(`${AGENT_ROUTES.desired}?wait=0`)).body)
  return answer.document === undefined ? 0 : parseDesiredState(answer.document).generation
}

interface Asked {
  readonly key: Key
  readonly csr?: string | undefined
  readonly names?: { readonly dns: readonly string[]; readonly ip: readonly string[] }
}

async function ask(agent: AgentClient, asked: Asked): Promise<Answer> {
  const { key, names = NAMES(agent.node) } = asked
  const csr = 'csr' in asked ? asked.csr : buildCsr({ key: key.privateKey, names })
  const service = 'prometheus'
  return agent.post(AGENT_ROUTES.sign, {
    service,
    generation: await generationOf(agent),
    publicKey: key.publicKeyPem,
    proof: signProof({ purpose: 'sign', context: [agent.node, service], key: key.privateKey }),
    ...(csr === undefined ? {} : { csr }),
  })
}

async function listed({ operator }: Scene, query = ''): Promise<readonly CertificateRequestView[]> {
  const answer = await operator('GET', `${OPERATOR_ROUTES.certificateRequests}${query}`)
  return parsed(CertificateRequestList, answer).requests
}

async function importAll({ operator }: Scene, pems: readonly string[]) {
  const certificates = pems.map((pem, index) => ({ source: `${index}`, pem }))
  const path = OPERATOR_ROUTES.certificateRequestImport
  return parsed(CertificateImportAnswer, await operator('POST', path, { certificates })).results
}

await t.test('while a csr is waited for, what is in force is renewed by our own CA', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const ca = createPrivateCa(Date.now())
  const agent = await joinFleet(running, operator, 'n1')
  t.teardown(() => agent.close())
  const place = { running, operator, ca, agents: [agent] }
  const fake = startFakeAgent(agent)
  const internal = 'version: 1\nfleet: demo\nservices:\n  - { service: prometheus, nodes: all }\n'
  await apply(place, internal)
  const statusIs = async (wanted: string) =>
    parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts[0]?.status === wanted
  await until(() => statusIs('succeeded'), { what: 'what is in force', everyMs: 20 })
  await fake.stop()
  const key = await newKey()
  t.match(parsed(SignAnswer, await ask(agent, { key, csr: undefined })), {
    certificateChain: String,
  })

  const body = { spec: specOf(ca), waitMs: 0 }
  t.equal((await operator('POST', '/v1/rollouts', body)).status, 201)
  await until(async () => (await stagedIssuer(agent)) === 'csr', {
    what: 'the new content is prepared',
    everyMs: 20,
  })

  const renewed = await newKey()
  t.match(parsed(SignAnswer, await ask(agent, { key: renewed, csr: undefined })), {
    certificateChain: String,
  })
  t.match(parsed(SignAnswer, await ask(agent, { key: await newKey() })), {
    pending: { code: 'awaiting-signature' },
  })
})

async function stagedIssuer(agent: AgentClient): Promise<string | undefined> {
  const answer = parseDesiredAnswer((await agent.get(`${AGENT_ROUTES.desired}?wait=0`)).body)
  if (answer.document === undefined) return undefined
  const { mode, content } = parseDesiredState(answer.document)
  const [tls] = content.services
  return mode === 'stage' && tls !== undefined && isServer(tls) ? tls.certificate.issuer : undefined
}

await t.test('an agent asks, waits, is told, and gets its certificate', async t => {
  const place = await scene(t)
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const key = await newKey()

  const first = parsed(SignAnswer, await ask(agent, { key }))
  const again = parsed(SignAnswer, await ask(agent, { key }))

  t.match(first, { pending: { code: 'awaiting-signature', message: /tlsfleet csr export/ } })
  t.strictSame(again, first, 'the same key is the same request')
  const [request, ...others] = await listed(place)
  t.equal(others.length, 0)
  t.match(request, {
    node: 'n1',
    service: 'prometheus',
    issuer: 'csr',
    state: 'pending',
    keyType: 'ec-p256',
    names: NAMES('n1'),
    clientUse: false,
    lifetimeMs: 365 * DAY_MS,
  })

  // The poll waits while the answer comes.
  const generation = await generationOf(agent)
  const path = `${AGENT_ROUTES.desired}?generation=${generation}&wait=50000`
  const woken = pollUntilWoken(agent, path)
  const leaf = place.ca.issue(key.publicKeyPem, NAMES('n1'))
  const results = await importAll(place, [place.ca.root, leaf, place.ca.intermediate])

  t.match(results, [{ outcome: 'issuer' }, { outcome: 'taken', node: 'n1' }, { outcome: 'issuer' }])
  t.match(await woken, { wake: true, document: undefined })
  t.equal(
    parsed(SignAnswer, await ask(agent, { key })).certificateChain,
    leaf + place.ca.intermediate,
  )
  t.match(await listed(place, '?state=signed'), [{ node: 'n1' }])
  t.strictSame(await listed(place, '?state=pending'), [])

  const quick = parseDesiredAnswer(
    (await agent.get(`${AGENT_ROUTES.desired}?generation=${generation}&wait=0`)).body,
  )
  t.equal(quick.wake, undefined, 'it is told once')
})

// The first poll of an agent may be answered with other news.
async function pollUntilWoken(agent: AgentClient, path: string) {
  for (;;) {
    const answer = parseDesiredAnswer((await agent.get(path)).body)
    if (answer.wake === true) return answer
  }
}

await t.test('what does not fit is refused with its reason; what fits is taken', async t => {
  const place = await scene(t, ['n1', 'n2', 'n3', 'n4', 'n5'])
  const other = createPrivateCa(Date.now(), 'other')
  const keys = await Promise.all(place.agents.map(() => newKey()))
  for (const [index, agent] of place.agents.entries())
    await ask(agent, { key: keys[index] ?? (await newKey()) })
  const issue = (index: number, wish: LeafWish = {}, ca = place.ca) =>
    ca.issue(keys[index]?.publicKeyPem ?? '', { ...NAMES(`n${index + 1}`), ...wish })
  const foreign = place.ca.issue((await newKey()).publicKeyPem, NAMES('n1'))
  const heap = [
    issue(1, { dns: ['n1.example.org'] }),
    foreign,
    issue(2, { beginMs: Date.now() - 91 * DAY_MS }),
    place.ca.intermediate,
    issue(3, {}, other),
    issue(0),
    'no certificate at all',
    other.intermediate,
    issue(4),
  ]

  const results = await importAll(place, heap)

  t.match(results, [
    { outcome: 'refused', node: 'n2', reasons: [{ code: 'name-missing' }] },
    { outcome: 'refused', node: undefined, reasons: [{ code: 'key-unknown' }] },
    { outcome: 'refused', node: 'n3', reasons: [{ code: 'expired' }] },
    { outcome: 'issuer', reasons: [] },
    { outcome: 'refused', node: 'n4', reasons: [{ code: 'chain-incomplete' }] },
    { outcome: 'taken', node: 'n1', reasons: [] },
    { outcome: 'refused', reasons: [{ code: 'certificate-unparsable' }] },
    { outcome: 'issuer' },
    { outcome: 'taken', node: 'n5' },
  ])
  t.match(await importAll(place, [issue(3, {}, other), other.intermediate, other.root]), [
    { outcome: 'refused', node: 'n4', reasons: [{ code: 'untrusted' }] },
    { outcome: 'issuer' },
    { outcome: 'issuer' },
  ])

  const states = (await listed(place)).map(({ node, state }) => `${node} ${state}`)
  t.strictSame(states, ['n1 signed', 'n2 pending', 'n3 pending', 'n4 pending', 'n5 signed'])
  const twice = await importAll(place, heap)
  t.strictSame(
    twice.map(({ outcome }) => outcome),
    ['refused', 'refused', 'refused', 'issuer', 'refused', 'known', 'refused', 'issuer', 'known'],
    'the same again changes nothing',
  )
  t.match(await importAll(place, [issue(0), place.ca.intermediate]), [
    { outcome: 'refused', reasons: [{ code: 'already-signed' }] },
    {},
  ])
  const log = await auditOf(place)
  t.equal(log.filter(one => one === 'operator certificate-request-signed').length, 0)
  t.equal(log.filter(one => one.endsWith(' certificate-request-signed')).length, 2)
})

await t.test(
  'a request must be for the key that was proven, and the names of the node',
  async t => {
    const place = await scene(t, ['n1', 'n2'])
    const [n1, n2] = place.agents
    if (n1 === undefined || n2 === undefined) throw new Error('no agents')
    const [key, other] = [await newKey(), await newKey()]
    const foreign = buildCsr({ key: other.privateKey, names: NAMES('n1') })
    const more = { dns: ['n1.example.org', 'admin.example.org'], ip: ['10.1.2.3'] }
    const code = async (asked: Asked) => codeOf(await ask(n1, asked))

    t.equal(await code({ key, csr: undefined }), 'csr-missing')
    t.equal(await code({ key, csr: foreign }), 'csr-key-differs')
    t.equal(await code({ key, names: more }), 'csr-names-differ')
    t.equal(await code({ key, names: { dns: ['n1.example.org'], ip: [] } }), 'csr-names-differ')
    t.equal(await code({ key, csr: `${foreign}${foreign}` }), 'csr-unparsable')
    t.equal(await code({ key, csr: `-----BEGIN ${'A'.repeat(40_000)}` }), 'body-too-large')
    t.strictSame(await listed(place), [], 'nothing of it is a request')
    await ask(n1, { key })
    t.equal(codeOf(await ask(n2, { key })), 'key-reused')
  },
)

await t.test('a newer key takes the place of an older one, and too many are too many', async t => {
  const place = await scene(t)
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const keys = await Promise.all(Array.from({ length: 65 }, () => newKey()))
  const answers: unknown[] = []
  for (const [index, key] of keys.entries()) {
    // The node may ask so often only in the long run.
    if (index === 32) place.running.advance(60_000)
    answers.push((await ask(agent, { key })).status)
  }
  const requests = await listed(place, '?limit=500')

  t.equal(requests.filter(({ state }) => state === 'pending').length, 1)
  t.match(requests[0], { state: 'withdrawn', reason: { code: 'asked-anew' } })
  t.ok(requests.length <= 64, `${requests.length} requests of one day`)
  t.ok(answers.includes(429))
})

await t.test('one archive has all that waits, as openssl and tar read it', async t => {
  const place = await scene(t, ['n1', 'n2'])
  for (const agent of place.agents) await ask(agent, { key: await newKey() })
  const directory = mkdtempSync(join(tmpdir(), 'csr-'))
  t.teardown(() => rmSync(directory, { recursive: true }))

  const { url, archive } = await exported(place)
  writeFileSync(join(directory, 'all.tar'), archive)
  execFileSync('tar', ['-xf', 'all.tar'], { cwd: directory })

  t.match(url, /export$/)
  const files = readdirSync(directory).toSorted()
  const csrs = files.filter(name => name.endsWith('.csr'))
  t.match(csrs, [/^n1--prometheus--[0-9a-f]{8}\.csr$/, /^n2--prometheus--[0-9a-f]{8}\.csr$/])
  t.equal(files.length, 5, files.join())
  for (const name of csrs) {
    const text = execFileSync('openssl', ['req', '-in', name, '-noout', '-verify', '-text'], {
      cwd: directory,
      encoding: 'utf8',
    })
    t.match(text, /DNS:n[12]\.example\.org, IP Address:10\.1\.2\.3/)
    t.match(readCsr(readFileSync(join(directory, name), 'utf8')), { keyType: 'ec-p256' })
  }
  const [head, ...rows] = readFileSync(join(directory, 'index.csv'), 'utf8').split('\r\n')
  t.match(head, 'file,node,service,dns,ip,key,usage,lifetime_days')
  t.match(rows[0], `${csrs[0]},n1,prometheus,n1.example.org,10.1.2.3,ec-p256,serverAuth,365,`)
  t.match(readFileSync(join(directory, 'README.txt'), 'utf8'), 'the fleet demo')

  // The spec asks for something else now, so nobody may sign the old requests any more.
  await apply(place, specOf(place.ca, ', clientAuth: required'))
  const { archive: later } = await exported(place)
  writeFileSync(join(directory, 'later.tar'), later)
  const names = execFileSync('tar', ['-tf', 'later.tar'], { cwd: directory, encoding: 'utf8' })
  t.equal(names, 'index.csv\nREADME.txt\n')
  t.match(await listed(place), [{ state: 'withdrawn', reason: { code: 'not-wanted' } }, {}])
})

await t.test('a refused request stays refused until the node has a newer document', async t => {
  const place = await scene(t)
  const { operator } = place
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const key = await newKey()
  await ask(agent, { key })
  const [request] = await listed(place)
  const path = (id: string) => OPERATOR_ROUTES.certificateRequestRefuse.replace(':id', id)
  const reason = { reason: 'not in the zone plan' }

  t.equal(codeOf(await operator('POST', path('00000000'), reason)), 'not-found')
  const short = request?.id.slice(0, 8) ?? ''
  const refused = parsed(CertificateRequestView, await operator('POST', path(short), reason))
  t.match(refused, { state: 'refused', reason: { message: 'not in the zone plan' } })
  t.equal(codeOf(await operator('POST', path(short), reason)), 'illegal-transition')
  const answer = await ask(agent, { key })
  t.equal(codeOf(answer), 'certificate-refused')
  t.match(answer.text, 'not in the zone plan')
  const leaf = place.ca.issue(key.publicKeyPem, NAMES('n1'))
  t.match(await importAll(place, [leaf]), [
    { outcome: 'refused', reasons: [{ code: 'already-refused', message: /zone plan/ }] },
  ])

  await apply(place, specOf(place.ca, ', minVersion: "1.3"'))
  t.match(parsed(SignAnswer, await ask(agent, { key })), {
    pending: { code: 'awaiting-signature' },
  })
  t.match(await listed(place), [{ state: 'refused' }, { state: 'pending' }])
})

await t.test('viewers see requests and do nothing with them', async t => {
  const place = await scene(t)
  const viewer = operatorOf(place.running, place.running.viewerToken)
  const { certificateRequestImport, certificateRequestExport } = OPERATOR_ROUTES
  const body = { certificates: [{ source: 'a', pem: 'b' }] }

  t.equal((await viewer('GET', OPERATOR_ROUTES.certificateRequests)).status, 200)
  t.equal(codeOf(await viewer('POST', certificateRequestImport, body)), 'role-insufficient')
  t.equal(codeOf(await viewer('GET', certificateRequestExport)), 'role-insufficient')
})

async function exported({ running }: Scene): Promise<{ url: string; archive: Buffer }> {
  const { Agent, get } = await import('node:https')
  const { buffer } = await import('node:stream/consumers')
  const url = `${running.controller.urls.operator}${OPERATOR_ROUTES.certificateRequestExport}`
  const agent = new Agent({ ca: running.controller.identityRoot })
  const headers = { authorization: `Bearer ${running.operatorToken}` }
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, response => {
      buffer(response).then(archive => resolve({ url, archive }), reject)
    }).on('error', reject)
  })
}

async function auditOf({ running }: Scene): Promise<readonly string[]> {
  await running.controller.close()
  const store = await openSqliteStore({
    path: join(running.dataDir, 'controller.db'),
    busyTimeoutMs: 1_000,
  })
  try {
    const records = await store.transaction(tx => tx.audit.list({ after: 0, limit: 1000 }))
    return records.map(({ actor, action }) => `${actor} ${action}`)
  } finally {
    await store.close()
  }
}
