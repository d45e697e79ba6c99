import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { Secret } from '../../shared/secret.ts'
import { createController } from '../../controller/controller.ts'
import { runCommand } from '../../controller/main.ts'
import { initController } from '../../controller/init.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import { silentLog } from '../../shared/log.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }
const NOW = { nowMs: Date.now(), random: randomBytes }
const MAIN = join(import.meta.dirname, '../../controller/main.ts')

/** So many days from now, in UTC. */
function day(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
}

async function run(...argv: string[]): Promise<string> {
  let printed = ''
  await runCommand(argv, text => {
    printed += text
  })
  return printed
}

await t.test('from nothing to a controller that answers, and a clean end', async t => {
  const dataDir = join(t.testdir({}), 'state', 'data')
  const listen = ['operator', 'agent', 'enroll'].flatMap(name => [
    `--listen-${name}`,
    '127.0.0.1:0',
  ])

  const init = ['init', '--fleet', 'demo', '--data-dir', dataDir, '--public-name', 'localhost']

  // It may be tomorrow before it is over.
  const ends = new Set([day(90)])
  const facts: unknown = JSON.parse(await run(...init, '--json', ...listen))
  ends.add(day(90))

  t.match(facts, {
    fleet: 'demo',
    dataDir,
    pin: /^sha256:[0-9a-f]{64}$/,
    adminToken: /^tlsf_/,
    adminTokenEndsAt: new RegExp(`^(${[...ends].join('|')})`),
    passphraseFile: join(dataDir, '../ca-passphrase'),
  })
  const modes = ['', 'controller.db'].map(name => statSync(join(dataDir, name)).mode & 0o777)
  t.strictSame(modes, [0o700, 0o600])

  await t.test('a second init is refused and loses nothing', async t => {
    const before = readFileSync(join(dataDir, 'controller.db'))
    await t.rejects(run(...init), {
      code: 'already-initialised',
      message: /holds the controller of fleet demo already/,
    })
    t.ok(readFileSync(join(dataDir, 'controller.db')).equals(before))
  })

  await t.test('more tokens are made while it is stopped', async t => {
    t.match(await run('token', 'ci', '--role', 'viewer', '--data-dir', dataDir), /^tlsf_\S+\n$/)
    await t.rejects(run('token', 'ci', '--role', 'root', '--data-dir', dataDir), { code: 'usage' })
  })

  await t.test('it serves until it is told to stop, long polls included', async t => {
    const child = spawn(process.execPath, [MAIN, 'serve', '--data-dir', dataDir], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const urls = await firstLines(child, 3)
    t.match(urls, [/^operators {2}https:\/\/localhost:\d+$/, /^agents/, /^enrolment/])
    const url = urls[0]?.split(/\s+/)[1] ?? ''
    const health = await get(`${url}/healthz`)
    t.equal(health, '{"status":"ok"}')
    const token = run('token', 'x', '--role', 'viewer', '--data-dir', dataDir)
    await t.rejects(token, { code: 'store-locked' }, 'the data has one owner')

    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    t.strictSame(await exit, [0, null])
  })
})

/** The first lines of standard output. */
async function firstLines(child: ChildProcess, count: number): Promise<readonly string[]> {
  const lines: string[] = []
  if (child.stdout === null) return lines
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (lines.length === count) break
  }
  return lines
}

// Only whether it answers is asked here; whom to trust is tested elsewhere.
function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { rejectUnauthorized: false, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(text))
    })
    sent.on('error', reject)
    sent.end()
  })
}

await t.test('the admin token of init ends: when it was asked to, within a year', async t => {
  const dataDir = join(t.testdir({}), 'data')
  const init = ['init', '--fleet', 'demo', '--data-dir', dataDir]
  for (const wrong of ['367d', '0s'])
    await t.rejects(run(...init, '--token-lifetime', wrong), { code: 'invalid-lifetime' })
  await t.rejects(run(...init, '--token-lifetime', 'soon'), { code: 'usage' })
  t.notOk(existsSync(dataDir), 'nothing was made')

  const days = [day(0), day(1)]
  const text = await run(...init, '--token-lifetime', '12h')
  days.push(day(1))

  const [, at = ''] = /it ends +(\S+);/.exec(text) ?? []
  t.ok(days.includes(at), at)
  const store = await openSqliteStore({ path: join(dataDir, 'controller.db'), busyTimeoutMs: 1 })
  const [made] = await store.transaction(tx => tx.credentials.list())
  await store.close()
  const leftMs = (made?.expiresAtMs ?? 0) - Date.now()
  t.ok(leftMs > 11 * 3_600_000 && leftMs <= 12 * 3_600_000, `${leftMs} ms`)
})

