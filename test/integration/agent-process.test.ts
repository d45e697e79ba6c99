// The agent's command line as operators and scripts use it: real processes on a sandbox node.

import { spawnSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { fromJSONSchema } from 'zod'
import { sha256 } from '../../shared/digest.ts'
import { type Outcome, runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createCa, issue, type TestCertificate } from '../simulators/certificates.ts'
import { probe } from '../simulators/probe.ts'

const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')
// strace slows a process down, and the machine may be busy.
const TIMEOUT_MS = 60_000

process.umask(0o022)
t.setTimeout(900_000)

// Short, because the path of a socket in it must be.
const directory = mkdtempSync(join(tmpdir(), 'agent-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

const ports = { prometheus: await freePort(), influxdb: await freePort() }
const node: SandboxNode = await createSandboxNode({
  dir: directory,
  name: 'n1',
  services: [
    { service: 'prometheus', port: ports.prometheus, version: '2.42.0' },
    { service: 'influxdb', port: ports.influxdb, version: '1.6.7' },
  ],
})
t.teardown(() => node.stop())
const PLACE = ['--root', node.root, '--systemctl', node.systemctl]

interface Report {
  readonly service: string
  readonly outcome: string
  readonly activation: string
  readonly activations: number
  readonly reason: { readonly code: string; readonly message: string }
  readonly changes: readonly object[]
  readonly served: readonly { readonly ok: boolean; readonly fingerprint?: string }[]
  readonly notices: readonly { readonly code: string; readonly message: string }[]
}

interface Result extends Outcome {
  readonly ok: boolean
  readonly changed: number
  readonly changes: number
  readonly services: readonly Report[]
}

const run = (argv: readonly string[], input?: string): Promise<Outcome> =>
  runCommand(process.execPath, [AGENT, ...argv], {
    timeoutMs: TIMEOUT_MS,
    ...(input === undefined ? {} : { input }),
  })

function desired(service: string, more: object = {}, issuers: object = {}): string {
  const file = join(directory, 'desired.json')
  const entry = {
    service,
    issuer: 'self-signed',
    names: { dns: ['localhost'], ip: ['127.0.0.1'] },
    verify: { stableFor: '300ms', deadline: '2m' },
    ...more,
  }
  writeFileSync(file, JSON.stringify({ version: 1, services: [entry], issuers }))
  return file
}

async function json(command: string, file: string): Promise<Result> {
  const outcome = await run([command, '--desired', file, '--json', ...PLACE])
  const nothing = { ok: false, changed: 0, changes: 0, services: [] }
  const document: object = outcome.stdout === '' ? nothing : JSON.parse(outcome.stdout)
  return { ...nothing, ...document, ...outcome }
}

/** SHA-256 of the leaf that a new connection gets, whoever has issued it. */
function served(port: number): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      const leaf = socket.getPeerX509Certificate()
      resolve(leaf === undefined ? 'none' : sha256(leaf.raw))
      socket.destroy()
    })
    socket.once('error', error => resolve(error.message))
  })
}

const answers = (port: number, path: string, ca?: string) =>
  until(
    async () => (await probe({ port, path, ...(ca === undefined ? {} : { ca }) })).status < 300,
    {
      what: `${port} answers`,
    },
  )
await answers(ports.prometheus, '/-/ready')
await answers(ports.influxdb, '/ping')

