// Prometheus as a client: whose listeners its jobs ask, and with which scheme.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceTlsOf, Upstream } from '../../../../shared/contract/service.ts'
import { normalizeBundle } from '../../../../shared/pki/trust.ts'
import { createCa } from '../../../simulators/certificates.ts'
import { applied, codes, compiledOn, lineChanges, serverTls, textOf } from '../fake-node.ts'
import { debianNode, SCRAPE } from '../web-nodes.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-prometheus-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA_PEM = normalizeBundle([createCa(directory).certPem])
const OTHER_CA_PEM = normalizeBundle([createCa(directory).certPem])

const golden = (name: string) =>
  readFileSync(join(import.meta.dirname, '..', 'golden', name), 'utf8')

const TRUST = '/etc/prometheus/tls/upstream-ca.pem'
const OWN = '/etc/prometheus/tls/ca.pem'

type Intent = ServiceTlsOf<'prometheus'>

const upstream = (
  service: Upstream['service'],
  port: number,
  tls: Upstream['tls'] = 'on',
  node = 'm1',
): Upstream => ({
  service,
  port,
  tls,
  names: { dns: [`${node}.example.com`, 'localhost'], ip: ['127.0.0.1'] },
})
const tlsWith = (upstreams: readonly Upstream[], changes: Partial<Intent> = {}): Intent =>
  serverTls('prometheus', {
    trust: [CA_PEM],
    upstreams: [...upstreams],
    upstreamTrust: upstreams.some(({ tls }) => tls === 'on') ? [CA_PEM] : [],
    options: { externalUrl: 'leave' },
    ...changes,
  })
const scraping = (scrape: string) => debianNode('prometheus', { files: { [SCRAPE]: scrape } })
const edited = (scrape: string, tls: Intent) => {
  const node = scraping(scrape)
  const compiled = compiledOn(tls, node)
  return { compiled, text: textOf(applied(node, compiled), SCRAPE) }
}
const changes = (scrape: string, tls: Intent) => lineChanges(scrape, edited(scrape, tls).text)

await t.test('stock files of every version follow this server to https and back', async t => {
  for (const version of [
    'debian-2.42',
    'upstream-2.24',
    'upstream-2.45',
    'upstream-3.5',
    'upstream-3.14',
  ]) {
    const stock = golden(`prometheus-${version}.yml`)
    const indent = '    '

    const { text } = edited(stock, tlsWith([]))

    t.same(
      lineChanges(stock, text),
      [`${indent}scheme: https`, `${indent}tls_config:`, `${indent}  ca_file: ${OWN}`].map(
        line => `+ ${line}`,
      ),
      version,
    )
    t.equal(edited(text, tlsWith([], { tls: 'off' })).text, stock, `${version} comes back`)
  }
})

await t.test('a whole node: exporter and alertmanager beside prometheus', async t => {
  const stock = golden('prometheus-debian-2.42.yml')
  const all = [
    upstream('node-exporter', 9100),
    upstream('alertmanager', 9093),
    upstream('prometheus', 9090),
  ]
  const tls = tlsWith(all)

  const { compiled, text } = edited(stock, tls)
  const made = applied(scraping(stock), compiled)
  // The engine writes this one.
  const node = { ...made, files: { ...made.files, [OWN]: CA_PEM } }

  t.equal(text, golden('prometheus-debian-2.42.upstreams.yml'))
  t.same(
    compiled.files.map(file => [file.path, file.reason.code]).slice(1, 3),
    [
      [TRUST, 'upstream-trust'],
      [SCRAPE, 'upstream-tls'],
    ],
    'the CA certificates are in place before a job names them',
  )
  t.equal(textOf(node, TRUST), CA_PEM)
  t.same(compiled.notices, [])
  t.same(
    compiled.upstreams.map(({ name, serverName }) => [name, serverName]),
    [
      ['node-exporter https://localhost:9100', 'localhost'],
      ['alertmanager https://localhost:9093', 'localhost'],
    ],
  )
  t.match(compiled.loads.at(-1), { name: 'scrape', activation: 'reload' })
  t.same(applied(node, compiledOn(tls, node)).files, node.files)

  const plain = tlsWith(
    all.map(one => ({ ...one, tls: 'off' as const })),
    { tls: 'off' },
  )
  const back = compiledOn(plain, node)
  t.equal(textOf(applied(node, back), SCRAPE), stock)
  t.equal(back.files.find(file => file.path === SCRAPE)?.reason.code, 'upstream-plaintext')
  t.equal(
    compiledOn(plain, applied(node, back)).loads.at(-1)?.value,
    back.loads.at(-1)?.value,
    'a reload that a crash has prevented stays owed',
  )
})

