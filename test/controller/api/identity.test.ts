// Identities of agents over the years: renewed, revoked, copied, late.

import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { createRemote } from '../../../agent/edges/remote.ts'
import { NodeView, TokenAnswer } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES, ENROLL_ROUTES } from '../../../shared/contract/protocol.ts'
import { sha256 } from '../../../shared/digest.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { publicKeyDigest } from '../../../shared/pki/keys.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { Secret } from '../../../shared/secret.ts'
import { databasePath } from '../../../controller/init.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import {
  type AgentClient,
  agentClient,
  type Answer,
  call,
  codeOf,
  enroll,
  joinFleet,
  type Key,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const DESIRED = `${AGENT_ROUTES.desired}?wait=0`
const LONG_POLL = `${AGENT_ROUTES.desired}?wait=60000`
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

const said = (answer: Answer) => [answer.status, codeOf(answer)]

async function renew(client: AgentClient, key: Key): Promise<Answer> {
  const proof = signProof({ purpose: 'renew', context: [client.node], key: key.privateKey })
  return client.post(AGENT_ROUTES.renew, { publicKey: key.publicKeyPem, proof })
}

/** With a new key; the client of the identity that came back, which is not used yet. */
async function renewed(t: Test, running: Running, client: AgentClient): Promise<AgentClient> {
  const key = await newKey()
  const answer = await renew(client, key)
  if (answer.status !== 200) throw new Error(answer.text)
  return clientOf(t, running, { node: client.node, key, answer })
}

function clientOf(
  t: Test,
  running: Running,
  { node, key, answer }: { node: string; key: Key; answer: Answer },
): AgentClient {
  const { certificateChain } = Object(answer.body)
  const client = agentClient(running, { node, key, certificateChain })
  t.teardown(() => client.close())
  return client
}

/** Another machine with the same identity. */
function copyOf(t: Test, running: Running, { node, key, certificateChain }: AgentClient) {
  const copy = agentClient(running, { node, key, certificateChain })
  t.teardown(() => copy.close())
  return copy
}

async function joined(t: Test, running: Running, operator: Operator, name: string) {
  const client = await joinFleet(running, operator, name)
  t.teardown(() => client.close())
  return client
}

const view = async (operator: Operator, name: string) =>
  parsed(NodeView, await operator('GET', `/v1/nodes/${name}`))

function tlsOf({ controller }: Running, { key, certificateChain }: AgentClient) {
  const { hostname: host, port } = new URL(controller.urls.agent)
  const identity = { cert: certificateChain, key: key.privateKeyPem }
  return { host, port: Number(port), ca: controller.identityRoot, ...identity }
}

async function secured(socket: TLSSocket): Promise<TLSSocket> {
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}

await t.test('a revoked node is out when the operator has the answer', async t => {
  const running = await startController(t)
  const operator = operatorOf(running, running.operatorToken)
  const n1 = await joined(t, running, operator, 'n1')
  const n2 = await joined(t, running, operator, 'n2')
  const spare = parsed(TokenAnswer, await operator('POST', '/v1/nodes/n1/token'))
  // Everything that could outlive the decision: a wait, an idle connection, a session to resume.
  const poll = n1.get(LONG_POLL)
  const ending = poll.then(
    () => 'answered',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  )
  const other = n2.get(LONG_POLL)
  other.catch(() => {})
  const idle = await secured(connect(tlsOf(running, n1)))
  const sessions: Buffer[] = []
  idle.on('session', session => sessions.push(session))
  idle.write(`GET ${DESIRED} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  t.match(String(await once(idle, 'data')), /^HTTP\/1\.1 200/)
  const idleEnd = once(idle, 'close')
  t.match(await view(operator, 'n1'), { online: true })

  const answer = await operator('POST', '/v1/nodes/n1/revoke')

  t.match(parsed(NodeView, answer), {
    state: 'locked',
    online: false,
    reason: { code: 'identity-revoked', message: 'operator has revoked its identity' },
  })
  t.equal(await ending, 'ECONNRESET', 'its long poll')
  await idleEnd
  t.equal((await view(operator, 'n1')).online, false)

  await t.test('nothing of it opens a door again', async t => {
    t.strictSame(said(await n1.get(DESIRED)), [403, 'identity-revoked'])
    t.strictSame(said(await renew(n1, await newKey())), [403, 'identity-revoked'])
    t.strictSame(said(await enroll(running, spare.token, await newKey())), [403, 'token-invalid'])
    t.equal(await refusalOf(comeBack(running, n1)), 'identity-revoked')
  })

  await t.test('there is no session to resume, and offering one helps nobody', async t => {
    // OpenSSL hands out names of sessions that nobody keeps.
    const session = sessions.at(-1) ?? idle.getSession() ?? Buffer.alloc(0)
    const again = await secured(connect({ ...tlsOf(running, n1), session }))
    t.equal(again.isSessionReused(), false)
    again.write(`GET ${DESIRED} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    t.match(String(await once(again, 'data')), /^HTTP\/1\.1 403[^]*identity-revoked/)
    again.destroy()
  })

  await t.test('others do not notice, and the revocation outlives a restart', async t => {
    t.equal((await n2.get(DESIRED)).status, 200)
    const later = await running.restart()
    await other.catch(() => {})
    const restarted = operatorOf(later)
    const copy = copyOf(t, later, n1)
    t.strictSame(said(await copy.get(DESIRED)), [403, 'identity-revoked'])
    t.equal(await refusalOf(comeBack(later, n1)), 'identity-revoked')
    t.match(await view(restarted, 'n1'), { state: 'locked', online: false })
    t.equal((await copyOf(t, later, n2).get(DESIRED)).status, 200)

    const { token } = parsed(TokenAnswer, await restarted('POST', '/v1/nodes/n1/token'))
    const key = await newKey()
    const answer = await enroll(later, token, key)
    const fresh = clientOf(t, later, { node: 'n1', key, answer })
    t.equal((await fresh.get(DESIRED)).status, 200, 'a new token takes it back')
    t.strictSame(said(await copy.get(DESIRED)), [403, 'identity-revoked'], 'the old key stays out')
    t.match(await view(restarted, 'n1'), { state: 'idle' })
  })
})

