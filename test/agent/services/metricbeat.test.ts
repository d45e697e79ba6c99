// From the files of a package and of a guide to a Metricbeat that verifies what it sends to.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceTlsOf, Upstream } from '../../../shared/contract/service.ts'
import { Secret } from '../../../shared/secret.ts'
import { createCa } from '../../simulators/certificates.ts'
import {
  applied,
  clientTls,
  codes,
  compiledOn,
  compileOn,
  type FakeNode,
  fakeUnit,
  lineChanges,
  textOf,
  verdict,
} from './fake-node.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-metricbeat-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA = createCa(directory).certPem

const CONFIG = '/etc/metricbeat/metricbeat.yml'
const XPACK = '/etc/metricbeat/modules.d/elasticsearch-xpack.yml'
const KEYSTORE = '/var/lib/metricbeat/metricbeat.keystore'
const TRUST = '/etc/metricbeat/tls/upstream-ca.pem'
const STOCK_DIRECTORY = join(import.meta.dirname, '../../simulators/metricbeat/stock')
const STOCK = readFileSync(join(STOCK_DIRECTORY, 'metricbeat.yml'), 'utf8')
const MODULE = `# Module: elasticsearch
- module: elasticsearch
  xpack.enabled: true
  period: 10s
  hosts: ["http://localhost:9200"]
  #username: "user"
`

function upstream(
  service: 'elasticsearch' | 'kibana',
  names: readonly string[],
  tls: Upstream['tls'] = 'on',
): Upstream {
  const port = service === 'kibana' ? 5601 : 9200
  return { service, names: { dns: [...names], ip: [] }, port, tls }
}

const ES = upstream('elasticsearch', ['es1.example.com', 'localhost'])
const KIBANA = upstream('kibana', ['kb.example.com'])

function node(config: string, version = '8.15.0', files: Record<string, string> = {}): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'metricbeat.service',
      user: 'root',
      group: 'root',
      execStart: [
        '/usr/share/metricbeat/bin/metricbeat',
        '--environment',
        'systemd',
        '$BEAT_LOG_OPTS',
        '$BEAT_CONFIG_OPTS',
        '$BEAT_PATH_OPTS',
      ],
      environment: {
        BEAT_LOG_OPTS: '',
        BEAT_CONFIG_OPTS: '-c /etc/metricbeat/metricbeat.yml',
        BEAT_PATH_OPTS:
          '--path.home /usr/share/metricbeat --path.config /etc/metricbeat --path.data /var/lib/metricbeat --path.logs /var/log/metricbeat',
      },
    }),
    files: { [CONFIG]: config, ...files },
    commands: {
      '/usr/share/metricbeat/bin/metricbeat version': `metricbeat version ${version} (amd64), libbeat ${version} [abc built]`,
    },
  }
}

function intent(changes: Partial<ServiceTlsOf<'metricbeat'>> = {}): ServiceTlsOf<'metricbeat'> {
  return clientTls('metricbeat', { upstreams: [ES, KIBANA], upstreamTrust: [CA], ...changes })
}

function pass(tls: ServiceTlsOf<'metricbeat'>, before: FakeNode): FakeNode {
  return applied(before, compiledOn(tls, before))
}

await t.test('the file of the package follows its server, and a second pass is empty', async t => {
  for (const version of ['7.17.0', '8.15.0', '9.1.0', '9.5.0']) {
    const before = node(STOCK, version)
    const after = pass(intent(), before)
    const changes = lineChanges(STOCK, textOf(after, CONFIG))
    t.ok(
      changes.some(line => /^\+ .*https:\/\/localhost:9200/.test(line)),
      `${version}: ${changes.join('|')}`,
    )
    t.ok(
      changes.some(line => line.includes(`certificate_authorities: [${TRUST}]`)),
      version,
    )
    t.equal(
      changes.some(line => line.includes('certificate_reload.enabled: true')),
      version === '9.5.0',
      `${version}: said explicitly where it is known`,
    )
    t.match(textOf(after, TRUST), /BEGIN CERTIFICATE/)
    t.strictSame(textOf(pass(intent(), after), CONFIG), textOf(after, CONFIG), version)
    const trust = compiledOn(intent(), before).loads.find(load => load.name === 'trust')
    t.equal(trust?.activation, version === '9.5.0' ? 'none' : 'restart', version)
  }
})