await t.test(
  'a changed CA bundle is a change of one file, and of nothing that is loaded',
  async t => {
    const tls = tlsWith([upstream('node-exporter', 9100)])
    const stock = golden('prometheus-debian-2.42.yml')
    const before = applied(scraping(stock), compiledOn(tls, scraping(stock)))
    const rotated = { ...tls, upstreamTrust: [CA_PEM, OTHER_CA_PEM] }

    const compiled = compiledOn(rotated, before)
    const after = applied(before, compiled)

    t.same(
      Object.keys(after.files).filter(path => after.files[path] !== before.files[path]),
      [TRUST],
    )
    t.same(compiled.loads, compiledOn(tls, before).loads)
  },
)

await t.test('a job that came back to http is loaded once, not once more', async t => {
  const tls = tlsWith([upstream('alertmanager', 9093)], { tls: 'off', upstreamTrust: [] })
  const node = scraping(golden('prometheus-debian-2.42.upstreams.yml'))

  const compiled = compiledOn(tls, node)

  t.same(compiledOn(tls, applied(node, compiled)).loads, compiled.loads)
})

const job = (targets: string, more = '') =>
  `scrape_configs:\n- job_name: j\n  static_configs:\n  - targets: [${targets}]\n${more}`
const m1 = upstream('node-exporter', 9100)
const m2 = upstream('node-exporter', 9100, 'on', 'm2')
const m3 = upstream('node-exporter', 9100, 'off', 'm3')

await t.test('a job follows its targets only where they agree', async t => {
  const https = ['+   scheme: https', '+   tls_config:', `+     ca_file: ${TRUST}`]
  const of = (targets: string, more?: string) => changes(job(targets, more), tlsWith([m1, m2, m3]))
  const noticed = (targets: string, more?: string) =>
    codes(edited(job(targets, more), tlsWith([m1, m2, m3])).compiled.notices)

  t.same(of("'m1.example.com:9100', 'm2.example.com:9100'"), https)
  t.same(of("'m3.example.com:9100'"), [])
  t.same(of("'m2.example.com:9100', 'm3.example.com:9100'"), [])
  t.same(noticed("'m2.example.com:9100', 'm3.example.com:9100'"), ['scrape-job-mixed'])
  t.same(noticed("'m2.example.com:9100', 'm9.example.com:9100'"), ['scrape-job-mixed'])
  t.same(of("'m2.example.com:9200'"), [], 'another port is another listener')
  t.same(of("'m9.example.com:9100'"), [], 'somebody else')
  t.same(noticed("'m9.example.com:9100'"), [])
  t.same(noticed("'m3.example.com:9100', 'm9.example.com:9100'"), [], 'plaintext as it should be')
  t.same(noticed("'m2.example.com:9100'", "  file_sd_configs: [{files: ['a']}]\n"), [
    'scrape-job-mixed',
  ])
  const relabelled = '  relabel_configs:\n  - {target_label: __address__, replacement: x}\n'
  t.same(of("'m2.example.com:9100'", relabelled), [])
  t.same(noticed("'m2.example.com:9100'", relabelled), ['scrape-job-relabelled'])
})

await t.test('localhost means what runs here, although every node calls itself so', async t => {
  const only = (one: Upstream) => changes(job("'localhost:9100'"), tlsWith([one]))
  t.equal(only(m1).length, 3)
  t.same(only(m2), [])
  t.same(changes(job("'localhost:9100'"), tlsWith([m2, { ...m1, tls: 'off' }])), [])
})

