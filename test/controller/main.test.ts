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
import { silentLog } from '../../shared/log.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 }
const NOW = { nowMs: Date.now(), random: randomBytes }
const MAIN = join(import.meta.dirname, '../../controller/main.ts')

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

  const facts: unknown = JSON.parse(await run(...init, '--json', ...listen))

  t.match(facts, {
    fleet: 'demo',
    dataDir,
    pin: /^sha256:[0-9a-f]{64}$/,
    adminToken: /^tfo1\./,
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
    t.match(await run('token', 'ci', '--role', 'viewer', '--data-dir', dataDir), /^tfo1\.\S+\n$/)
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
