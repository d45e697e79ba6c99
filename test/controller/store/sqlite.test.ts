import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { DatabaseSync } from 'node:sqlite'
import { storeConformance } from '../../contract/store.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'
import { migrate, MIGRATIONS } from '../../../controller/store/migrate.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'

const COMMITTER = join(import.meta.dirname, 'committer.ts')
const KILLS = 10
// The child is killed after some number of commits that varies, so that kills fall anywhere.
const COMMITS_BEFORE_KILL = 15
// Starting that many processes takes a while on a busy machine.
const PROCESSES_MS_MAX = 900_000

const open = (path: string) => openSqliteStore({ path, busyTimeoutMs: 0, nowMs: T0 })

await t.test('the store in memory', async t => storeConformance(t, () => open(':memory:')))

await t.test('the store in a file', async t => {
  const directory = t.testdir()
  let count = 0
  await storeConformance(t, () => open(join(directory, `${count++}.db`)))
})

await t.test(
  'what was committed is there after closing and opening, in files for their owner alone',
  async t => {
    const path = join(t.testdir(), 'store.db')
    const first = await open(path)
    await first.transaction(tx => tx.nodes.insert(sampleNode('a')))

    for (const file of [path, `${path}-wal`, `${path}.lock`]) {
      t.equal(statSync(file).mode & 0o777, 0o600, file)
    }
    await first.close()
    const second = await open(path)
    t.teardown(() => second.close())
    t.same(await second.transaction(tx => tx.nodes.get('a')), sampleNode('a'))
  },
)

