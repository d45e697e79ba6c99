// `tlsfleet-agent enroll` as a process on a node, with a real controller: which tokens are refused, and that
// what is refused changes nothing.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { formatToken, parseToken } from '../../shared/pki/enrollment-token.ts'
import { Secret } from '../../shared/secret.ts'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, freePort } from '../sandbox/sandbox.ts'

const PROJECT = dirname(dirname(import.meta.dirname))
const AGENT = join(PROJECT, 'agent/main.ts')
const CONTROLLER = join(PROJECT, 'controller/main.ts')
const CLI = join(PROJECT, 'controller/cli/main.ts')
const STATE = 'var/lib/tlsfleet/agent'
// The machine may be busy.
const TIMEOUT_MS = 60_000

process.umask(0o022)
t.setTimeout(900_000)

// Short, because the path of a socket in it must be.
const directory = mkdtempSync(join(tmpdir(), 'agent-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

const node = await createSandboxNode({ dir: directory, name: 'n1', services: [] })
t.teardown(() => node.stop())
const PLACE = ['--root', node.root, '--systemctl', node.systemctl]

await t.test(
  'tokens that are used up, expired, made up or of another fleet are refused',
  async t => {
    const { token, addToken, data, stopController, startController } = await createController(t)
    const enroll = (text: string) =>
      runCommand(process.execPath, [AGENT, 'enroll', '--token-file', '-', '--json', ...PLACE], {
        timeoutMs: TIMEOUT_MS,
        input: text,
      })
    const good = parseToken(token)
    const made = (change: object) => formatToken({ ...good, ...change }).reveal()

    const otherPin = await enroll(made({ pin: `sha256:${'0'.repeat(64)}` }))
    t.match(otherPin, { code: 1, stderr: /\(wrong-ca-pin\)\nhint: .*nothing was sent/ })
    const otherSecret = await enroll(made({ secret: new Secret('A'.repeat(43)) }))
    t.match(otherSecret, { code: 1, stderr: /controller refused.*token/ })
    t.match(await enroll(made({ enrollUrl: 'https://127.0.0.1:1' })), {
      code: 1,
      stderr: /unreachable/,
    })
    t.throws(() => statSync(join(node.root, STATE, 'identity.json')), { code: 'ENOENT' })

    const enrolled = await enroll(`  ${token}\n`)
    t.match(enrolled, { code: 0 }, enrolled.stderr)
    t.match(JSON.parse(enrolled.stdout), { ok: true, node: 'n1', fleet: 'test' })
    t.equal(statSync(join(node.root, STATE, 'identity.json')).mode & 0o777, 0o600)
    const identity = readFileSync(join(node.root, STATE, 'identity.json'), 'utf8')
    t.match(await enroll(token), { code: 1, stderr: /token/ }, 'a second use')

    const late = await addToken()
    await stopController()
    const database = new DatabaseSync(join(data, 'controller.db'))
    database.exec('update enrollment_tokens set expires_at_ms = 1 where redeemed_by is null')
    database.close()
    await startController()
    const expired = await enroll(late)
    t.match(expired, { code: 1, stderr: /expired|token/ })
    t.equal(
      readFileSync(join(node.root, STATE, 'identity.json'), 'utf8'),
      identity,
      'kept as it is',
    )
    for (const { stderr } of [otherPin, otherSecret, expired])
      t.notMatch(stderr, new RegExp(`${good.secret.reveal()}| {4}at `), 'no secret, no stack')
  },
)

/** A controller of a fleet of its own, with a token for n1. */
async function createController(t: Test) {
  const data = join(directory, 'controller')
  const listen = { operator: await freePort(), agent: await freePort(), enroll: await freePort() }
  const place = Object.entries(listen).flatMap(([name, port]) => [
    `--listen-${name}`,
    `127.0.0.1:${port}`,
  ])
  const env = { ...process.env, TLSFLEET_CONFIG: join(directory, 'cli.json') }
  const program = async (argv: readonly string[], input?: string) => {
    const options = { env, timeoutMs: TIMEOUT_MS, ...(input === undefined ? {} : { input }) }
    const outcome = await runCommand(process.execPath, argv, options)
    if (outcome.code !== 0) throw new Error(`${argv.join(' ')}: ${outcome.stderr}`)
    return outcome.stdout
  }
  const init = [
    'init',
    '--json',
    '--data-dir',
    data,
    '--fleet',
    'test',
    '--public-name',
    '127.0.0.1',
  ]
  const { pin, adminToken } = JSON.parse(await program([CONTROLLER, ...init, ...place]))
  const start = () =>
    spawn(process.execPath, [CONTROLLER, 'serve', '--data-dir', data, '--log-level', 'warn'], {
      stdio: 'ignore',
    })
  let child = start()
  const stopController = async () => {
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  t.teardown(stopController)
  const url = `https://127.0.0.1:${listen.operator}`
  const login = [CLI, 'login', '--url', url, '--ca-pin', pin, '--token', '-']
  const startController = () =>
    until(async () => (await program(login, adminToken)) !== undefined, {
      what: 'the controller answers',
      everyMs: 200,
    })
  await startController()
  const added = JSON.parse(
    await program([CLI, '--json', 'node', 'add', 'n1', '--dns', 'localhost']),
  )
  const token: string = added.enrollment.token
  return {
    token,
    data,
    stopController,
    addToken: async (): Promise<string> =>
      JSON.parse(await program([CLI, '--json', 'node', 'token', 'n1'])).token,
    startController: async () => {
      child = start()
      await startController()
    },
  }
}