await t.test('a name is demanded only where the address is none of the certificate', async t => {
  const bare = { ...m1, names: { dns: ['m1.example.com'], ip: ['10.0.0.7'] } }
  const named = (targets: string, upstreams: readonly Upstream[], more?: string) =>
    /server_name: (\S+)/.exec(edited(job(targets, more), tlsWith(upstreams)).text)?.[1]
  t.equal(named("'10.0.0.7:9100'", [bare]), undefined)
  t.equal(named("'localhost:9100'", [bare]), 'm1.example.com')
  t.equal(named("'127.0.0.1:9100', '10.0.0.7:9100'", [bare]), 'm1.example.com')
  t.same(
    codes(
      edited(job("'127.0.0.1:9100', 'm2.example.com:9100'"), tlsWith([bare, m2])).compiled.notices,
    ),
    ['scrape-job-mixed'],
    'no one name fits both',
  )
  const stale = '  tls_config: {server_name: old.example.com, insecure_skip_verify: true}\n'
  const kept = edited(job("'m1.example.com:9100', 'm2.example.com:9100'", stale), tlsWith([m1, m2]))
  t.match(kept.text, `tls_config: {insecure_skip_verify: true, ca_file: ${TRUST}}`)
})

await t.test('one CA file has to do for a job with this server and others', async t => {
  const both = "'localhost:9090', 'localhost:9100'"
  const shared = edited(job(both), tlsWith([m1]))
  t.match(shared.text, `ca_file: ${TRUST}`)
  const apart = tlsWith([m1], { upstreamTrust: [OTHER_CA_PEM] })
  t.same(codes(edited(job(both), apart).compiled.notices), ['scrape-job-mixed'])
  const platform = edited(job("'m2.example.com:9100'"), tlsWith([m2], { upstreamTrust: [] }))
  t.notMatch(platform.text, 'tls_config')
  t.same(platform.compiled.files.map(file => file.path).includes(TRUST), false)
})

await t.test('upstreams are followed whether or not this server itself has TLS', async t => {
  const scrape = `${job("'m2.example.com:9100'")}- job_name: self\n  static_configs: [{targets: ['localhost:9090']}]\n`
  const half = edited(scrape, tlsWith([m2], { tls: 'off' }))
  t.same(lineChanges(scrape, half.text), [
    '+   scheme: https',
    '+   tls_config:',
    `+     ca_file: ${TRUST}`,
  ])
  t.same(
    half.compiled.loads.map(load => load.name),
    ['listener', 'scrape'],
  )

  const manual = job("'m3.example.com:9100'", '  scheme: https\n  tls_config: {ca_file: /mine}\n')
  t.same(changes(manual, tlsWith([m3])), ['-   scheme: https', '+   scheme: http'])
  const flow = `scrape_configs: [{job_name: a, scheme: https, tls_config: {ca_file: ${TRUST}, server_name: x}, static_configs: [{targets: ['m3.example.com:9100']}]}]\n`
  t.equal(
    edited(flow, tlsWith([m3])).text,
    "scrape_configs: [{job_name: a, scheme: http, static_configs: [{targets: ['m3.example.com:9100']}]}]\n",
  )
})

await t.test('where there is no TLS nothing is said of jobs', async t => {
  const { compiled } = edited(golden('scrape-jobs.yml'), tlsWith([m3], { tls: 'off' }))
  t.same(compiled.notices, [])
  t.same(compiled.files, [])
  t.same(
    compiled.loads.map(load => load.name),
    ['listener'],
  )
})

await t.test('only a few of many targets are looked at', async t => {
  const many = Array.from({ length: 40 }, (_, index) =>
    upstream('node-exporter', 9100, 'on', `n${index}`),
  )
  const targets = many.map(({ names }) => `'${names.dns[0]}:9100'`).join(', ')
  const { compiled } = edited(job(targets), tlsWith(many))
  t.equal(compiled.upstreams.length, 8)
})
