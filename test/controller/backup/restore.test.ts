// A controller is backed up while it works, goes on, is lost, and comes back on another disk: agents
// go on with what they have, nothing stale is accepted, and no secret was in the file.

import { createPrivateKey, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { parseDesiredAnswer, parseLeaseAnswer } from '../../../shared/contract/agent-api.ts'
import { type DesiredState, positionOf } from '../../../shared/contract/desired-state.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import {
  NodeView,
  RolloutEventList,
  RolloutView,
  TokenAnswer,
} from '../../../shared/contract/operator-api.ts'
import { parseToken } from '../../../shared/pki/enrollment-token.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { Secret } from '../../../shared/secret.ts'
import { writeBackup } from '../../../controller/backup/backup.ts'
import { checkBackup } from '../../../controller/backup/check.ts'
import { restoreBackup } from '../../../controller/backup/restore.ts'
import { openAuthority } from '../../../controller/authorities.ts'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { storeContext } from '../../../controller/cli/context.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { tlsfleet } from '../cli/command.ts'
import { type AgentMemory, startFakeAgent } from '../api/fake-agent.ts'
import {
  addNode,
  agentClient,
  type AgentClient,
  codeOf,
  enroll,
  joinFleet,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  startController,
} from '../api/support.ts'
import { serve } from './serve.ts'

const directory = t.testdir({})
const SPEC =
  'version: 1\nfleet: demo\nservices:\n  - { service: prometheus, nodes: { names: [a, b] } }\n'
const LATER = SPEC.replace(' }\n', ', minVersion: "1.3" }\n')

const before = await startController(t)
const operator = operatorOf(before)
const [a, b] = [await joinFleet(before, operator, 'a'), await joinFleet(before, operator, 'b')]
const memories = { a: memory(), b: memory() }
let agents = [startFakeAgent(a, { memory: memories.a }), startFakeAgent(b, { memory: memories.b })]
t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
assert((await apply(operator, SPEC)).status === 'succeeded', 'the fleet is brought to TLS')
const pending = await addNode(operator, 'pending')

function memory(): AgentMemory {
  return { accepted: undefined, sequence: 1 }
}

function latest({ accepted }: AgentMemory): DesiredState {
  if (accepted === undefined) throw new Error('nothing was accepted')
  return accepted.latest
}

async function apply(as: Operator, spec: string): Promise<RolloutView> {
  let rollout = parsed(RolloutView, await as('POST', '/v1/rollouts', { spec }))
  for (let after = 0; rollout.endedAtMs === undefined; ) {
    const path = `/v1/rollouts/${rollout.id}/events?after=${after}&wait=20000`
    const answer = parsed(RolloutEventList, await as('GET', path))
    after = answer.events.at(-1)?.version ?? after
    rollout = answer.rollout
  }
  return rollout
}

/** A new key and certificate, as an agent at half of its identity's life. */
async function renewed(client: AgentClient): Promise<AgentClient> {
  const key = await newKey()
  const { node } = client
  const proof = signProof({ purpose: 'renew', context: [node], key: key.privateKey })
  const answer = await client.post(AGENT_ROUTES.renew, { publicKey: key.publicKeyPem, proof })
  const body: unknown = JSON.parse(answer.text)
  if (typeof body !== 'object' || body === null || !('certificateChain' in body))
    throw new Error(answer.text)
  const next = agentClient(before, { node, key, certificateChain: String(body.certificateChain) })
  const used = await next.get(`${AGENT_ROUTES.desired}?generation=99&wait=0`)
  assert(used.status === 200, 'the new identity is in use')
  return next
}

const first = join(directory, 'first.backup')
const madeAtMs = Date.now()

await t.test('a backup is taken while the controller works and writes', async t => {
  const busy = Array.from({ length: 40 }, (_, index) =>
    addNode(operator, `busy-${index}`, { index: `${index}` }),
  )

  const options = { dataDir: before.dataDir, out: first, version: '1.0.0', nowMs: madeAtMs }
  const [{ header, nodes }] = await Promise.all([writeBackup(options), ...busy])

  t.match(header, { fleet: 'demo', version: '1.0.0', members: [{ name: 'controller.db' }] })
  t.equal(header.epoch, await before.controller.context.store.transaction(tx => tx.desired.epoch()))
  t.ok(nodes >= 3 && nodes <= 43, 'as of one moment')
  t.equal(statSync(first).mode & 0o777, 0o600)
  t.strictSame(readdirSync(directory), ['first.backup'], 'nothing else is left')
  await t.rejects(writeBackup(options), { code: 'backup-exists' })
})