await t.test('plan 2, apply 0, plan 0, verify 0: what scripts rely on', async t => {
  const file = desired('influxdb')
  const stock = readFileSync(join(node.root, 'etc/influxdb/influxdb.conf'), 'utf8')

  t.equal((await json('verify', file)).code, 1, 'nothing is as wanted yet')
  const text = await run(['plan', '--desired', file, ...PLACE])
  t.equal(text.code, 2)
  t.match(text.stdout, /^\s+~ update \/etc\/influxdb\/influxdb\.conf$/m)
  t.match(text.stdout, /^\s+\+ {2}https-enabled = true$/m)
  t.match(text.stdout, /\nPlan: \d changes, 1 restart\.\n$/)
  const plan = await json('plan', file)
  t.match(plan, { code: 2, ok: true, changed: 0, services: [{ outcome: 'planned' }] })
  t.equal(plan.changes, plan.services[0]?.changes.length)
  t.equal(readFileSync(join(node.root, 'etc/influxdb/influxdb.conf'), 'utf8'), stock)

  const apply = await json('apply', file)
  t.match(apply, {
    code: 0,
    ok: true,
    changed: 1,
    services: [{ outcome: 'changed', activations: 1 }],
  })
  t.equal(apply.stderr, '', 'one JSON document, and nothing else')
  t.equal(apply.stdout.trimEnd().split('\n').length, 1)
  t.match(await json('plan', file), { code: 0, ok: true, changes: 0 })
  t.match(await json('verify', file), { code: 0, ok: true, services: [{ served: [{ ok: true }] }] })
  t.match(await json('apply', file), { code: 0, changed: 0, services: [{ outcome: 'in-sync' }] })
  t.match(await run(['apply', '--desired', '-', ...PLACE], readFileSync(file, 'utf8')), { code: 0 })
  t.equal(await served(ports.influxdb), apply.services[0]?.served[0]?.fingerprint)
  t.equal(statSync(join(node.root, 'etc/influxdb/tls/current/key.pem')).mode & 0o777, 0o600)
})

await t.test('the schema is one, and takes what the agent takes', async t => {
  const { code, stdout } = await run(['schema'])

  t.equal(code, 0)
  const schema = fromJSONSchema(JSON.parse(stdout))
  const document = JSON.parse(readFileSync(desired('influxdb'), 'utf8'))
  t.equal(schema.safeParse(document).success, true)
  t.equal(schema.safeParse({ ...document, more: 1 }).success, false)
  t.equal(schema.safeParse({ version: 1 }).success, false)
})

await t.test('mistakes end with 64 or 1 and one clear line', async t => {
  const garbage = join(directory, 'garbage')
  writeFileSync(garbage, Buffer.from([0xff, 0xfe, 0, 1, 2, 0x80]))
  for (const [argv, code, line] of [
    [['frobnicate'], 64, /unknown command frobnicate/],
    [['plan', '--frobnicate'], 64, /Unknown option '--frobnicate'/],
    [['renew'], 64, /renew needs a service: alertmanager or .* or prometheus \(usage\)/],
    [['enroll'], 64, /enroll needs --token or --token-file/],
    [['run'], 1, /this node is not enrolled \(not-enrolled\)/],
    [['status'], 1, /could not reach the agent of this node.*\(agent-not-running\)/],
    [['plan', '--desired', '/no/such/file'], 1, /could not read \/no\/such\/file/],
    [['plan', '--desired', directory], 1, /could not read .*EISDIR/],
    [['plan', '--desired', garbage], 1, /\(desired-file-invalid\)/],
    [['plan', '--desired', garbage, '--config', '/no/such.toml'], 1, /could not find \/no\/such/],
    [['enroll', '--token-file', '/no/such/token'], 1, /could not read the token/],
    [['enroll', '--token', 'hunter2'], 1, /could not read enrollment token/],
  ] as const) {
    const outcome = await run([...argv, ...PLACE])
    t.equal(outcome.code, code, argv.join(' '))
    const [first = '', ...rest] = outcome.stderr.trimEnd().split('\n')
    t.match(first, line)
    t.match(first, /^tlsfleet-agent: /)
    t.ok(rest.length <= 2 && rest.every(one => /^(hint: |see )/.test(one)), outcome.stderr)
    t.equal(outcome.stdout, '')
    t.notMatch(outcome.stderr, /hunter2| at /, 'no secret, no stack')
  }
})

/** Where the other tool places what prometheus is to serve. */
const PAIR = { certificate: '/etc/pki/prometheus.crt', privateKey: '/etc/pki/prometheus.key' }

