// Keys of issuer `provided` at the controller: to whom one is delivered, and where none is to be found.

import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { parseProvidedAnswer } from '../../../shared/contract/agent-api.ts'
import { OPERATOR_ROUTES, RolloutView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { describeOperatorApi } from '../../../controller/api/describe.ts'
import { checkBackup } from '../../../controller/backup/check.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { type Holder, keyPemOf } from '../../shared/pki/support.ts'
import { body, generationOf, leaf, SPEC, start, WILDCARD } from './provided-scene.ts'
import {
  type AgentClient,
  codeOf,
  joinFleet,
  type Operator,
  parsed,
  type Running,
} from './support.ts'

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
