import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { databasePath } from '../../../controller/init.ts'
import { call, codeOf, operatorOf, type Running, startController } from './support.ts'

const FREEZE = '/v1/freezes/winter'
const DAY_MS = 24 * 3_600_000

/** A request with a key. */
function keyed(running: Running, token = running.operatorToken) {
  const { controller } = running
  return (key: string, method: string, path: string, body?: unknown) =>
    call({
      url: `${controller.urls.operator}${path}`,
      method,
      body,
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
      tls: { ca: controller.identityRoot },
    })
}

async function auditOf({ controller }: Running, action: string) {
  const all = await controller.context.store.transaction(tx =>
    tx.audit.list({ after: 0, limit: 500 }),
  )
  return all.filter(one => one.action === action)
}

await t.test('a request that comes twice happens once and is answered alike', async t => {
  const running = await startController(t)
  const send = keyed(running)

  const first = await send('k1', 'PUT', FREEZE, { reason: 'holidays' })
  const second = await send('k1', 'PUT', FREEZE, { reason: 'holidays' })

  t.equal(first.status, 200)
  t.equal(first.headers['idempotent-replayed'], undefined)
  t.strictSame([second.status, second.text], [first.status, first.text])
  t.equal(second.headers['idempotent-replayed'], 'true')
  t.equal(second.headers['content-type'], first.headers['content-type'])
  t.equal((await auditOf(running, 'freeze')).length, 1)
})

await t.test('a key is for one request of one caller', async t => {
  const running = await startController(t)
  const send = keyed(running)
  await send('k1', 'PUT', FREEZE, { reason: 'holidays' })

  const other = await send('k1', 'PUT', FREEZE, { reason: 'other words' })
  const elsewhere = await send('k1', 'PUT', '/v1/freezes/summer', { reason: 'holidays' })
  const somebodyElse = await keyed(running, running.adminToken)('k1', 'PUT', FREEZE, {
    reason: 'theirs',
  })

  for (const answer of [other, elsewhere])
    t.strictSame([answer.status, codeOf(answer)], [422, 'idempotency-mismatch'])
  t.equal(somebodyElse.status, 200)
  t.equal(somebodyElse.headers['idempotent-replayed'], undefined)
})

await t.test('what was refused is judged again', async t => {
  const running = await startController(t)
  const send = keyed(running)

  t.equal((await send('k1', 'DELETE', FREEZE)).status, 404)
  await operatorOf(running)('PUT', FREEZE, { reason: 'holidays' })
  t.equal((await send('k1', 'DELETE', FREEZE)).status, 200)
  const again = await send('k1', 'DELETE', FREEZE)

  t.equal(again.status, 200, 'the freeze is gone, and the answer is that of its removal')
  t.equal(again.headers['idempotent-replayed'], 'true')
})

await t.test('of requests with the same key at once one happens', async t => {
  const running = await startController(t)
  const send = keyed(running)

  const answers = await Promise.all(
    Array.from({ length: 8 }, () => send('k1', 'PUT', FREEZE, { reason: 'holidays' })),
  )

  const kinds = answers.map(answer => codeOf(answer) ?? answer.status)
  t.ok(kinds.includes(200))
  t.strictSame(
    kinds.filter(kind => kind !== 200 && kind !== 'idempotency-in-flight'),
    [],
  )
  t.equal((await auditOf(running, 'freeze')).length, 1)
})

await t.test('secrets are shown once and never kept', async t => {
  const running = await startController(t)
  const send = keyed(running)
  const node = { name: 'n1', names: { dns: ['n1.example.org'], ip: [] } }

  const added = await send('k1', 'POST', '/v1/nodes', node)
  const again = await send('k1', 'POST', '/v1/nodes', node)
  const token = await send('k2', 'POST', '/v1/nodes/n1/token')
  const tokenAgain = await send('k2', 'POST', '/v1/nodes/n1/token')

  t.strictSame([added.status, token.status], [201, 201])
  for (const answer of [again, tokenAgain])
    t.strictSame([answer.status, codeOf(answer)], [409, 'idempotency-secret'])
  const database = new DatabaseSync(databasePath(running.dataDir), { readOnly: true })
  const rows = database.prepare('select * from idempotency').all()
  database.close()
  t.equal(rows.length, 2)
  t.notMatch(JSON.stringify(rows), /tfe1\./)
})

await t.test('an answer outlives the controller, and no day', async t => {
  const running = await startController(t)
  await keyed(running)('k1', 'PUT', FREEZE, { reason: 'holidays' })

  const restarted = await running.restart()
  const replayed = await keyed(restarted)('k1', 'PUT', FREEZE, { reason: 'holidays' })
  t.equal(replayed.headers['idempotent-replayed'], 'true')

  running.advance(DAY_MS + 1)
  const anew = await keyed(restarted)('k1', 'PUT', FREEZE, { reason: 'holidays' })
  t.strictSame([anew.status, anew.headers['idempotent-replayed']], [200, undefined])
})

await t.test('a request that a killed controller had begun is not done again unseen', async t => {
  const running = await startController(t)
  const { store } = running.controller.context
  const send = keyed(running)
  await send('k1', 'PUT', FREEZE, { reason: 'holidays' })
  // As it is between the first word about it and the last.
  await store.transaction(async tx => {
    const id = { actor: 'operator', key: 'k1' }
    const stored = await tx.idempotency.get(id)
    if (stored === undefined) throw new Error('nothing is stored')
    await tx.idempotency.put(id, { ...stored, answer: { kind: 'begun' } })
  })

  const answer = await send('k1', 'PUT', FREEZE, { reason: 'holidays' })

  t.strictSame([answer.status, codeOf(answer)], [409, 'idempotency-unfinished'])
  t.equal((await auditOf(running, 'freeze')).length, 1)
})

await t.test('keys are bounded, and reading takes none', async t => {
  const running = await startController(t)
  const send = keyed(running)

  t.equal(codeOf(await send('x'.repeat(129), 'PUT', FREEZE, { reason: 'r' })), 'malformed-request')
  t.equal(codeOf(await send('with space', 'PUT', FREEZE, { reason: 'r' })), 'malformed-request')
  await send('k1', 'GET', '/v1/freezes')
  t.equal((await send('k1', 'GET', '/v1/freezes')).headers['idempotent-replayed'], undefined)
})

await t.test('a caller keeps so many answers, and old ones go', async t => {
  const { controller } = await startController(t)
  const { store } = controller.context
  const id = (actor: string, key: number) => ({ actor, key: String(key) })
  const answer = { kind: 'withheld', status: 200, why: 'size' } as const

  await store.transaction(async tx => {
    for (let key = 0; key < 6; key++) {
      await tx.idempotency.put(id('a', key), { requestDigest: 'd', answer, atMs: key })
      await tx.idempotency.put(id('b', key + 3), { requestDigest: 'd', answer, atMs: key + 3 })
    }
    t.equal(await tx.idempotency.prune(2, 3), 2 + 1 + 3)
  })

  const kept = async (actor: string) =>
    store.transaction(async tx => {
      const keys: number[] = []
      for (let key = 0; key < 10; key++)
        if ((await tx.idempotency.get(id(actor, key))) !== undefined) keys.push(key)
      return keys
    })
  t.strictSame(await kept('a'), [3, 4, 5])
  t.strictSame(await kept('b'), [6, 7, 8])
})
