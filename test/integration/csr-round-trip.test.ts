// The whole way of issuer `csr`: agents as processes ask, the operator's command line exports one
// archive, plain `openssl ca` signs, the answers come back in a heap, and are served.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  CertificateImportAnswer,
  CertificateRequestList,
  type ImportedCertificate,
} from '../../shared/contract/certificate-requests.ts'
import type { Outcome } from '../controller/cli/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { probe } from '../simulators/probe.ts'
import { createOpensslCa } from '../support/openssl-ca.ts'
import { createSandboxFleet } from '../support/sandbox-fleet.ts'

t.setTimeout(900_000)

const fleet = await createSandboxFleet(t)
const { cli, directory } = fleet
const team = createOpensslCa(directory, 'team')
const others = createOpensslCa(directory, 'others')

interface Listener {
  readonly node: string
  readonly service: string
  readonly port: number
  readonly path: string
}

/** A node with an agent that is enrolled and runs; its listeners. */
async function addNode(node: string, services: readonly ('influxdb' | 'prometheus')[]) {
  const listeners: Listener[] = []
  for (const service of services) {
    const path = service === 'influxdb' ? '/ping' : '/-/ready'
    listeners.push({ node, service, port: await freePort(), path })
  }
  await fleet.addNode(
    node,
    listeners.map(({ port, service }) =>
      service === 'influxdb'
        ? { service: 'influxdb', port, version: '1.6.7' }
        : { service: 'prometheus', port, version: '2.42.0' },
    ),
  )
  return listeners
}

const listeners = [
  ...(await addNode('n1', ['influxdb', 'prometheus'])),
  ...(await addNode('n2', ['influxdb'])),
]
const spec = join(directory, 'fleet.yaml')
writeFileSync(
  spec,
  `version: 1
fleet: demo
defaults:
  issuer: csr
  lifetime: 365d
  trust: [${JSON.stringify(team.root)}]
  verify: { stableFor: 300ms, deadline: 2m }
services:
${listeners
  .map(
    ({ node, service, port }) =>
      `  - { service: ${service}, port: ${port}, nodes: { names: [${node}] } }\n`,
  )
  .join('')}`,
)
const plaintext = async ({ port, path }: Listener) => (await probe({ port, path })).status < 300
for (const one of listeners) await until(() => plaintext(one), { what: `${one.port} answers` })

let isOver = false
const rollout = cli('apply', '-f', spec, '--yes', '--quiet').finally(() => {
  isOver = true
})

await t.test('every node asks, one archive has it all, and the rollout waits', async t => {
  const all = await until(
    async () => {
      const { requests } = CertificateRequestList.parse(
        JSON.parse((await cli('csr', 'ls', '--json')).out),
      )
      return requests.length === listeners.length && requests
    },
    { what: 'all have asked', everyMs: 100 },
  )
  const text = await cli('csr', 'ls')
  const out = await cli('csr', 'export', '--out', join(directory, 'requests.tar'))
  const again = await cli('csr', 'export', '--out', join(directory, 'requests.tar'))

  t.strictSame(
    all.map(({ node, service }) => `${node} ${service}`).toSorted(),
    listeners.map(({ node, service }) => `${node} ${service}`).toSorted(),
  )
  t.match(text.out, /^ID +STATE +NODE +SERVICE +KEY +USE +MADE +NAMES +REASON\n/)
  t.match(text.out, /\n3 certificate requests: 3 pending\n$/)
  t.strictSame([out.code, out.err], [0, ''])
  t.match(again, { code: 1, err: /exists and is left as it is/ })
  await until(async () => /\nn1 +waiting .* waits to be signed/.test((await cli('status')).out), {
    what: 'the fleet says what is waited for',
    everyMs: 100,
  })
  t.equal(isOver, false)
  for (const one of listeners) t.equal(await plaintext(one), true, 'nothing is switched')
})

const unpacked = join(directory, 'unpacked')
mkdirSync(unpacked)
const csrOf = (node: string, service: string): string =>
  join(
    unpacked,
    readdirSync(unpacked).find(name => name.startsWith(`${node}--${service}--`)) ?? 'none',
  )