function place(certificate: Partial<Pick<TestCertificate, 'certFile' | 'keyFile'>>): void {
  mkdirSync(join(node.root, 'etc/pki'), { recursive: true })
  for (const [from, to] of [
    [certificate.certFile, PAIR.certificate],
    [certificate.keyFile, PAIR.privateKey],
  ] as const) {
    if (from === undefined) continue
    rmSync(join(node.root, to), { recursive: true, force: true })
    copyFileSync(from, join(node.root, to))
  }
}

/** As guides do it: no extended key usage, and it calls itself a CA. */
function guidePair(name: string, subjectAltName: string | undefined): TestCertificate {
  const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  const names = subjectAltName === undefined ? [] : ['-addext', `subjectAltName=${subjectAltName}`]
  const argv = `req -x509 -batch -nodes -newkey rsa:2048 -days 30 -subj /CN=${name}`.split(' ')
  const made = spawnSync('openssl', [...argv, ...names, '-keyout', keyFile, '-out', certFile])
  if (made.status !== 0) throw new Error(made.stderr.toString())
  const [certPem, keyPem] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')]
  return { certFile, keyFile, certPem, keyPem }
}

const fingerprintOf = (pem: string) => sha256(new X509Certificate(pem).raw)

await t.test('a pair of another tool: taken over when it is good, and only then', async t => {
  const ca = createCa(directory)
  const guide = guidePair('guide', 'DNS:localhost,IP:127.0.0.1')
  const next = issue(ca, 'next')
  const apply = () =>
    json(
      'apply',
      desired(
        'prometheus',
        { issuer: 'files', trust: [ca.certPem] },
        { files: { prometheus: PAIR } },
      ),
    )
  const inUse = () => served(ports.prometheus)

  // Nothing has been placed yet.
  const none = await apply()
  t.match(none, { code: 1, services: [{ outcome: 'failed', reason: { code: 'source-missing' } }] })
  t.match(await probe({ port: ports.prometheus, path: '/-/ready' }), { status: 200 }, 'as before')

  place(guide)
  const first = await apply()
  t.match(first, { code: 0, services: [{ outcome: 'changed' }] }, first.stdout)
  t.equal(await inUse(), fingerprintOf(guide.certPem))
  const invocation = (await node.run('show', '--property=InvocationID', 'prometheus')).stdout

  // What is wrong with what was placed next, and how it is said. The pair in use stays in use.
  const bad = {
    'another key': [{ keyFile: next.keyFile }, 'key-mismatch'],
    'another certificate': [{ ...guide, certFile: next.certFile }, 'key-mismatch'],
    'a name in the subject only': [issue(ca, 'localhost', { names: '' }), 'san-missing'],
    'half a key': [{ ...next, keyFile: half(next.keyFile) }, 'key-unparsable'],
  } as const
  for (const [what, [pair, code]] of Object.entries(bad)) {
    place(pair)
    const result = await apply()
    t.match(result.services, [{ outcome: 'in-sync', notices: [{ code }] }], what)
    t.match(result.services[0]?.notices[0]?.message, /prometheus is not taken over/)
    t.equal(await inUse(), fingerprintOf(guide.certPem), what)
  }
  place(issue(ca, 'other', { names: 'DNS:other.example.org' }))
  const other = await apply()
  t.match(other.services, [{ outcome: 'failed', reason: { code: 'certificate-rejected' } }])
  t.match(other.services[0]?.reason.message, /localhost/)
  t.equal(other.code, 1)
  t.equal(await inUse(), fingerprintOf(guide.certPem))
  place(next)
  closeKey(join(node.root, PAIR.privateKey))
  const closed = await apply()
  t.match(closed.services[0]?.notices, [{ message: /prometheus\.key/ }], 'an unreadable key')

  place(next)
  const switched = await apply()
  t.match(
    switched,
    { code: 0, services: [{ outcome: 'changed', activations: 0 }] },
    switched.stdout,
  )
  t.equal(await inUse(), fingerprintOf(next.certPem))
  t.equal((await node.run('show', '--property=InvocationID', 'prometheus')).stdout, invocation)
  await answers(ports.prometheus, '/-/ready', ca.certPem)
})

