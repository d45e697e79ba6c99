// Secrets that can be recognised go through the controller and an agent, through what works and what
// fails: none of them is in a log, an error, the audit log, the database, a backup or an export. And
// what is kept is kept from other users of the machine.

import { createPrivateKey, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { OPERATOR_ROUTES } from '../../shared/contract/operator-api.ts'
import { AGENT_ROUTES, ENROLL_ROUTES } from '../../shared/contract/protocol.ts'
import { createLogger } from '../../shared/log.ts'
import { OperationalError } from '../../shared/errors.ts'
import { parseToken } from '../../shared/pki/enrollment-token.ts'
import { signProof } from '../../shared/pki/proof.ts'
import { Secret } from '../../shared/secret.ts'
import { createTestCa } from '../shared/pki/support.ts'
import { newAgent, newNode, inputFor, wish } from '../support/memory-fleet.ts'
import {
  type Answer,
  type Key,
  type Running,
  addNode,
  agentClient,
  call,
  enroll,
  joinFleet,
  newKey,
  operatorOf,
  startController,
} from '../controller/api/support.ts'

/** Everything that would give a key away: its PEM, and its secret number as bytes, hex and base64. */
function traces(keyPem: string): readonly Buffer[] {
  const { d = '' } = createPrivateKey(keyPem).export({ format: 'jwk' })
  const number = Buffer.from(d, 'base64url')
  const [, firstLine = ''] = keyPem.split('\n')
  const texts = [firstLine, d, number.toString('hex'), number.toString('base64').slice(0, 40)]
  return [number, ...texts.map(text => Buffer.from(text))]
}

const wordTraces = (word: string) => [
  Buffer.from(word),
  Buffer.from(Buffer.from(word).toString('base64').slice(0, -4)),
  Buffer.from(Buffer.from(word).toString('hex')),
]

async function backupOf({ controller, adminToken }: Running): Promise<Buffer> {
  const url = `${controller.urls.operator}${OPERATOR_ROUTES.backup}`
  const headers = { authorization: `Bearer ${adminToken}` }
  const options = { headers, ca: controller.identityRoot, agent: new Agent({ keepAlive: false }) }
  const [response] = await once(get(url, options), 'response')
  return buffer(response)
}

await t.test('no canary is found anywhere', async t => {
  const running = await startController(t)
  const { urls, identityRoot } = running.controller
  const operator = operatorOf(running)
  const answers: Answer[] = []
  const canaries = new Map<string, readonly Buffer[]>([
    ['passphrase', wordTraces(running.passphrase.reveal())],
    ...['adminToken', 'operatorToken', 'viewerToken'].map(
      name =>
        [name, wordTraces(String(Reflect.get(running, name)).split('.').at(-1) ?? '')] as const,
    ),
  ])
  const keyOf = async (name: string): Promise<Key> => {
    const key = await newKey()
    canaries.set(name, traces(key.privateKeyPem))
    return key
  }

  const token = await addNode(operator, 'n1')
  const { id, secret } = parseToken(token)
  canaries.set('enrolment', wordTraces(secret.reveal()))
  const key = await keyOf('identity')
  const wrong = await keyOf('proof by another key')
  answers.push(await enroll(running, token, key, { proofKey: wrong.privateKey }))
  answers.push(await enroll(running, token, key, { secret: `${secret.reveal()}x` }))
  // Secrets where they do not belong: in a path, in a header, in a body that is not understood.
  const given = [secret.reveal(), token, running.adminToken, key.privateKeyPem]
  for (const word of given) {
    const one = Buffer.from(word).toString('base64url')
    const tls = { ca: identityRoot }
    const route = `${urls.enroll}${ENROLL_ROUTES.enroll}`
    answers.push(await call({ url: `${route}/${one}?token=${one}`, tls }))
    answers.push(
      await call({ url: route, method: 'POST', tls, body: { tokenSecret: word, x: word } }),
    )
    answers.push(
      await call({
        url: route,
        method: 'POST',
        tls,
        body: `{"tokenSecret": "${word.slice(0, 60)}`,
      }),
    )
    const body = {
      tokenId: id,
      tokenSecret: 'x',
      facts: {},
      publicKey: key.privateKeyPem,
      proof: 'x',
    }
    answers.push(await call({ url: route, method: 'POST', tls, body }))
    const headers = { authorization: `Bearer ${one}`, 'tlsfleet-protocol': '1' }
    answers.push(await call({ url: `${urls.operator}/v1/nodes`, headers, tls }))
  }

  const joined = await joinFleet(running, operator, 'n2')
  canaries.set('identity of n2', traces(joined.key.privateKeyPem))
  const client = agentClient(running, joined)
  const leaf = await keyOf('leaf')
  const proof = signProof({ purpose: 'sign', context: ['n2', 'prometheus'], key: leaf.privateKey })
  for (const publicKey of [leaf.publicKeyPem, leaf.privateKeyPem])
    answers.push(
      await client.post(AGENT_ROUTES.sign, {
        service: 'prometheus',
        generation: 1,
        publicKey,
        proof,
      }),
    )
  answers.push(await client.post(AGENT_ROUTES.report, { log: leaf.privateKeyPem }))
  const next = await keyOf('renewal')
  const renewal = signProof({ purpose: 'renew', context: ['n2'], key: next.privateKey })
  answers.push(
    await client.post(AGENT_ROUTES.renew, { publicKey: next.publicKeyPem, proof: renewal }),
  )
  client.close()
  joined.close()
  const pair = createTestCa('canary').server(['x.example'])
  canaries.set('provided', traces(pair.keyPem))
  const upload = { certificateChain: pair.pem, privateKey: pair.keyPem }
  answers.push(await operator('PUT', `${OPERATOR_ROUTES.provided}/pair`, upload))
  answers.push(
    await operator('PUT', `${OPERATOR_ROUTES.provided}/pair`, { ...upload, x: pair.keyPem }),
  )
  answers.push(await operator('POST', '/v1/plans', { spec: `version: 1\nfleet: ${pair.keyPem}` }))
  for (const path of [
    '/v1/nodes',
    '/v1/nodes/n1',
    '/v1/certificates',
    '/v1/revisions',
    '/v1/trust',
  ])
    answers.push(await operator('GET', path))
  const backup = await backupOf(running)

  const places = () => [
    ['log', Buffer.from(running.log.join(''))] as const,
    [
      'answers',
      Buffer.from(answers.map(({ text, headers }) => text + JSON.stringify(headers)).join('\n')),
    ] as const,
    ['backup', backup] as const,
    ...readdirSync(running.dataDir).map(
      name => [name, readFileSync(join(running.dataDir, name))] as const,
    ),
  ]
  const look = (t: Test, when: string) => {
    for (const [place, content] of places())
      for (const [name, found] of canaries)
        t.notOk(
          found.some(trace => content.includes(trace)),
          `${name} in ${place} ${when}`,
        )
  }
  t.ok(canaries.size >= 11 && running.log.length > 0 && answers.length > 20)
  t.ok(
    places().some(([place]) => place === 'controller.db'),
    'the audit log is in it, too',
  )
  look(t, 'while it runs')
  await running.controller.close()
  look(t, 'when it has ended')
  await running.restart()
})

await t.test('an agent logs no key, whatever happens to it', async t => {
  const lines: string[] = []
  const log = createLogger({
    name: 'agent',
    level: 'debug',
    destination: { write: line => lines.push(line) },
  })
  const node = newNode()
  const agent = await newAgent(node, { log })
  const services = await wish()
  await agent.pass(inputFor(services))
  node.refuseStart = () => true
  await agent
    .pass(inputFor(await wish({ lifetime: '60d' })))
    .catch(error => log.warn({ err: error }, 'failed'))

  const keys = [...node.tree.keys()]
    .map(path => node.files.text(path) ?? '')
    .filter(text => text.includes('PRIVATE KEY'))
  t.ok(keys.length >= 2 && lines.length > 0, `${keys.length} keys, ${lines.length} lines`)
  for (const key of keys) {
    const [pem = ''] =
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----\n/.exec(key) ?? []
    for (const trace of traces(pem)) t.notOk(Buffer.from(lines.join('')).includes(trace))
  }
})

await t.test('the log is the last one to notice', async t => {
  const lines: string[] = []
  const log = createLogger({
    name: 'x',
    level: 'debug',
    destination: { write: line => lines.push(line) },
  })
  const word = randomBytes(16).toString('hex')
  const key = await newKey()
  const secret = new Secret(word)
  const cause = new Error(`could not parse ${key.privateKeyPem}`)
  const error = new OperationalError('x', 'failed', { cause, details: { secret } })

  log.error({ err: error, secret, nested: { deep: [secret] }, key: key.privateKeyPem }, 'said')
  log.error(`in a message: ${key.privateKeyPem} ${String(secret)}`)
  log.error({ token: word, password: word, privateKey: word, authorization: word }, 'fields')

  t.equal(lines.length, 3)
  const text = Buffer.from(lines.join(''))
  for (const trace of [Buffer.from(word), ...traces(key.privateKeyPem)])
    t.notOk(text.includes(trace))
})

await t.test('what a controller keeps is for its own user only', async t => {
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const running = await startController(t)
  await addNode(operatorOf(running), 'n1')

  const modeOf = (path: string) => statSync(path).mode & 0o777
  t.equal(modeOf(running.dataDir), 0o700)
  const open = readdirSync(running.dataDir)
    .map(name => join(running.dataDir, name))
    .filter(path => statSync(path).isFile() && (modeOf(path) & 0o077) !== 0)
  t.same(open, [], 'whatever the umask')
})