await t.test(
  'a second opening of the same database is refused, naming the holder, until the first is closed',
  async t => {
    t.setTimeout(PROCESSES_MS_MAX)
    const path = join(t.testdir(), 'store.db')
    const first = await open(path)

    await t.rejects(open(path), { code: 'store-locked', details: { pid: process.pid } })
    await first.transaction(tx => tx.settings.set('fleet', 'one'))
    // Closing any handle of a locked file drops the locks of a process: the attempt must not have.
    const other = spawn(process.execPath, [COMMITTER, path], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.teardown(() => other.kill('SIGKILL'))
    const [told, [code]] = await Promise.all([text(other.stderr), once(other, 'exit')])
    t.equal(code, 1)
    t.match(told, /store-locked/)

    await first.close()
    const second = await open(path)
    t.equal(await second.transaction(tx => tx.settings.get('fleet')), 'one')
    await second.close()
  },
)

await t.test(
  'a killed controller loses nothing it acknowledged and leaves no lock behind',
  async t => {
    t.setTimeout(PROCESSES_MS_MAX)
    const path = join(t.testdir(), 'store.db')
    let acknowledged = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [COMMITTER, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      const killAt = acknowledged + 1 + ((kill * 7) % COMMITS_BEFORE_KILL)
      for await (const line of createInterface(child.stdout)) {
        acknowledged = Number(line)
        if (kill === 0 && acknowledged === 1) {
          await t.rejects(open(path), { code: 'store-locked', details: { pid: child.pid } })
        }
        if (acknowledged >= killAt) child.kill('SIGKILL')
      }
      await exited

      const store = await open(path)
      const [left, right] = await store.transaction(async tx => [
        Number(await tx.settings.get('left')),
        Number(await tx.settings.get('right')),
      ])
      await store.close()
      t.ok(left !== undefined && left >= acknowledged, `${left} of ${acknowledged} are there`)
      t.equal(left, right, 'a transaction is there as a whole')
    }
    const database = new DatabaseSync(path)
    t.equal(database.prepare('pragma integrity_check').get()?.['integrity_check'], 'ok')
    database.close()
  },
)

await t.test('a damaged database is refused with what to do, or is sound', async t => {
  const directory = t.testdir()
  const path = join(directory, 'store.db')
  const store = await open(path)
  await store.transaction(async tx => {
    for (let index = 0; index < 200; index++) await tx.nodes.insert(sampleNode(`n${index}`))
  })
  await store.close()
  const sound = readFileSync(path)

  let refused = 0
  for (const [index, offset] of [0, 20, 101, 4096, 8200, 40_960, sound.length - 4096].entries()) {
    const damaged = Buffer.from(sound)
    damaged.fill(0xa5, offset, offset + 64)
    const copy = join(directory, `damaged-${index}.db`)
    writeFileSync(copy, damaged)
    try {
      const opened = await open(copy)
      await opened.transaction(tx => tx.nodes.list({ limit: 500 })).finally(() => opened.close())
    } catch (error) {
      refused++
      t.match(error, { code: 'store-corrupt', hint: /backup/ }, `offset ${offset}`)
    }
  }
  t.ok(refused >= 4, `${refused} refused`)
  writeFileSync(
    join(directory, 'text.db'),
    'this is not a database, it is a text of some length\n'.repeat(50),
  )
  await t.rejects(open(join(directory, 'text.db')), { code: 'store-corrupt' })
  await t.rejects(open(join(directory, 'none/store.db')), { code: 'store-unavailable' })
})

await t.test('a row that does not parse is a damaged store, not a wrong answer', async t => {
  const path = join(t.testdir(), 'store.db')
  await (await open(path)).close()
  const database = new DatabaseSync(path)
  database.exec(
    `insert into nodes values ('a', '{"role": 1}', '{"dns":[],"ip":[]}', 1, null, null)`,
  )
  database.close()

  const store = await open(path)
  t.teardown(() => store.close())

  await t.rejects(
    store.transaction(tx => tx.nodes.get('a')),
    { code: 'store-corrupt' },
  )
})

await t.test(
  'a database of a newer schema is refused, an older one is migrated one by one',
  async t => {
    const path = join(t.testdir(), 'store.db')
    const newest = MIGRATIONS.at(-1)?.number ?? 0
    const number = newest + 1
    const later = [
      ...MIGRATIONS,
      { number, name: 'later', sql: 'create table later (id integer primary key) strict;' },
    ]
    await (await open(path)).close()
    const database = new DatabaseSync(path)
    const options = { path, nowMs: T0 + 1, migrations: later }
    const broken = { number, name: 'later', sql: 'create table half (id); create nonsense;' }
    t.throws(() => migrate(database, { ...options, migrations: [...MIGRATIONS, broken] }))
    migrate(database, options)
    migrate(database, options)
    const rows = database.prepare('select number, applied_at_ms from schema_migrations').all()
    t.same(
      rows.map(row => ({ ...row })),
      [
        ...MIGRATIONS.map(one => ({ number: one.number, applied_at_ms: T0 })),
        { number, applied_at_ms: T0 + 1 },
      ],
    )
    t.equal(database.prepare(`select name from sqlite_schema where name = 'half'`).get(), undefined)
    database.close()

    await t.rejects(open(path), {
      code: 'store-too-new',
      details: { schema: number, supported: newest },
    })
  },
)

await t.test(
  'identities of the first schema are counted, and none is taken for a clone',
  async t => {
    const path = join(t.testdir(), 'store.db')
    const database = new DatabaseSync(path)
    migrate(database, { path, nowMs: T0, migrations: MIGRATIONS.slice(0, 1) })
    const insert = database.prepare(
      `insert into identities (fingerprint, node, public_key_digest, certificate_chain, not_after_ms,
      issued_at_ms, denied_at_ms) values (?, ?, ?, 'chain', ?, ?, ?)`,
    )
    insert.run('f1', 'a', 'k1', T0 + 9, T0, T0 + 1)
    insert.run('f2', 'b', 'k2', T0 + 9, T0 + 1, null)
    insert.run('f3', 'a', 'k3', T0 + 9, T0 + 2, null)
    insert.run('f4', 'a', 'k4', T0 + 9, T0 + 3, null)
    database.close()

    const store = await open(path)
    t.teardown(() => store.close())

    await store.transaction(async tx => {
      t.match(await tx.identities.get('f1'), { generation: 1, deniedFor: 'removed' })
      t.match(await tx.identities.get('f2'), { generation: 1, confirmedAtMs: undefined })
      t.match(await tx.identities.get('f3'), { generation: 2, confirmedAtMs: T0 + 2 })
      t.match(await tx.identities.get('f4'), { generation: 3, confirmedAtMs: undefined })
      t.equal((await tx.identities.newestConfirmed('a'))?.generation, 2)
    })
  },
)

await t.test('the audit log cannot be changed through SQL', async t => {
  const path = join(t.testdir(), 'store.db')
  const store = await open(path)
  await store.transaction(tx =>
    tx.audit.append({ atMs: T0, actor: 'ada', action: 'node-add', subject: 'a' }),
  )
  await store.close()
  const database = new DatabaseSync(path)
  t.teardown(() => database.close())

  t.throws(() => database.exec(`update audit set actor = 'eve'`), /append-only/)
  t.throws(() => database.exec('delete from audit'), /append-only/)
})

await t.test('a transaction inside of a transaction is a bug that shows at once', async t => {
  const store = await open(':memory:')
  t.teardown(() => store.close())

  const nested = store.transaction(async () => store.transaction(async () => 1))

  await t.rejects(nested, /waits for itself/)
})