await t.test('a backup is made, looked at, and restored elsewhere', async t => {
  const directory = t.testdir({})
  const [dataDir, elsewhere] = [join(directory, 'data'), join(directory, 'elsewhere')]
  const [file, passphrase] = [join(directory, 'one.backup'), join(directory, 'ca-passphrase')]
  const startedAtMs = Date.now()
  await run('init', '--fleet', 'demo', '--data-dir', dataDir, '--public-name', 'ctl.example')
  const settings = readFileSync(join(dataDir, 'controller.toml'), 'utf8')

  const made = await run('backup', '--data-dir', dataDir, '--out', file)
  const checked = await run('backup', '--check', file, '--passphrase-file', passphrase, '--json')
  const restore = ['restore', '--from', file, '--data-dir', elsewhere]
  const restored = await run(...restore, '--above-epoch', '5000000000')

  t.match(made, `${file} is whole: fleet demo, 0 nodes, `)
  t.match(made, 'keep the passphrase too, and apart from it')
  t.match(JSON.parse(checked), { fleet: 'demo', epoch: Number, nodes: 0, keysOpened: true })
  t.ok(JSON.parse(checked).epoch >= Math.floor(startedAtMs / 1000), 'begun by init')
  t.match(restored, /\n {2}epoch {7}5000000001\n/)
  t.equal(readFileSync(join(elsewhere, 'controller.toml'), 'utf8'), settings)
  const second = join(directory, 'two.backup')
  await run('backup', '--data-dir', elsewhere, '--out', second)
  t.match(JSON.parse(await run('backup', '--check', second, '--json')), { epoch: 5_000_000_001 })
  await t.rejects(run(...restore), { code: 'data-directory-not-empty' })
  const empty = t.testdir({ none: {} })
  await t.rejects(run('backup', '--data-dir', empty, '--out', join(directory, 'three')), {
    code: 'not-initialised',
  })
  for (const argv of [
    ['backup'],
    ['backup', '--out', 'a', '--check', 'b'],
    ['restore'],
    [...restore, '--above-epoch', 'five'],
  ])
    await t.rejects(run(...argv), { code: 'usage' }, argv.join(' '))
})

await t.test('help, version, description and mistakes', async t => {
  t.match(await run('--help'), /usage\n {2}tlsfleet-controller init/)
  t.match(await run('--version'), /^\d+\.\d+\.\d+\n$/)
  const description: unknown = JSON.parse(await run('openapi'))
  t.match(description, { openapi: '3.1.0' })
  for (const argv of [[], ['sevre'], ['init'], ['init', '--flet', 'x'], ['serve', 'x']])
    await t.rejects(run(...argv), { code: 'usage' }, argv.join(' '))
})

await t.test(
  'a controller does not start without its CA keys, and leaves nothing behind',
  async t => {
    const directory = t.testdir({})
    const dataDir = join(directory, 'data')
    const config = {
      dataDir,
      listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
      publicNames: ['localhost'],
      log: silentLog,
    }
    await t.rejects(createController({ ...config, passphrase: new Secret('x') }), {
      code: 'not-initialised',
    })
    t.equal(existsSync(dataDir), false)

    const passphrase = new Secret('the right passphrase')
    await t.rejects(initController({ dataDir, fleet: 'Bad Name', passphrase, ...NOW }), {
      code: 'invalid-fleet-name',
    })
    const { pin } = await initController({ dataDir, fleet: 'demo', passphrase, ...NOW })
    await t.rejects(createController({ ...config, passphrase: new Secret('a wrong passphrase') }), {
      code: 'wrong-passphrase',
    })
    const taken = { ...config.listen, operator: { host: '192.0.2.1', port: 1 } }
    await t.rejects(createController({ ...config, listen: taken, passphrase }), {
      code: 'address-unusable',
    })

    const controller = await createController({ ...config, passphrase })
    t.equal(controller.pin, pin)
    await t.rejects(
      createController({ ...config, passphrase }),
      { code: 'store-locked' },
      'one controller per data directory',
    )
    await controller.close()
  },
)