await t.test('answers that do not fit are refused, each with its reason', async t => {
  execFileSync('tar', ['-xf', join(directory, 'requests.tar'), '-C', unpacked])
  const foreign = join(directory, 'foreign.csr')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const asked = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const files = ['-keyout', join(directory, 'foreign.key'), '-out', foreign]
  execFileSync('openssl', ['req', '-new', '-batch', ...key, ...asked, ...files], { stdio: 'pipe' })
  const n1 = csrOf('n1', 'influxdb')
  const bad = {
    'foreign.pem': team.sign(foreign),
    'names.pem': team.sign(n1, { names: 'DNS:elsewhere.example.org' }),
    'expired.pem': team.sign(csrOf('n1', 'prometheus'), { year: 2020 }),
    'others.pem': others.sign(csrOf('n2', 'influxdb')) + others.intermediate,
    'chain.pem': team.intermediate,
    'key.pem': readFileSync(join(directory, 'foreign.key'), 'utf8'),
  }
  for (const [name, text] of Object.entries(bad)) writeFileSync(join(directory, name), text)
  const paths = Object.keys(bad).map(name => join(directory, name))

  const outcome = await cli('csr', 'import', ...paths)
  const json = await cli('csr', 'import', '--json', ...paths)

  t.equal(outcome.code, 3)
  t.match(outcome.err, /key\.pem holds a private key, which is not sent\n/)
  t.match(outcome.out, /\n6 certificates: 4 refused, 2 CA certificate\n$/)
  const results = new Map(resultsOf(json).map(one => [nameOf(one), one]))
  const codesOf = (name: string) => results.get(name)?.reasons.map(({ code }) => code)
  t.strictSame(codesOf('foreign.pem'), ['key-unknown'])
  t.strictSame(codesOf('names.pem'), ['name-missing'])
  t.strictSame(codesOf('expired.pem'), ['expired'])
  t.match(codesOf('others.pem#1'), [/^(untrusted|chain-incomplete)$/])
  t.match(results.get('names.pem'), { node: 'n1', service: 'influxdb', outcome: 'refused' })
  t.notMatch(outcome.out + json.out, 'PRIVATE KEY')
})

await t.test('those that fit are taken in any order, and served', async t => {
  const csrs = readdirSync(unpacked).filter(name => name.endsWith('.csr'))
  const signed = csrs.map(name => team.sign(join(unpacked, name)))
  // Not in the order of the requests, and the chain in between.
  const heap = [signed[2], team.intermediate, signed[0], signed[1]].join('# a remark\n')
  writeFileSync(join(directory, 'signed.pem'), heap)

  const outcome = await cli('csr', 'import', '--json', join(directory, 'signed.pem'))
  t.strictSame(
    resultsOf(outcome).map(({ outcome: word }) => word),
    ['taken', 'issuer', 'taken', 'taken'],
  )
  t.equal(outcome.code, 0, outcome.err)

  const done = await rollout
  t.equal(done.code, 0, 'the rollout that waited succeeds')
  for (const { port, path, node, service } of listeners) {
    const { status } = await probe({ port, path, ca: team.root, servername: 'localhost' })
    t.ok(status < 300, `${service} on ${node}`)
  }
  const served = execFileSync(
    'openssl',
    ['s_client', '-connect', `127.0.0.1:${listeners[0]?.port}`, '-verify_return_error'].concat([
      '-CAfile',
      join(directory, 'team/root.crt'),
      '-verify_hostname',
      'n1.example.org',
    ]),
    { input: '', stdio: ['pipe', 'pipe', 'pipe'], encoding: 'utf8' },
  )
  t.match(served, /Verify return code: 0 \(ok\)/)
  const twice = await cli('csr', 'import', '--json', join(directory, 'signed.pem'))
  t.equal(twice.code, 0)
  const again = resultsOf(twice).map(one => one.outcome)
  t.strictSame(again, ['known', 'issuer', 'known', 'known'], 'the same again changes nothing')
  t.match((await cli('csr', 'ls')).out, 'no certificate requests\n')
  t.match((await cli('csr', 'ls', '--all')).out, /\n3 certificate requests: 3 signed\n$/)
  t.match((await cli('certs', '--details')).out, /source +csr/)
})

function resultsOf({ out }: Outcome): readonly ImportedCertificate[] {
  return CertificateImportAnswer.parse(JSON.parse(out)).results
}

function nameOf({ source }: ImportedCertificate): string {
  return source.slice(source.lastIndexOf('/') + 1)
}