await t.test('the command fetches one as well, for administrators only', async t => {
  const config = join(directory, 'login/config.json')
  const login = (name: string, token: string) =>
    storeContext(config, name, {
      url: before.controller.urls.operator,
      token,
      ca: [before.controller.identityRoot],
    })
  login('operator', before.operatorToken)
  login('admin', before.adminToken)
  const command = (...argv: string[]) => tlsfleet(argv, { config, nowMs: Date.now() })
  const out = join(directory, 'fetched.backup')

  const refused = await command('--context', 'operator', 'backup', '--out', out)
  const made = await command('backup', '--out', out)
  const again = await command('backup', '--out', out)
  const checked = await command('--json', 'backup', '--check', out)

  t.match(refused.err, /could not back up the controller: .* \(role-insufficient\)/)
  t.strictSame([made.err, made.code], ['', 0])
  t.match(made.out, `${out} is whole: fleet demo, 43 nodes, `)
  t.match(again.err, '(backup-exists)')
  t.match(JSON.parse(checked.out), { fleet: 'demo', nodes: 43, epoch: Number, keysOpened: false })
  t.match((await command('backup')).err, '(usage)')
  await t.test('also after somebody who did not wait for the end', async t => {
    const url = `${before.controller.urls.operator}/v1/backup`
    const headers = { authorization: `Bearer ${before.adminToken}` }
    const impatient = request(url, { ca: before.controller.identityRoot, headers, agent: false })
    const gone = new Promise(resolve => impatient.once('close', resolve))
    impatient.on('error', () => {})
    impatient.end(() => setImmediate(() => impatient.destroy()))
    await gone

    const statuses = new Set<number>()
    while (!statuses.has(200)) statuses.add((await operator('GET', '/v1/backup')).status)
    statuses.delete(429)
    t.strictSame([...statuses], [200], 'one at a time, and none for ever')
  })
  t.strictSame(
    readdirSync(before.dataDir).filter(name => name.startsWith('.')),
    [],
    'no snapshot is left',
  )
})

await t.test('no secret is in a backup, in any spelling', async t => {
  const bytes = readFileSync(join(directory, 'fetched.backup'))
  const store = await openCopy(first)
  const sealing = createSealing(before.passphrase)
  const keys = await store.transaction(async tx => {
    const opened: string[] = []
    for (const kind of ['identity', 'service'] as const) {
      const { issuer } = await openAuthority(tx, { kind, fleet: 'demo' }, sealing)
      const sealed = (await tx.authorities.active(kind))?.rootKeySealed ?? ''
      const root = sealing.open(sealed, { purpose: `ca/${kind}/root` })
      opened.push(issuer.keyPem.reveal(), root.reveal())
    }
    return opened
  })
  await store.close()
  const tokens = [before.adminToken, before.operatorToken, before.viewerToken]
  const secrets = [
    before.passphrase.reveal(),
    ...tokens.flatMap(token => [token, token.slice(-43)]),
    pending,
    parseToken(pending).secret.reveal(),
    ...[a.key.privateKeyPem, b.key.privateKeyPem, ...keys].flatMap(pem => [
      pem,
      String(createPrivateKey(pem).export({ format: 'jwk' })['d']),
    ]),
  ]

  t.equal(secrets.filter(secret => secret.length < 16).length, 0, 'each is one')
  for (const secret of secrets) {
    for (const spelling of spellingsOf(secret)) t.notOk(bytes.includes(spelling))
  }
  t.notMatch(bytes.toString('latin1'), /PRIVATE KEY/)
  t.match(bytes.toString('latin1'), 'ciphertext', 'sealed keys are there, so this looks rightly')
})

