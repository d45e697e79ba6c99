// Services move from the controller's own CA to a team that signs by hand with plain `openssl ca`, and
// back: agents as processes, the operator's command line, and clients that verify all the while with
// the trust that Telegraf has just been given.

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  CertificateRequestList,
  type CertificateRequestView,
} from '../../shared/contract/certificate-requests.ts'
import { RotationView } from '../../shared/contract/rotations.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import { Handshakes } from '../lab/programs/watch-handshakes.ts'
import { until } from '../lab/until.ts'
import { distrustIn } from '../lab/verifying-client.ts'
import { TELEGRAF_STATUS } from '../sandbox/influx.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { probe } from '../simulators/probe.ts'
import { TelegrafStatus } from '../simulators/telegraf/status.ts'
import { createOpensslCa } from '../support/openssl-ca.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

const WATCH = join(import.meta.dirname, '../lab/programs/watch-handshakes.ts')
t.setTimeout(900_000)

const { cli, addNode, directory, running } = await createSandboxFleet(t)
const team = createOpensslCa(directory, 'team')
const influxdb = { service: 'influxdb', port: await freePort(), path: '/ping' } as const
const prometheus = { service: 'prometheus', port: await freePort(), path: '/-/ready' } as const
const servers = [influxdb, prometheus]

await addNode('n1', [{ ...influxdb, version: '1.12.3' }])
const client = await addNode('n2', [
  { ...prometheus, version: '2.42.0' },
  { service: 'telegraf', version: '1.34.0', urls: [`http://localhost:${influxdb.port}`] },
])
const trustFile = join(client.root, 'etc/telegraf/tls/upstream-ca.pem')

function specOf(name: string, issuer: readonly string[]): string {
  const file = join(directory, `${name}.yaml`)
  const verify = '  verify: { stableFor: 300ms, deadline: 2m }'
  const entries = [
    `  - { service: influxdb, port: ${influxdb.port}, nodes: { names: [n1] } }`,
    `  - { service: prometheus, port: ${prometheus.port}, nodes: { names: [n2] } }`,
    '  - { service: telegraf, nodes: { names: [n2] } }',
  ]
  const defaults = ['defaults:', ...issuer.map(line => `  ${line}`), verify]
  const text = ['version: 1', 'fleet: demo', ...defaults, 'services:', ...entries, '']
  writeFileSync(file, text.join('\n'))
  return file
}
const internal = specOf('internal', ['issuer: internal', 'lifetime: 30d'])
const byTeam = specOf('team', [
  'issuer: csr',
  'lifetime: 365d',
  `trust: [${JSON.stringify(team.root)}]`,
])

async function status(): Promise<RotationView> {
  running.controller.context.wakeRotations()
  return RotationView.parse(JSON.parse((await cli('ca', 'status', '--json')).out))
}