await t.test('two machines with one identity are told apart from one that renews', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)

  await t.test('answers may be lost as often as they like', async t => {
    const first = await joined(t, running, operator, 'n1')
    const key = await newKey()
    const answer = await renew(first, key)
    t.equal((await renew(first, key)).text, answer.text, 'the same question, the same answer')
    const lost = await renewed(t, running, first)
    const second = await renewed(t, running, first)
    t.equal((await second.get(AGENT_ROUTES.whoami)).status, 200)
    t.equal((await first.get(DESIRED)).status, 200, 'what was under way is still answered')
    const third = await renewed(t, running, second)
    t.equal((await third.get(AGENT_ROUTES.whoami)).status, 200)
    t.match(await view(operator, 'n1'), { state: 'idle' })

    // That answer was not lost at all: somebody has the key.
    t.strictSame(said(await lost.get(DESIRED)), [403, 'identity-cloned'])
    t.strictSame(said(await third.get(DESIRED)), [403, 'identity-cloned'])
    t.match(await view(operator, 'n1'), { state: 'locked', reason: { code: 'identity-cloned' } })
  })

  await t.test('a renewal from an identity that was overtaken locks both', async t => {
    const original = await joined(t, running, operator, 'n2')
    const copy = copyOf(t, running, original)
    const next = await renewed(t, running, original)
    t.equal((await next.get(AGENT_ROUTES.whoami)).status, 200)
    const poll = next.get(LONG_POLL)
    const ending = t.rejects(poll, { code: 'ECONNRESET' })

    const refused = await renew(copy, await newKey())

    t.strictSame(said(refused), [403, 'identity-cloned'])
    t.match(refused.body, { hint: /tlsfleet node token NAME/ })
    await ending
    for (const client of [original, copy, next])
      t.strictSame(said(await client.get(DESIRED)), [403, 'identity-cloned'])
    t.match(await view(operator, 'n2'), {
      state: 'locked',
      online: false,
      reason: { code: 'identity-cloned', message: /generation 1 .* although generation 2 was/ },
    })

    const { token } = parsed(TokenAnswer, await operator('POST', '/v1/nodes/n2/token'))
    const key = await newKey()
    const fresh = clientOf(t, running, {
      node: 'n2',
      key,
      answer: await enroll(running, token, key),
    })
    t.equal((await fresh.get(DESIRED)).status, 200)
    t.strictSame(said(await copy.get(DESIRED)), [403, 'identity-cloned'], 'the copy stays out')
    t.strictSame(said(await renew(next, await newKey())), [403, 'identity-cloned'])
    t.match(await view(operator, 'n2'), { state: 'idle' }, 'and locks nobody any more')
  })

  await t.test('so does one that is merely used, a while after', async t => {
    const original = await joined(t, running, operator, 'n3')
    const copy = copyOf(t, running, original)
    t.equal((await copy.get(DESIRED)).status, 200)
    const next = await renewed(t, running, original)
    t.equal((await next.get(DESIRED)).status, 200)
    running.advance(3 * MINUTE_MS)

    t.strictSame(said(await copy.get(DESIRED)), [403, 'identity-cloned'])

    t.strictSame(said(await next.get(DESIRED)), [403, 'identity-cloned'])
    t.match(running.log.join(''), /two machines share an identity/)
  })

  const audit = await auditOf(t, running)
  t.strictSame(
    audit.filter(({ action }) => action === 'identity-cloned').map(({ subject }) => subject),
    ['n1', 'n2', 'n3'],
    'once for each',
  )
})

