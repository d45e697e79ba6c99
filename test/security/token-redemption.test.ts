// An enrolment token is good for one node and one key, whoever comes at once and whatever breaks.
// (A server that stored its tokens in clear, or fetched one and deleted it later, has lost both.)

import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createToken } from '../../controller/ca/enrollment-token.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import { parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { sha256 } from '../../shared/digest.ts'
import { parseToken } from '../../shared/pki/enrollment-token.ts'
import { T0 } from '../contract/samples.ts'
import {
  addNode,
  codeOf,
  enroll,
  newKey,
  operatorOf,
  startController,
} from '../controller/api/support.ts'

const COMERS = 1000

await t.test(`of ${COMERS} keys that come at once one gets in, in the store`, async t => {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0 })
  t.teardown(() => store.close())
  const { id, secretHash } = createToken({
    random: randomBytes,
    pin: `sha256:${'0'.repeat(64)}`,
    enrollUrl: 'https://localhost:1',
  })
  await store.transaction(async tx => {
    const node = { name: 'n1', labels: {}, names: { dns: ['n1.example'], ip: [] } }
    const unset = { enrolledAtMs: undefined, seenAtMs: undefined }
    await tx.nodes.insert({ ...node, createdAtMs: T0, ...unset })
    const expiresAtMs = T0 + 3_600_000
    await tx.tokens.insert({
      id,
      secretHash,
      expiresAtMs,
      node: 'n1',
      redeemedBy: undefined,
      createdAtMs: T0,
    })
  })
  const keys = Array.from({ length: COMERS }, (_, index) => sha256(`key ${index}`))

  const answers = await Promise.all(
    keys.map(key => store.transaction(tx => tx.tokens.redeem(id, key))),
  )

  t.equal(answers.filter(isWinner => isWinner).length, 1)
  const winner = keys[answers.indexOf(true)] ?? ''
  t.equal(await store.transaction(tx => tx.tokens.redeem(id, winner)), true, 'the same key again')
})

await t.test('of several machines that come at once one gets in, over the network', async t => {
  const running = await startController(t)
  const token = await addNode(operatorOf(running), 'n1')
  const keys = await Promise.all(Array.from({ length: 40 }, () => newKey()))

  const answers = await Promise.all(keys.map(key => enroll(running, token, key)))

  const winners = answers.filter(({ status }) => status === 200)
  t.equal(winners.length, 1)
  const codes = new Set(answers.filter(({ status }) => status !== 200).map(codeOf))
  t.same([...codes], ['token-used'])
  const warned = running.log.filter(line => line.includes('enrolment refused'))
  t.equal(warned.length, keys.length - 1, 'each of the others is told to the operator')
})

await t.test(
  'a controller that ends before its answer arrives gives the same answer again',
  async t => {
    const running = await startController(t)
    const token = await addNode(operatorOf(running), 'n1')
    const key = await newKey()
    // The answer is thrown away: the agent may have died, or the controller after its commit.
    const lost = parseEnrollAnswer((await enroll(running, token, key)).body)

    const again = await running.restart()
    const answer = parseEnrollAnswer((await enroll(again, token, key)).body)

    t.equal(answer.certificateChain, lost.certificateChain)
    t.equal(codeOf(await enroll(again, token, await newKey())), 'token-used', 'and to nobody else')
  },
)

await t.test('nothing that the controller keeps is a token', async t => {
  const running = await startController(t)
  const token = await addNode(operatorOf(running), 'n1')
  const { id, secret } = parseToken(token)

  const kept = readdirSync(running.dataDir)
    .map(name => readFileSync(join(running.dataDir, name), 'latin1'))
    .join('')

  t.match(kept, id, 'the id is there')
  t.notOk(kept.includes(secret.reveal()))
  t.notOk(kept.includes(Buffer.from(secret.reveal(), 'base64url').toString('latin1')))
  t.notOk(running.log.join('').includes(secret.reveal()))
})