function spellingsOf(secret: string): readonly (string | Buffer)[] {
  const body = /-----BEGIN[^\n]*\n([^-]*)/.exec(secret)?.[1]?.replaceAll('\n', '')
  const raw = body === undefined ? Buffer.from(secret) : Buffer.from(body, 'base64')
  // Of tokens and of the numbers of keys, what their text stands for.
  const decoded = Buffer.from(secret, 'base64url')
  const all = [raw, ...(body === undefined && decoded.length >= 16 ? [decoded] : [])]
  return [secret, ...all.flatMap(one => [one, one.toString('hex'), one.toString('base64')])]
}

async function openCopy(backup: string) {
  const dataDir = join(directory, `copy-${randomBytes(4).toString('hex')}`)
  const { passphrase } = before
  await restoreBackup({ from: backup, dataDir, passphrase, nowMs: Date.now() })
  return openSqliteStore({ path: join(dataDir, 'controller.db'), busyTimeoutMs: 100 })
}

/** What nobody will know of after the restore, by name of the node. */
const lost = new Map<string, DesiredState>()
const clients = new Map<string, AgentClient>([['b', b]])

await t.test('the fleet moves on, and the controller is lost', async t => {
  t.equal((await apply(operator, LATER)).status, 'succeeded')
  clients.set('a', await renewed(a))
  clients.set('late', await joinFleet(before, operator, 'late'))

  for (const node of ['a', 'b'] as const) lost.set(node, latest(memories[node]))
  await Promise.all(agents.map(agent => agent.stop()))
  agents = []
  await before.controller.close()
})

function lostOf(node: string): DesiredState {
  const document = lost.get(node)
  assert(document !== undefined, `${node} had a document`)
  return document
}

await t.test('what cannot be restored leaves nothing behind', async t => {
  const { passphrase } = before
  const target = join(directory, 'target')
  const restore = (change: object) =>
    restoreBackup({ from: first, dataDir: target, passphrase, nowMs: Date.now(), ...change })
  const damaged = join(directory, 'damaged.backup')
  const bytes = readFileSync(first)
  bytes[bytes.length - 5_000] = (bytes[bytes.length - 5_000] ?? 0) ^ 1
  writeFileSync(damaged, bytes)

  await t.rejects(restore({ from: damaged }), {
    code: 'backup-damaged',
    message: /controller\.db: its checksum/,
    details: { member: 'controller.db' },
  })
  const wrong = new Secret('another horse, another staple')
  await t.rejects(restore({ passphrase: wrong }), { code: 'wrong-passphrase' })
  await t.rejects(checkBackup(first, wrong), { code: 'wrong-passphrase' })
  await t.rejects(checkBackup(damaged), { code: 'backup-damaged' })
  await t.rejects(restore({ dataDir: before.dataDir }), { code: 'data-directory-not-empty' })

  t.strictSame(readdirSync(target), [])
  t.ok(existsSync(join(before.dataDir, 'controller.db')))
})

const dataDir = join(directory, 'new/data')
const restoredAtMs = Date.now()
const root = t
/** The controller that was restored, once it is. */
let after = before
const restored: Operator = (...question) => operatorOf(after)(...question)

await t.test(
  'it is restored with a new epoch, after a restore that was killed as well',
  async t => {
    rmSync(before.dataDir, { recursive: true })
    await restoreBackup({
      from: first,
      dataDir,
      passphrase: before.passphrase,
      nowMs: restoredAtMs,
    })
    // As a kill just before the last rename leaves it.
    const database = readFileSync(join(dataDir, 'controller.db'))
    rmSync(join(dataDir, 'controller.db'))
    writeFileSync(join(dataDir, 'controller.db.restoring'), database)
    writeFileSync(join(dataDir, 'controller.db.restoring-wal'), '')
    writeFileSync(join(directory, 'new/ca-passphrase'), before.passphrase.reveal(), { mode: 0o600 })

    const argv = ['restore', '--from', first, '--dir', dataDir]
    const { code, out, err } = await tlsfleet(argv, { config: 'none', nowMs: restoredAtMs })

    t.strictSame([err, code], ['', 0])
    t.match(
      out,
      `Fleet demo is restored to ${dataDir} as of ${new Date(madeAtMs).toISOString().slice(0, 13)}`,
    )
    t.match(out, `epoch       ${Math.floor(restoredAtMs / 1000)}\n`)
    t.match(out, before.controller.pin)
    t.match(out, '2 nodes, prepared only')
    t.strictSame(readdirSync(dataDir), ['controller.db'])
    const modes = [dataDir, join(dataDir, 'controller.db')].map(path => statSync(path).mode & 0o777)
    t.strictSame(modes, [0o700, 0o600])
    // In a test: between two of them, tap would take the waiting for the end.
    const controller = await serve(root, dataDir, before.passphrase)
    after = { ...before, controller, dataDir }
  },
)

