// Operators and their tokens as resources: what they answer, what they never answer, and that it holds at once.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roleOf } from '../../../controller/api/operator-authentication.ts'
import { createOperatorSessions } from '../../../controller/api/operator-sessions.ts'
import { createOperatorToken, parseOperatorToken } from '../../../controller/api/operator-token.ts'
import { OperatorView, TokenCreated } from '../../../shared/contract/operators.ts'
import { openStream } from './streams.ts'
import {
  type Answer,
  codeOf,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

const DAY_MS = 86_400_000

async function newToken(running: Running, body: object = {}, name = 'ada'): Promise<TokenCreated> {
  return parsed(
    TokenCreated,
    await operatorOf(running)('POST', `/v1/operators/${name}/tokens`, body),
  )
}

async function withAda(t: Parameters<typeof startController>[0], role = 'operator') {
  const running = await startController(t)
  const admin = operatorOf(running)
  const added = await admin('POST', '/v1/operators', { name: 'ada', role })
  t.equal(added.status, 201)
  return { running, admin }
}

await t.test('a token is shown once, and is nowhere else', async t => {
  const { running, admin } = await withAda(t)
  const made = await newToken(running)
  const [, , secret = 'none'] = /^tlsf_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(made.token) ?? []

  t.match(made, { role: 'operator', id: /^[0-9a-f]{16}$/ })
  t.ok(Math.abs(made.expiresAtMs - Date.now() - 90 * DAY_MS) < 60_000, 'ninety days')
  t.match((await operatorOf(running, made.token)('GET', '/v1/whoami')).body, {
    name: 'ada',
    role: 'operator',
    credential: { kind: 'token', id: made.id, expiresAtMs: made.expiresAtMs },
  })
  const texts = await Promise.all(
    ['/v1/operators', '/v1/operators/ada', '/v1/operators/ada/tokens', '/v1/audit'].map(
      async path => (await admin('GET', path)).text,
    ),
  )
  for (const text of [...texts, running.log.join('\n')]) t.notMatch(text, secret)
  await running.restart()
  for (const file of ['controller.db', 'controller.db-wal'])
    t.notMatch(readFileSync(join(running.dataDir, file), 'latin1'), secret)
})

await t.test('a token ends, at the latest after a year, and says so before', async t => {
  const { running, admin } = await withAda(t)
  const year = { lifetimeMs: 367 * DAY_MS }
  const ada = operatorOf(running, (await newToken(running, { lifetimeMs: 30 * DAY_MS })).token)
  const ends = async () => (await ada('GET', '/v1/whoami')).headers['tlsfleet-credential-ends']

  t.equal((await admin('POST', '/v1/operators/ada/tokens', year)).status, 400)
  t.equal(await ends(), undefined)
  running.advance(17 * DAY_MS)
  t.match(await ends(), /^\d{4}-\d\d-\d\dT/)
  running.advance(13 * DAY_MS)
  t.equal((await ada('GET', '/v1/whoami')).status, 401)
  t.match((await admin('GET', '/v1/operators/ada/tokens')).body, { tokens: [{ expired: true }] })
  t.equal((await admin('GET', '/v1/whoami')).status, 200, 'that of init does not end')
})

await t.test('what was used when is written once a minute at most', async t => {
  const { running, admin } = await withAda(t)
  const ada = operatorOf(running, (await newToken(running)).token)
  const used = async () =>
    parsed(OperatorView, await admin('GET', '/v1/operators/ada')).tokens[0]?.lastUsedAtMs

  t.equal(await used(), undefined)
  await ada('GET', '/v1/whoami')
  const first = await used()
  await ada('GET', '/v1/whoami')
  t.ok(first !== undefined && (await used()) === first)
  running.advance(61_000)
  await ada('GET', '/v1/whoami')
  t.ok((await used()) !== first)
})

await t.test('revoked is revoked at once, open streams are cut', async t => {
  const { running, admin } = await withAda(t)
  const ways: readonly ((made: TokenCreated) => Promise<Answer>)[] = [
    made => admin('DELETE', `/v1/operators/ada/tokens/${made.id}`),
    () =>
      admin('PUT', '/v1/operators/ada', { role: 'operator', certificateNames: [], disabled: true }),
    () => admin('DELETE', '/v1/operators/ada'),
  ]
  for (const way of ways) {
    await admin('PUT', '/v1/operators/ada', {
      role: 'operator',
      certificateNames: [],
      disabled: false,
    })
    const made = await newToken(running)
    const stream = await openStream(running, '/v1/watch?resources=nodes', { token: made.token })
    t.match(await stream.next(), { event: 'resync' })
    t.ok((await way(made)).status < 300)
    // Without an end of the stream this would wait for ever.
    for (;;) if ((await stream.next().catch(() => undefined)) === undefined) break
    t.equal((await operatorOf(running, made.token)('GET', '/v1/whoami')).status, 401)
  }
})

await t.test('a stream does not outlive its credential', async t => {
  let now = 0
  const wakes: (() => void)[] = []
  const sessions = createOperatorSessions({
    now: () => now,
    monotonic: () => now,
    sleep: () => new Promise(resolve => wakes.push(resolve)),
  })
  const caller = {
    name: 'ada',
    role: 'viewer',
    credential: { kind: 'token', id: 'x', expiresAtMs: 100_000 },
  } as const
  const { Socket } = await import('node:net')
  const socket = new Socket()
  const leave = sessions.enter(caller, socket)
  const signal = sessions.endOf(caller)
  const wake = async () => {
    wakes.shift()?.()
    await Promise.resolve()
  }

  now = 60_000
  await wake()
  t.notOk(signal.aborted)
  now = 100_000
  await wake()
  t.ok(signal.aborted)
  t.ok(socket.destroyed)
  leave()
  t.equal(sessions.open(), 0)
  t.ok(sessions.endOf(caller).aborted, 'of a request that is over')
})

await t.test('a token is never more than its operator', async t => {
  const { running, admin } = await withAda(t)
  const as = (role: string) => admin('POST', '/v1/operators/ada/tokens', { role })
  const change = (role: string) =>
    admin('PUT', '/v1/operators/ada', { role, certificateNames: [], disabled: false })

  t.equal(codeOf(await as('admin')), 'role-exceeds-operator')
  t.equal(codeOf(await as('approver')), 'role-exceeds-operator')
  t.equal((await as('viewer')).status, 201)
  const ada = operatorOf(running, (await newToken(running)).token)
  t.equal((await change('viewer')).status, 200)
  t.match((await ada('GET', '/v1/whoami')).body, { role: 'viewer' })
  t.equal(roleOf('operator', 'approver'), 'viewer', 'what both may do')
  t.equal(roleOf('admin', 'approver'), 'approver')
})

await t.test('mistakes are refused, and nothing has changed then', async t => {
  const { admin } = await withAda(t)
  const admins = { role: 'admin', certificateNames: [] }
  const cases: readonly (readonly [string, string, unknown, number, string])[] = [
    ['POST', '/v1/operators', { name: 'ada', role: 'viewer' }, 409, 'already-exists'],
    ['POST', '/v1/operators', { name: 'controller', role: 'viewer' }, 409, 'name-reserved'],
    ['POST', '/v1/operators', { name: 'x', role: 'root' }, 400, 'malformed-request'],
    [
      'POST',
      '/v1/operators',
      { name: 'x', role: 'viewer', certificateNames: ['ada'] },
      400,
      'malformed-request',
    ],
    [
      'PUT',
      '/v1/operators/admin',
      { ...admins, role: 'viewer', disabled: false },
      409,
      'last-admin',
    ],
    ['PUT', '/v1/operators/admin', { ...admins, disabled: true }, 409, 'last-admin'],
    ['DELETE', '/v1/operators/admin', undefined, 409, 'last-admin'],
    ['DELETE', '/v1/operators/eve', undefined, 404, 'not-found'],
    ['POST', '/v1/operators/eve/tokens', {}, 404, 'not-found'],
    ['DELETE', `/v1/operators/ada/tokens/${'0'.repeat(16)}`, undefined, 404, 'not-found'],
    ['POST', '/v1/operators/ada/denied-certificates', { serial: 'x' }, 400, 'malformed-request'],
  ]
  const before = (await admin('GET', '/v1/operators')).text.replaceAll(/"lastUsedAtMs":\d+/g, '')
  for (const [method, path, body, status, code] of cases) {
    const answer = await admin(method, path, body)
    t.strictSame([answer.status, codeOf(answer)], [status, code], `${method} ${path}`)
  }
  const after = (await admin('GET', '/v1/operators')).text.replaceAll(/"lastUsedAtMs":\d+/g, '')
  t.equal(after, before)
})

await t.test('tokens of the earlier form are still read', async t => {
  const { token, id } = createOperatorToken(size => new Uint8Array(size))
  const secret = token.reveal().slice(-43)

  t.equal(parseOperatorToken(`tfo1.${id}.${secret}`)?.id, id)
  t.equal(parseOperatorToken(`tfo1_${id}_${secret}`), undefined)
})