await t.test('hosts are switched one by one, with and without a scheme of their own', async t => {
  const half = intent({
    upstreams: [ES, upstream('elasticsearch', ['es2.example.com'], 'off'), KIBANA],
  })
  const cases = [
    ['hosts: ["es1.example.com:9200", "es2.example.com:9200", "other:9200"]', ''],
    ['hosts: ["http://es1.example.com:9200", "http://es2.example.com:9200", "other:9200"]', ''],
    ['hosts: ["es1.example.com", "es2.example.com:9200", "other:9200"]', ''],
    [
      'hosts: ["es1.example.com:9200", "es2.example.com:9200", "other:9200"]',
      '  protocol: https\n',
    ],
  ] as const
  const [, , , [, withProtocol]] = cases
  for (const [hosts, more] of cases) {
    const text = `output.elasticsearch:\n  ${hosts}\n${more}setup.kibana:\n  host: "kb.example.com:5601"\n`
    const written = textOf(pass(half, node(text)), CONFIG)
    const isImplied = more === withProtocol
    t.match(written, isImplied ? /"es1\.example\.com:9200"/ : /https:\/\/es1\.example\.com/, hosts)
    t.match(
      written,
      isImplied ? /http:\/\/es2\.example\.com:9200/ : /es2\.example\.com:9200/,
      hosts,
    )
    t.match(written, /"other:9200"/, 'somebody else is left alone')
    t.match(written, /host: "https:\/\/kb\.example\.com:5601"/, hosts)
    t.match(written, /setup\.kibana:[\s\S]*ssl\.certificate_authorities: \[\/etc/, hosts)
  }
})

await t.test('what the guide leaves is repaired', async t => {
  const guide = `output.elasticsearch:
  hosts: ["es1.example.com:9200"]
  protocol: "https"
  ssl.enabled: true
  ssl.certificate_authorities: ["elasticsearch-ca.pem"]
  ssl.verification_mode: "certificate"
`
  const after = textOf(pass(intent(), node(guide)), CONFIG)
  t.strictSame(lineChanges(guide, after), [
    '-   ssl.certificate_authorities: ["elasticsearch-ca.pem"]',
    '-   ssl.verification_mode: "certificate"',
    `+   ssl.certificate_authorities: ["${TRUST}"]`,
    '+   ssl.verification_mode: "full"',
  ])
  const broken = compileOn(intent(), node('setup.kibana\n  host: "kb:5601"\n'))
  t.match(broken, { kind: 'unsupported', reason: { message: /without its colon/ } })
})

await t.test('a password in clear moves into the keystore, once, and is never shown', async t => {
  const text =
    'output.elasticsearch:\n  hosts: ["https://es1.example.com:9200"]\n  username: metricbeat_writer\n  password: "p@ssw0rd"\n'
  const before = node(text)
  const compiled = compiledOn(intent(), before)
  t.match(compiled.keystores, [
    { path: KEYSTORE, tool: '/usr/bin/metricbeat', entries: [{ kind: 'value', name: 'ES_PWD' }] },
  ])
  const [entry] = compiled.keystores[0]?.entries ?? []
  t.equal(entry?.kind === 'value' ? entry.value.reveal() : '', 'p@ssw0rd')
  t.notMatch(JSON.stringify(compiled), 'p@ssw0rd')

  const moved = {
    ...applied(before, compiled),
    keystores: { [KEYSTORE]: secrets('ES_PWD', 'p@ssw0rd') },
  }
  t.match(textOf(moved, CONFIG), 'password: "${ES_PWD}"')
  const again = compiledOn(intent(), moved)
  t.strictSame(again.keystores, [])
  t.equal(textOf(applied(moved, again), CONFIG), textOf(moved, CONFIG))
  t.strictSame(again.loads, compiled.loads, 'nothing has to be loaded for it')

  const taken = { ...before, keystores: { [KEYSTORE]: secrets('ES_PWD', 'of another') } }
  t.match(compiledOn(intent(), taken).keystores, [{ entries: [{ name: 'ES_PWD_2' }] }])
  const elsewhere = {
    ...before,
    unit: { ...before.unit, environment: { BEAT_PATH_OPTS: '--path.data /srv/beat' } },
  }
  const left = compiledOn(intent(), elsewhere)
  t.strictSame([left.keystores, codes(left.notices)], [[], ['password-in-clear']])
  const asked = intent({ options: { module: 'leave', passwords: 'leave' } })
  t.strictSame(compiledOn(asked, before).keystores, [])
})

function secrets(name: string, value: string): ReadonlyMap<string, Secret> {
  return new Map([[name, new Secret(value)]])
}

await t.test(
  'passwords in files of modules move as well, numbers are text, off moves nothing',
  async t => {
    const module = `- module: elasticsearch\n  hosts: ["http://es1.example.com:9200"]\n  password: hunter\n`
    const config = 'output.elasticsearch:\n  hosts: ["es1.example.com:9200"]\n  password: 12345\n'
    const before = node(config, '8.15.0', { [XPACK]: module })
    const compiled = compiledOn(intent(), before)
    const entries = compiled.keystores[0]?.entries ?? []
    t.strictSame(
      entries.map(one => (one.kind === 'value' ? [one.name, one.value.reveal()] : one.kind)),
      [
        ['ES_PWD', '12345'],
        ['ELASTICSEARCH_PWD', 'hunter'],
      ],
    )
    const after = applied(before, compiled)
    t.match(textOf(after, XPACK), 'password: "${ELASTICSEARCH_PWD}"')
    t.match(textOf(after, CONFIG), 'password: "${ES_PWD}"')
    t.strictSame(compiledOn(intent({ tls: 'off' }), before).keystores, [])
  },
)

await t.test(
  'its own test of the output is asked for once it has its CA file, and told',
  async t => {
    const before = pass(intent(), node(STOCK))
    const test = `/usr/share/metricbeat/bin/metricbeat test output -c ${CONFIG} --path.config /etc/metricbeat --path.data /var/lib/metricbeat`
    const failed = {
      kind: 'ran',
      code: 1,
      stdout: 'TLS... ERROR x509: unknown authority\n',
      stderr: '',
    } as const
    const broken = { ...before, commands: { ...before.commands, [test]: failed } }
    t.match(compiledOn(intent(), broken).notices, [{ code: 'output-test-failed', message: /x509/ }])
    t.strictSame(
      compiledOn(intent(), { ...broken, commands: { ...before.commands, [test]: '' } }).notices,
      [],
    )
  },
)

await t.test('the module is enabled with the address that its server has now', async t => {
  const tls = intent({ options: { module: 'enable', passwords: 'keystore' } })
  const before = node(STOCK, '8.15.0', { [`${XPACK}.disabled`]: MODULE })
  const after = pass(tls, before)
  t.notOk(after.files[`${XPACK}.disabled`], 'the disabled one is gone')
  t.strictSame(lineChanges(MODULE, textOf(after, XPACK)), [
    '-   hosts: ["http://localhost:9200"]',
    '+   hosts: ["https://localhost:9200"]',
    `+   ssl.certificate_authorities: [${TRUST}]`,
  ])
  t.strictSame(pass(tls, after).files, after.files, 'a second pass is empty')
  t.equal(verdict(tls, node(STOCK)), 'config-missing')
})

await t.test('modules of others, and broken ones, are left alone', async t => {
  const system = '- module: system\n  hosts: ["http://localhost:9200"]\n'
  const path = '/etc/metricbeat/modules.d/system.yml'
  const after = pass(intent(), node(STOCK, '8.15.0', { [path]: system }))
  t.equal(textOf(after, path), system)
  const broken = node(STOCK, '8.15.0', { [path]: '- module: x\n hosts: [\n' })
  t.equal(verdict(intent(), broken), 'config-unparsable')
})

await t.test('back to plaintext, and untouched where it never was anything else', async t => {
  const off = intent({
    upstreams: [
      { ...ES, tls: 'off' },
      { ...KIBANA, tls: 'off' },
    ],
    upstreamTrust: [],
  })
  const stock = node(STOCK)
  t.equal(textOf(pass(off, stock), CONFIG), STOCK)
  t.notMatch(textOf(pass(off, pass(intent(), stock)), CONFIG), 'https://localhost')
})

await t.test('a version that panics is told, and what is unclear is refused', async t => {
  const text = `${'output.elasticsearch.ssl.restart_on_cert_change.enabled: true\n'}`
  t.strictSame(codes(compiledOn(intent(), node(text, '8.18.3')).notices), ['beat-restart-panics'])
  t.strictSame(codes(compiledOn(intent(), node(text, '8.18.7')).notices), [])
  t.equal(verdict(intent(), { ...node(''), commands: {} }), 'version-unknown')
  t.equal(verdict(intent(), node('output.elasticsearch.hosts: {a: 1}\n')), 'compiled')
  t.equal(verdict(intent(), node('output.elasticsearch.hosts: 12\n')), 'config-unexpected')
  const two = { BEAT_CONFIG_OPTS: '-c a.yml -c b.yml' }
  t.equal(
    verdict(intent(), { ...node(''), unit: { ...node('').unit, environment: two } }),
    'command-line-unclear',
  )
})