await t.test('who was away until its identity had ended comes back by its old key', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  /** Enrolled so long ago; the certificate really has ended, also for OpenSSL. */
  const enrolledAgo = async (name: string, agoMs: number) => {
    running.advance(-agoMs)
    try {
      return await joined(t, running, operator, name)
    } finally {
      running.advance(agoMs)
    }
  }

  await t.test('within the grace time, as the same node, and once', async t => {
    const late = await enrolledAgo('n1', 20 * DAY_MS)
    await t.rejects(late.get(DESIRED), 'the listener of agents does not let it in')

    const key = await newKey()
    const chain = await comeBack(running, late, key)

    t.equal(new X509Certificate(chain).subjectAltName, 'URI:spiffe://demo/node/n1')
    const back = agentClient(running, { node: 'n1', key, certificateChain: chain })
    t.teardown(() => back.close())
    t.equal((await back.get(DESIRED)).status, 200)
    t.equal(await comeBack(running, late, key), chain, 'the same question, the same answer')
    t.equal(await refusalOf(comeBack(running, late)), 'identity-cloned')
    t.strictSame(said(await back.get(DESIRED)), [403, 'identity-cloned'])
  })

  await t.test('not after it, not when removed, not unknown', async t => {
    const older = await enrolledAgo('n2', 38 * DAY_MS)
    await t.rejects(comeBack(running, older), {
      code: 'identity-refused',
      hint: /tlsfleet node token/,
    })
    t.equal(await refusalOf(comeBack(running, older)), 'identity-grace-over')
    const gone = await enrolledAgo('n3', 20 * DAY_MS)
    t.equal((await operator('DELETE', '/v1/nodes/n3')).status, 204)
    t.equal(await refusalOf(comeBack(running, gone)), 'identity-denied')
    const foreign = await (async () => {
      const elsewhere = await startController(t)
      return joinFleet(elsewhere, operatorOf(elsewhere), 'n2')
    })()
    foreign.close()
    t.equal(await refusalOf(comeBack(running, foreign)), 'identity-unknown')
  })

  await t.test('not without the old key, on this connection, for this new key', async t => {
    const late = await enrolledAgo('n4', 10 * DAY_MS)
    const [key, stranger] = [await newKey(), await newKey()]
    const fingerprint = sha256(new X509Certificate(late.certificateChain).raw)
    const post = (oldKey: Key, channel: string, forKey = key, node = 'n4') =>
      call({
        url: `${running.controller.urls.enroll}${ENROLL_ROUTES.renewExpired}`,
        method: 'POST',
        tls: { ca: running.controller.identityRoot },
        body: {
          fingerprint,
          publicKey: key.publicKeyPem,
          proof: signProof({ purpose: 'renew', context: [node], key: key.privateKey }),
          oldKeyProof: signProof({
            purpose: 'renew-expired',
            context: ['n4', publicKeyDigest(forKey.publicKeyPem), channel],
            key: oldKey.privateKey,
          }),
        },
      })
    const elsewhere = Buffer.alloc(32, 7).toString('base64url')

    t.strictSame(said(await post(late.key, elsewhere)), [400, 'proof-invalid'], 'a replay')
    t.strictSame(said(await post(stranger, elsewhere)), [400, 'proof-invalid'])
    t.strictSame(said(await post(late.key, elsewhere, stranger)), [400, 'proof-invalid'])
    t.strictSame(said(await post(late.key, elsewhere, key, 'n5')), [400, 'proof-invalid'])
    const asStranger = { ...late, key: stranger }
    t.equal(await refusalOf(comeBack(running, asStranger, key)), 'proof-invalid')
    t.equal(await refusalOf(comeBack(running, late, late.key)), 'key-reused')
    t.type(await comeBack(running, late, key), 'string')
  })

  const audit = await auditOf(t, running)
  t.match(
    audit.find(({ action }) => action === 'identity-renew-expired'),
    { subject: 'n1', reason: { code: 'identity-proven-late', message: /ended \d+ h ago/ } },
  )
  t.match(
    audit.find(({ action }) => action === 'identity-renew-refused'),
    { subject: 'n2', reason: { code: 'identity-grace-over' } },
  )
})

/** As the agent does it. */
async function comeBack(
  { controller }: Running,
  { node, key, certificateChain }: AgentClient,
  given?: Key,
): Promise<string> {
  const next = given ?? (await newKey())
  const remote = createRemote({
    identity: {
      fleet: 'demo',
      node,
      agentUrl: controller.urls.agent,
      enrollUrl: controller.urls.enroll,
      certificateChain,
      privateKey: new Secret(key.privateKeyPem),
      identityTrust: [controller.identityRoot],
    },
  })
  const proof = signProof({ purpose: 'renew', context: [node], key: next.privateKey })
  try {
    const { signal } = new AbortController()
    return (await remote.renewExpired(next.publicKeyPem, proof, signal)).certificateChain
  } finally {
    remote.close()
  }
}

/** The controller's code. */
async function refusalOf(attempt: Promise<unknown>): Promise<unknown> {
  const error: unknown = await attempt.then(
    () => undefined,
    caught => caught,
  )
  return error instanceof OperationalError ? error.details['code'] : error
}

/** Ends the controller: its store has one user at a time. */
async function auditOf(t: Test, running: Running) {
  await running.controller.close()
  const store = await openSqliteStore({ path: databasePath(running.dataDir), busyTimeoutMs: 100 })
  t.teardown(() => store.close())
  return store.transaction(tx => tx.audit.list({ after: 0, limit: 1_000 }))
}