/** Resolves with the first view of which it holds; the last one is in the error. */
async function untilStatus(what: string, isIt: (view: RotationView) => boolean) {
  let last = ''
  const look = async () => {
    const view = await status()
    last = JSON.stringify({ ...view, history: [] })
    return isIt(view) && view
  }
  return until(look, { what, everyMs: 250, timeoutMs: 180_000 }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`)
  })
}

const untilWaiting = (phase: RotationView['phase']) =>
  untilStatus(`${phase} is complete`, view => view.phase === phase && view.waitsFor === 'advance')

async function did(t: Test, ...argv: readonly string[]): Promise<string> {
  const { code, out, err } = await cli(...argv)
  t.equal(code, 0, `${argv.join(' ')}: ${err}`)
  return out
}

async function requests(state: string): Promise<readonly CertificateRequestView[]> {
  const { out } = await cli('csr', 'ls', '--all', '--json')
  const all = CertificateRequestList.parse(JSON.parse(out)).requests
  return all.filter(one => one.state === state)
}

const bothAsk = () =>
  until(async () => (await requests('pending')).length === servers.length, {
    what: 'both nodes have asked',
    everyMs: 250,
  })

/** Names of the roots that Telegraf verifies with. */
function trusted(): readonly string[] {
  return splitPemCertificates(readFileSync(trustFile, 'utf8'))
    .map(pem => (pem === parseable(team.root) ? 'team' : 'own'))
    .toSorted()
}

function parseable(pem: string): string {
  return parseCertificate(pem).toString()
}

/** Whether it is what verifies the listeners. */
async function serves(root: string): Promise<readonly boolean[]> {
  const answers = servers.map(async ({ port, path }) => {
    try {
      return (await probe({ port, path, ca: root })).status < 300
    } catch {
      return false
    }
  })
  return Promise.all(answers)
}

function written(): number {
  const text = readFileSync(join(client.root, TELEGRAF_STATUS), 'utf8')
  return TelegrafStatus.parse(JSON.parse(text)).outputs[0]?.written ?? 0
}

/** Resolves when the watcher has seen so many certificates of each listener. */
function untilSeen(count: number): Promise<unknown> {
  const isSeen = () =>
    Object.values(handshakes().listeners).every(one => one.fingerprints.length === count)
  return until(isSeen, { what: `${count} certificates of each were seen`, timeoutMs: 60_000 })
}

function startWatching(t: Test) {
  const [state, stop] = [join(directory, 'handshakes.json'), join(directory, 'stop')]
  const addresses = servers.map(({ port }) => `localhost:${port}`)
  const child = spawn(process.execPath, [WATCH, trustFile, state, stop, ...addresses], {
    stdio: 'ignore',
  })
  t.teardown(() => child.kill('SIGKILL'))
  return () => Handshakes.parse(JSON.parse(readFileSync(state, 'utf8')))
}

const plain = async () => {
  for (const { port, path } of servers)
    await until(async () => (await probe({ port, path })).status < 300, { what: `${port} answers` })
}
await plain()
const applied = await cli('apply', '-f', internal, '--yes', '--quiet')
if (applied.code !== 0) throw new Error(applied.out + applied.err)
const handshakes = startWatching(t)
const own = readFileSync(trustFile, 'utf8')

await t.test('an apply would break trust on its way, and names the two ends', async t => {
  await untilSeen(1)
  const refused = await cli('apply', '-f', byTeam, '--yes')

  t.equal(refused.code, 1)
  t.match(refused.err, /telegraf on n2 could not verify influxdb on n1/)
  t.match(refused.err, /tlsfleet ca rotate --issuer -f/)
  t.match(await cli('plan', '-f', byTeam, '--json'), { code: 1, err: /trust-closure/ })
})

await t.test('it waits for signatures, says so, and can be taken back', async t => {
  await did(t, 'ca', 'rotate', '--issuer', '-f', byTeam, '--step', '--yes')
  const { id } = await untilWaiting('prepare')
  t.strictSame(trusted(), ['own'])
  await did(t, 'ca', 'advance', id, '--yes')
  await untilWaiting('distribute')
  t.strictSame(trusted(), ['own', 'team'])
  await did(t, 'ca', 'advance', id, '--yes')
  await bothAsk()

  const view = await untilStatus(
    'both say what they wait for',
    ({ barrier }) =>
      barrier.blockers.filter(({ reason }) => reason.code === 'certificate-pending').length === 2,
  )
  t.match(view, { phase: 'activate', waitsFor: 'rollout' })
  const text = await did(t, 'ca', 'status')
  t.match(text, /n1 .*influxdb: .*waits to be signed/)
  t.match(text, /n2 .*prometheus: .*waits to be signed/)
  t.match(await did(t, 'rollout', 'ls'), /staging.*waits to be signed/)
  t.strictSame(await serves(own), [true, true], 'nothing is switched')

  await did(t, 'ca', 'abort', id, '--yes')
  await untilStatus('it is taken back', one => one.status === 'reversed')
  t.strictSame(trusted(), ['own'])
  t.strictSame(await requests('pending'), [])
  t.match(await requests('withdrawn'), [{ node: /n/ }, { node: /n/ }])
  t.strictSame(await serves(own), [true, true])
  t.equal((await cli('plan', '-f', internal)).code, 0, 'every node is as the fleet spec says')
})

await t.test('signed certificates are served before the old root is forgotten', async t => {
  await did(t, 'ca', 'rotate', '--issuer', '-f', byTeam, '--yes')
  await bothAsk()
  t.strictSame(trusted(), ['own', 'team'])
  const unpacked = join(directory, 'unpacked')
  mkdirSync(unpacked)
  await did(t, 'csr', 'export', '--out', join(directory, 'requests.tar'))
  execFileSync('tar', ['-xf', join(directory, 'requests.tar'), '-C', unpacked])
  const csrs = readdirSync(unpacked).filter(name => name.endsWith('.csr'))
  const signed = csrs.map(name => team.sign(join(unpacked, name)))
  writeFileSync(join(directory, 'signed.pem'), [team.intermediate, ...signed].join(''))
  await did(t, 'csr', 'import', join(directory, 'signed.pem'))

  const { id } = await untilWaiting('activate')
  t.strictSame(await serves(team.root), [true, true])
  t.strictSame(trusted(), ['own', 'team'])
  await did(t, 'ca', 'advance', id, '--yes')
  await untilStatus('it has ended', one => one.status === 'completed')

  t.strictSame(trusted(), ['team'], 'nobody trusts the old root')
  t.strictSame(await serves(team.root), [true, true])
  t.match(await did(t, 'csr', 'ls', '--all'), /4 certificate requests: .*2 signed/)
  await untilSeen(2)
})

await t.test('and back to the own CA', async t => {
  await did(t, 'ca', 'rotate', '--issuer', '-f', internal, '--auto', '--yes')
  await untilStatus('it has ended', one => one.status === 'completed')

  t.strictSame(trusted(), ['own'])
  t.strictSame(await serves(own), [true, true])
  await untilSeen(3)
})

await t.test('no client that verified meanwhile was ever disappointed', async t => {
  const before = { rounds: handshakes().rounds, written: written() }
  await until(() => handshakes().rounds > before.rounds + 1 && written() > before.written, {
    what: 'clients go on',
  })
  const seen = handshakes()
  const counts = Object.values(seen.listeners).map(one => one.fingerprints.length)
  t.strictSame(distrustIn(seen), [])
  t.strictSame(counts, [3, 3], 'of three certificates each')
  t.notMatch(client.log('telegraf'), /x509|certificate|UNABLE_TO/i)
})