function clientOf(node: string): AgentClient {
  const identity = clients.get(node)
  assert(identity !== undefined, `${node} had an identity`)
  return agentClient(after, identity)
}

await t.test('who had an identity goes on, also one that was issued after the backup', async t => {
  const poll = async (client: AgentClient) => {
    const { status } = await client.get(`${AGENT_ROUTES.desired}?wait=0`)
    client.close()
    return status
  }

  t.equal(await poll(clientOf('a')), 200)
  t.equal(await poll(clientOf('b')), 200)
  t.equal(await poll(agentClient(after, a)), 200, 'its predecessor may finish what is under way')
})

await t.test('who joined after the backup is unknown, and joins again', async t => {
  const stranger = clientOf('late')
  t.equal(codeOf(await stranger.get(`${AGENT_ROUTES.desired}?wait=0`)), 'identity-unknown')
  stranger.close()

  const again = await joinFleet(after, restored, 'late')
  t.equal((await again.get(`${AGENT_ROUTES.desired}?wait=0`)).status, 200)
  again.close()
})

await t.test('enrolment tokens and permits of before are void, logins are not', async t => {
  const agent = clientOf('b')
  t.teardown(() => agent.close())
  const { generation, digest } = lostOf('b')
  const claim = { purpose: 'rollout', generation, digest }

  t.equal(codeOf(await enroll(after, pending, await newKey())), 'token-expired')
  const lease = parseLeaseAnswer((await agent.post(AGENT_ROUTES.lease, claim)).body)
  t.match(lease, { granted: false, reason: { code: 'permit-stale' } })
  const token = parsed(TokenAnswer, await restored('POST', '/v1/nodes/pending/token'))
  t.equal((await enroll(after, token.token, await newKey())).status, 200)
})

await t.test(
  'documents are newer than all that was lost, and change nothing by themselves',
  async t => {
    const agent = clientOf('b')
    t.teardown(() => agent.close())
    const path = `${AGENT_ROUTES.desired}?generation=${lostOf('b').generation}&wait=0`

    const { document } = parseDesiredAnswer((await agent.get(path)).body)
    const outdated = await agent.get(`${path}&epoch=${Math.floor(restoredAtMs / 1000) + 9}`)

    t.match(document, { node: 'b', mode: 'stage', permit: false })
    t.match([outdated.status, codeOf(outdated)], [409, 'epoch-outdated'])
    // As of a machine that was rebuilt after the backup, which knows a higher number.
    memories.b.sequence = 1
    agents = [
      startFakeAgent(clientOf('a'), { memory: memories.a }),
      startFakeAgent(clientOf('b'), { memory: memories.b }),
    ]
    await until(() => latest(memories.a).mode === 'stage' && latest(memories.b).mode === 'stage')
    for (const node of ['a', 'b'] as const) {
      const [old, now] = [lostOf(node), latest(memories[node])]
      t.ok(positionOf(now).epoch > positionOf(old).epoch)
      t.ok(now.generation >= positionOf(now).epoch, 'also for who only looks at generations')
      t.not(now.contentDigest, old.contentDigest, 'the content of the backup')
      t.equal(memories[node].accepted?.enforced?.digest, old.digest, 'what it has stays in force')
    }
  },
)

await t.test('an operator applies, and the fleet moves on', async t => {
  const rollout = await apply(restored, LATER)

  t.equal(rollout.status, 'succeeded')
  for (const node of ['a', 'b'] as const) {
    const view = parsed(NodeView, await restored('GET', `/v1/nodes/${node}`))
    t.match(view, { state: 'converged', observedGeneration: latest(memories[node]).generation })
    t.equal(latest(memories[node]).contentDigest, lostOf(node).contentDigest)
    t.equal(latest(memories[node]).mode, 'enforce')
  }
})

/** Looks again with every turn of the loop; the test's own timeout ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}
