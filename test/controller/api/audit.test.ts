// The audit log over the API and from files: searched, verified, and tampered with in every way.

import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import t from 'tap'
import { logInDatabase, logInExport } from '../../../controller/audit/log-files.ts'
import { type Anchor, parseAnchor, verifyPieces } from '../../../controller/audit/verify.ts'
import { AuditHead, AuditList, AuditVerdict } from '../../../shared/contract/audit.ts'
import { tlsfleet } from '../cli/command.ts'
import { codeOf, operatorOf, parsed, startController } from './support.ts'

/** A controller with some records; `tamper` changes its database behind its back. */
async function withLog(test: Parameters<typeof startController>[0]) {
  const running = await startController(test)
  const admin = operatorOf(running)
  for (const name of ['ada', 'bob', 'eve'])
    await admin('POST', '/v1/operators', { name, role: 'viewer' })
  await operatorOf(running, running.operatorToken)('PUT', '/v1/freezes/winter', { reason: 'snow' })
  const database = join(running.dataDir, 'controller.db')
  const get = async (path: string) => operatorOf(running, running.viewerToken)('GET', path)
  return {
    running,
    database,
    get,
    head: async () => parsed(AuditHead, await get('/v1/audit/head')),
    verdict: async (head = '') => parsed(AuditVerdict, await get(`/v1/audit/verify${head}`)),
    offline: (anchor?: Anchor) => verifyPieces(logInDatabase(database), { anchor }),
    tamper: (sql: string) => {
      const direct = new DatabaseSync(database, { timeout: 2_000 })
      direct.exec('drop trigger audit_is_not_updated; drop trigger audit_is_not_deleted')
      direct.exec(sql)
      direct.close()
    },
  }
}

await t.test('the log is searched, page by page, from either end', async t => {
  const { get, running } = await withLog(t)
  const list = async (query: string) => parsed(AuditList, await get(`/v1/audit${query}`))
  const subjects = async (query: string) =>
    (await list(query)).records.map(({ subject }) => subject)
  const { records: all } = await list('')
  const numbers = all.map(({ sequence }) => sequence)

  t.strictSame(
    numbers,
    numbers.toSorted((a, b) => b - a),
    'newest first',
  )
  t.strictSame(await subjects('?action=operator-add&actor=admin'), ['eve', 'bob', 'ada'])
  const added = '?action=operator-add&actor=admin&limit=2'
  const first = await list(added)
  t.strictSame(
    (await list(`${added}&before=${first.next}`)).records.map(({ subject }) => subject),
    ['ada'],
  )
  t.strictSame(
    (await list('?after=0&limit=3')).records.map(({ sequence }) => sequence),
    [1, 2, 3],
  )
  t.match(await list('?actor=operator'), { records: [{ subject: /winter/ }] })
  t.strictSame(await subjects('?target=viewer&action=token-create-viewer'), [
    all.find(({ action }) => action === 'token-create-viewer')?.subject,
  ])
  t.strictSame(await subjects('?target=view'), [], 'no part of a name')
  t.strictSame(await subjects(`?until=${all.at(-1)?.atMs}`), [])
  t.equal((await list(`?since=${all.at(-1)?.atMs}&limit=1000`)).records.length, all.length)
  t.match((await get(`/v1/audit/records/${numbers[0]}`)).body, all[0])
  t.equal((await get('/v1/audit/records/999')).status, 404)
  t.equal(codeOf(await get('/v1/audit/verify?head=x')), 'malformed-request')
  t.ok(running.log.length > 0)
})

await t.test(
  'an intact log is intact, online, from its database, and to a head of before',
  async t => {
    const { verdict, offline, head, running, get } = await withLog(t)
    const { sequence, hash } = await head()
    await operatorOf(running)('DELETE', '/v1/operators/eve')

    t.match(await verdict(), { verdict: 'intact', records: sequence + 1 })
    t.match(await verdict(`?head=${sequence}:${hash}`), { verdict: 'intact' })
    t.match(await verdict(`?head=${hash}`), { verdict: 'intact' })
    t.match(await offline({ sequence, hash }), {
      verdict: 'intact',
      head: { sequence: sequence + 1 },
    })
    t.match(await offline({ sequence: sequence - 1, hash }), { verdict: 'head-missing' })
    t.match(await verdict(`?head=0:${'0'.repeat(64)}`), { verdict: 'intact' })
    t.equal(parseAnchor('12:xyz'), undefined)
    t.equal((await get('/v1/audit/head')).status, 200)
  },
)