function half(file: string): string {
  const text = readFileSync(file, 'utf8')
  writeFileSync(`${file}.half`, text.slice(0, text.length / 2))
  return `${file}.half`
}

// Modes do not keep root out; that it is no file does.
function closeKey(path: string): void {
  if (process.getuid?.() !== 0) return chmodSync(path, 0)
  rmSync(path)
  mkdirSync(path)
}

await t.test('a local CA that is not there is named, and nothing is touched', async t => {
  const before = await served(ports.prometheus)
  const file = desired(
    'prometheus',
    { issuer: 'local-ca' },
    { localCa: { certificate: '/root/ca.crt', privateKey: '/root/ca.key' } },
  )

  const { code, services } = await json('apply', file)

  t.equal(code, 1)
  t.match(services, [{ outcome: 'failed', reason: { message: /\/root\/ca\.crt/ } }])
  t.equal(await served(ports.prometheus), before)
})

const TRACE = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=rename']
const NO_TRACE =
  spawnSync('strace', [...TRACE, 'true']).status === 0
    ? false
    : 'strace is missing, or may not trace'

await t.test(
  'killed at any rename of an apply, it leaves the old or the new, and the next apply converges',
  { skip: NO_TRACE },
  async t => {
    const wish = (round: number) =>
      desired('influxdb', { names: { dns: ['localhost', `round-${round}`], ip: ['127.0.0.1'] } })
    const pair = () => {
      const [certificate, key] = ['chain.pem', 'key.pem'].map(file =>
        readFileSync(join(node.root, 'etc/influxdb/tls/current', file), 'utf8'),
      )
      return { certificate: certificate ?? '', key: key ?? '' }
    }
    t.match(await json('apply', wish(0)), { code: 0 })
    const ends = { old: 0, new: 0 }
    let point = 1
    for (let isKilled = true; isKilled; point++) {
      if (point > 60) throw new Error('there is no end of renames')
      const before = fingerprintOf(pair().certificate)
      const file = wish(point)
      const inject = ['-e', `inject=rename:signal=KILL:when=${point}`]
      const argv = [process.execPath, AGENT, 'apply', '--desired', file, '--json', ...PLACE]
      // One thread for files, so that their calls are counted together.
      const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
      const killed = await runCommand('strace', [...TRACE, ...inject, ...argv], {
        timeoutMs: TIMEOUT_MS,
        env,
      })
      isKilled = killed.code !== 0
      if (isKilled && killed.code !== 137) t.fail(`point ${point}: ${JSON.stringify(killed)}`)

      const { certificate, key } = pair()
      const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
      if (!matches) t.fail(`point ${point}: key and certificate do not belong together`)
      // It may have been killed in the moment in which the service starts.
      const alive = await until(
        async () => {
          const leaf = await served(ports.influxdb)
          return /^[0-9a-f]{64}$/.test(leaf) ? leaf : undefined
        },
        { what: `influxd answers after point ${point}` },
      )
      if (alive !== before && alive !== fingerprintOf(certificate))
        t.fail(`point ${point}: serves ${alive}, neither old nor new`)
      ends[alive === before ? 'old' : 'new'] += 1

      if (!isKilled) break
      const next = await json('apply', file)
      t.equal(next.code, 0, `point ${point}: ${next.stdout}${next.stderr}`)
      t.equal(await served(ports.influxdb), fingerprintOf(pair().certificate))
    }
    t.comment(`${point - 1} points: ${JSON.stringify(ends)}`)
    t.ok(point > 5, `${point - 1} points were tried`)
    t.ok(ends.old > 0 && ends.new > 0)
  },
)
