import { readFileSync } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseEnrollAnswer } from '../../../shared/contract/agent-api.ts'
import { NodeView, TokenAnswer } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { formatToken, parseToken } from '../../../shared/pki/enrollment-token.ts'
import {
  addNode,
  agentClient,
  codeOf,
  enroll,
  newKey,
  operatorOf,
  parsed,
  startController,
} from './support.ts'

await t.test('a node joins with its token, once, and with one key', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const token = await addNode(operator, 'n1')
  const key = await newKey()

  await t.test('a wrong secret is refused', async t => {
    const answer = await enroll(running, token, key, { secret: 'A'.repeat(43) })
    t.match([answer.status, codeOf(answer)], [403, 'token-invalid'])
  })

  await t.test('an unknown token is refused in the same words', async t => {
    const other = formatToken({ ...parseToken(token), id: '0'.repeat(16) }).reveal()
    const answer = await enroll(running, other, key)
    t.match([answer.status, codeOf(answer)], [403, 'token-invalid'])
  })

  await t.test('a key that is not proven, or too weak, is refused and burns nothing', async t => {
    const other = await newKey()
    const unproven = await enroll(running, token, key, { proofKey: other.privateKey })
    t.match([unproven.status, codeOf(unproven)], [400, 'proof-invalid'])
  })

  await t.test('the right one joins, and again with the same key after a lost answer', async t => {
    const first = parseEnrollAnswer((await enroll(running, token, key)).body)
    const again = parseEnrollAnswer((await enroll(running, token, key)).body)
    t.strictSame(again, first)
    t.match(first, { fleet: 'demo', node: 'n1', agentUrl: running.controller.urls.agent })
    const leaf = new X509Certificate(first.certificateChain)
    t.equal(leaf.subjectAltName, 'URI:spiffe://demo/node/n1')
    t.strictSame(first.identityTrust, [running.controller.identityRoot])
  })

  await t.test('another key is refused, and operators can see it', async t => {
    const answer = await enroll(running, token, await newKey())
    t.match([answer.status, codeOf(answer)], [403, 'token-used'])
  })

  await t.test('a new token for the same node denies the identity before it, at once', async t => {
    const old = parseEnrollAnswer((await enroll(running, token, key)).body)
    const oldAgent = agentClient(running, {
      node: 'n1',
      key,
      certificateChain: old.certificateChain,
    })
    t.equal((await oldAgent.get(`${AGENT_ROUTES.desired}?wait=0`)).status, 200)
    const second = parsed(TokenAnswer, await operator('POST', '/v1/nodes/n1/token'))
    t.match(second.command, /^tlsfleet-agent enroll --token tfe1\./)

    const joined = await enroll(running, second.token, await newKey())

    t.equal(joined.status, 200)
    const refused = await oldAgent.get(`${AGENT_ROUTES.desired}?wait=0`)
    t.match([refused.status, codeOf(refused)], [403, 'identity-denied'])
    oldAgent.close()
  })

  await t.test('a token that was not used in its hour is of no use any more', async t => {
    const late = await addNode(operator, 'late')
    running.advance(3_600_000)
    const answer = await enroll(running, late, await newKey())
    t.match([answer.status, codeOf(answer)], [403, 'token-expired'])
  })

  await t.test('the node is shown as enrolled', async t => {
    const node = parsed(NodeView, await operator('GET', '/v1/nodes/n1'))
    t.match(node, { name: 'n1', state: 'idle', reason: { code: 'nothing-desired' } })
  })

  await t.test('no secret is kept or logged in the clear', async t => {
    const database = ['controller.db', 'controller.db-wal']
      .map(name => readFileSync(`${running.dataDir}/${name}`, 'latin1'))
      .join('')
    const log = running.log.join('')
    const secrets = [
      parseToken(token).secret.reveal(),
      token,
      running.adminToken.slice(-43),
      running.passphrase.reveal(),
    ]
    for (const text of [database, log]) {
      t.notMatch(text, /PRIVATE KEY/)
      for (const secret of secrets) t.notOk(text.includes(secret))
    }
    t.match(log, /node enrolled/)
  })
})