const CHANGES: readonly (readonly [what: string, sql: string, sequence: number])[] = [
  ['an actor', `update audit set actor = 'nobody' where sequence = 3`, 3],
  ['a time', 'update audit set at_ms = at_ms + 1 where sequence = 2', 2],
  ['an action', `update audit set action = 'x' where sequence = 4`, 4],
  ['a subject', `update audit set subject = 'x' where sequence = 1`, 1],
  ['a hash', `update audit set hash = '${'a'.repeat(64)}' where sequence = 5`, 5],
  ['a reason', `update audit set reason_json = '{"code":"a","message":"b"}' where sequence = 3`, 3],
  ['nonsense', `update audit set reason_json = 'x' where sequence = 6`, 6],
  ['one taken out', 'delete from audit where sequence = 4', 4],
  ['the first taken out', 'delete from audit where sequence = 1', 1],
  [
    'two that change places',
    'update audit set sequence = -3 where sequence = 3; update audit set sequence = 3 where sequence = 4; update audit set sequence = 4 where sequence = -3',
    3,
  ],
  [
    'one slipped in',
    `update audit set sequence = sequence + 1000 where sequence > 4;
     insert into audit select 5, at_ms, actor, action, 'x', reason_json, hash from audit where sequence = 4;
     update audit set sequence = sequence - 999 where sequence > 1000`,
    5,
  ],
]

for (const [what, sql, sequence] of CHANGES)
  await t.test(
    `what was tampered with shows at the first record that is wrong: ${what}`,
    async t => {
      const { tamper, verdict, offline } = await withLog(t)
      tamper(sql)

      t.match(await verdict(), { verdict: 'broken', sequence })
      t.match(await offline(), { verdict: 'broken', sequence })
    },
  )

await t.test(
  'a log that was cut off, or written anew, shows against a head that was kept',
  async t => {
    const { tamper, verdict, offline, head } = await withLog(t)
    const { sequence, hash } = await head()
    const kept = { sequence, hash }
    tamper(`delete from audit where sequence > ${sequence - 2}`)

    t.match(await verdict(), { verdict: 'intact' }, 'the chain alone cannot tell')
    t.match(await offline(kept), { verdict: 'head-missing', message: /cut off/ })
    t.match(await verdict(`?head=${sequence}:${hash}`), { verdict: 'head-missing' })
  },
)

await t.test(
  'the command line lists, exports and verifies, with the exit code for scripts',
  async t => {
    const { running, database, tamper } = await withLog(t)
    const directory = t.testdir({ token: running.adminToken })
    const file = (name: string) => join(directory, name)
    const options = { config: file('config.json'), nowMs: Date.now() }
    const command = (...argv: string[]) => tlsfleet(argv, options)
    const { urls, pin } = running.controller
    const by = ['--ca-pin', pin, '--token-file', file('token')]
    await command('login', '--url', urls.operator, ...by)

    t.match((await command('audit', 'ls', '--actor', 'admin')).out, / operator-add +eve /)
    t.match((await command('audit', 'ls', '--since', 'x')).err, /\(usage\)/)
    t.match((await command('audit', 'show', '1')).out, /action   initialise\n/)
    const head = (await command('audit', 'head')).out.trim()
    t.match(await command('audit', 'verify', '--head', head), { code: 0, out: /^intact: / })
    t.match(await command('audit', 'export', '--out', file('log')), { code: 0, err: '' })
    t.match((await command('audit', 'export', '--out', file('log'))).err, /file-unwritable/)
    t.match(await command('audit', 'verify', '--export', file('log'), '--head', head), { code: 0 })

    const lines = readFileSync(file('log'), 'utf8').split('\n')
    writeFileSync(file('changed'), lines.join('\n').replace('"eve"', '"eva"'))
    writeFileSync(file('short'), lines.slice(0, -3).join('\n'))
    writeFileSync(
      file('long'),
      lines.with(2, lines[2]?.replace(/}$/, ',"more":1}') ?? '').join('\n'),
    )
    writeFileSync(file('garbage'), 'x\n')
    const verdict = (name: string, ...more: string[]) =>
      command('audit', 'verify', '--export', file(name), ...more)
    t.match(await verdict('changed'), { code: 1, out: /^broken: record \d+ / })
    t.match(await verdict('short'), { code: 0 })
    t.match(await verdict('short', '--head', head), { code: 1, out: /^head-missing: .* cut off/ })
    t.match(await verdict('long'), { code: 1, out: /^broken: record 3 / })
    t.match(await verdict('garbage'), { code: 1, out: /^broken: record 1 / })
    t.match((await verdict('none')).err, /file-unreadable/)

    const ofDatabase = () => command('audit', 'verify', '--database', database, '--json')
    t.match(JSON.parse((await ofDatabase()).out), { verdict: 'intact' })
    tamper('delete from audit where sequence = 3')
    t.match(await ofDatabase(), { code: 1, out: /"sequence": 3/ })
    t.match((await command('audit', 'verify', '--database', file('log'))).err, /file-unreadable/)
  },
)

await t.test('pieces of an export are read without holding all of it', async t => {
  const path = join(t.testdir({ log: '' }), 'log')
  let pieces = 0
  for await (const _piece of logInExport(path)) pieces++
  t.equal(pieces, 1)
  t.match(await verifyPieces(logInExport(path)), { verdict: 'intact', records: 0 })
})
