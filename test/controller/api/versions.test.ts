import { Agent } from 'node:https'
import t from 'tap'
import { createTokenBuckets } from '../../../controller/api/token-bucket.ts'
import { expectedNumber, expectedVersion } from '../../../controller/api/versions.ts'
import { REQUESTS_BURST } from '../../../controller/api/request-limit.ts'
import { addNode, call, codeOf, operatorOf, type Running, startController } from './support.ts'

function sender({ controller, adminToken }: Running) {
  return (method: string, path: string, ifMatch: string, body?: unknown) =>
    call({
      url: `${controller.urls.operator}${path}`,
      method,
      body,
      headers: { authorization: `Bearer ${adminToken}`, 'if-match': ifMatch },
      tls: { ca: controller.identityRoot },
    })
}

await t.test('a verb for what has moved on is refused', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const send = sender(running)
  await addNode(operator, 'n1')
  await operator('PUT', '/v1/freezes/f', { reason: 'one' })
  const etagOf = async (path: string) => String((await operator('GET', path)).headers['etag'])
  const [node, freeze] = [await etagOf('/v1/nodes/n1'), await etagOf('/v1/freezes/f')]
  await operator('PUT', '/v1/freezes/f', { reason: 'two' })
  await operator('POST', '/v1/nodes/n1/revoke', { reason: 'lost' })

  for (const [method, path, tag, body] of [
    ['PUT', '/v1/freezes/f', freeze, { reason: 'three' }],
    ['DELETE', '/v1/freezes/f', freeze, undefined],
    ['POST', '/v1/nodes/n1/token', node, {}],
    ['POST', '/v1/nodes/n1/revoke', node, {}],
    ['DELETE', '/v1/nodes/n1', node, undefined],
  ] as const) {
    const answer = await send(method, path, tag, body)
    t.strictSame([answer.status, codeOf(answer)], [412, 'version-mismatch'], `${method} ${path}`)
  }
  t.match((await operator('GET', '/v1/freezes/f')).body, { reason: 'two' })

  t.equal((await send('DELETE', '/v1/freezes/f', await etagOf('/v1/freezes/f'))).status, 200)
  t.equal((await send('DELETE', '/v1/nodes/n1', await etagOf('/v1/nodes/n1'))).status, 204)
  t.equal((await send('PUT', '/v1/freezes/f', freeze, { reason: 'r' })).status, 412, 'it is gone')
  t.equal((await send('PUT', '/v1/freezes/f', 'W/"1"', { reason: 'r' })).status, 400)
})

await t.test('why something was done is in the audit log', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  await addNode(operator, 'n1')
  await operator('POST', '/v1/nodes/n1/token', { reason: 'rebuilt' })
  await operator('POST', '/v1/nodes/n1/revoke', { reason: 'stolen' })
  await operator('DELETE', '/v1/nodes/n1?reason=sold')
  await operator('PUT', '/v1/freezes/f', { reason: 'holidays' })
  await operator('DELETE', '/v1/freezes/f?reason=back')

  const { store } = running.controller.context
  const all = await store.transaction(tx => tx.audit.list({ after: 0, limit: 500 }))
  const said = all.flatMap(({ action, reason }) =>
    reason === undefined ? [] : [`${action}: ${reason.message}`],
  )
  for (const words of [
    'token-create: rebuilt',
    'node-revoke: admin has revoked its identity: stolen',
    'node-remove: sold',
    'freeze: holidays',
    'unfreeze: back',
  ])
    t.ok(said.includes(words), `${words} in ${said.join('; ')}`)
})

await t.test('versions are quoted, bare, or anything', t => {
  const of = (value: string | undefined) => ({
    headers: value === undefined ? {} : { 'if-match': value },
  })
  t.equal(expectedVersion(of(undefined)), undefined)
  t.equal(expectedVersion(of('*')), undefined)
  t.equal(expectedVersion(of('"a1"')), 'a1')
  t.equal(expectedNumber(of('12')), 12)
  t.equal(expectedNumber(of('"12"')), 12)
  for (const bad of ['W/"1"', '"1", "2"', '', '"', 'a b'])
    t.throws(() => expectedVersion(of(bad)), { code: 'malformed-request' }, bad)
  t.throws(() => expectedNumber(of('"a"')), { code: 'malformed-request' })
  t.end()
})

await t.test('who asks too often is told when to come back, and nobody else', async t => {
  const running = await startController(t)
  const viewer = operatorOf(running, running.viewerToken)
  const { controller, viewerToken } = running
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const ask = () =>
    call({
      url: `${controller.urls.operator}/v1/whoami`,
      headers: { authorization: `Bearer ${viewerToken}` },
      tls: { ca: controller.identityRoot },
      agent,
    })

  const seen = new Set<number>()
  for (let round = 0; round < 40 && !seen.has(429); round++)
    for (const { status } of await Promise.all(
      Array.from({ length: REQUESTS_BURST / 6 }, () => ask()),
    ))
      seen.add(status)
  agent.destroy()
  const refused = await Promise.all(Array.from({ length: 4 }, () => viewer('GET', '/v1/whoami')))

  t.strictSame(seen, new Set([200, 429]))
  t.equal((await operatorOf(running)('GET', '/v1/whoami')).status, 200)
  for (const answer of refused)
    if (answer.status === 429) t.match(answer.headers, { 'retry-after': /^[1-9]\d*$/ })
})

await t.test('a bucket tells when it has a token again', t => {
  const buckets = createTokenBuckets({ burst: 1, perSecond: 2 })
  t.equal(buckets.waitMs('a'), 0)
  t.equal(buckets.take('a', 0), true)
  t.equal(buckets.take('a', 100), false)
  t.equal(buckets.waitMs('a'), 400)
  t.equal(buckets.take('a', 500), true)
  t.end()
})
