// From the vendor's file and from a guide's to a meta node with TLS, by version, and back.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import { createCa } from '../../simulators/certificates.ts'
import {
  applied,
  codes,
  compiledOn,
  type FakeNode,
  fakeUnit,
  lineChanges,
  serverTls,
  textOf,
  verdict,
} from './fake-node.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-meta-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA = createCa(directory).certPem

const CONFIG = '/etc/influxdb/influxdb-meta.conf'
const DEFAULTS = '/etc/default/influxdb-meta'
const STOCK = `### Welcome to the InfluxDB Enterprise configuration file.

# reporting-disabled = false
bind-address = ":8091"
hostname = "m1.example.com"

[enterprise]
  #✨ mutually exclusive with license-path
  license-key = "abc"

### [http] is not a table of meta nodes
[meta]
  dir = "/var/lib/influxdb/meta"
  # https-enabled = false
  # https-certificate = ""
  # https-private-key = ""
  # https-insecure-tls = false
  # data-use-tls = false
  internal-shared-secret = "s"
`

function node(config = STOCK, version = '1.8.6-c1.8.6', more: Partial<FakeNode> = {}): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'influxdb-meta.service',
      user: 'influxdb',
      group: 'influxdb',
      execStart: ['/usr/bin/influxd-meta', '-config', CONFIG],
      environmentFiles: [{ path: DEFAULTS, optional: true }],
    }),
    files: { [CONFIG]: config, '/etc/ssl/certs/ca-certificates.crt': 'others\n' },
    commands: {
      '/usr/bin/influxd-meta version': `InfluxDB Enterprise Meta v${version} (git: x)\n`,
    },
    ...more,
  }
}

type Options = ServiceTlsOf<'influxdb-meta'>['options']

function intent(
  changes: Partial<Omit<ServiceTlsOf<'influxdb-meta'>, 'options'>> = {},
  options: Partial<Options> = {},
): ServiceTlsOf<'influxdb-meta'> {
  const standard = serverTls('influxdb-meta', { upstreamTrust: [CA], ...changes })
  return { ...standard, options: { ...standard.options, ...options } }
}

const pass = (tls: ServiceTlsOf<'influxdb-meta'>, on: FakeNode) => applied(on, compiledOn(tls, on))

const PAIR = [
  '+   https-certificate = "/etc/influxdb/tls-meta/current/chain.pem"',
  '+   https-enabled = true',
  '+   https-private-key = "/etc/influxdb/tls-meta/current/key.pem"',
]

await t.test('the file of the vendor gets TLS in every version', async t => {
  const versions = {
    '1.3.9-c1.3.9': [],
    '1.6.2-c1.6.2': ['+   min-version = "tls1.2"', '+ [tls]'],
    '1.7.3-c1.7.3': ['+   min-version = "tls1.2"', '+ [tls]'],
    '1.12.3-c1.12.3': ['+   min-version = "tls1.2"', '+ [tls]'],
    '1.13.0-c1.13.0': [
      '+   https-root-ca = { paths = ["/etc/influxdb/tls-meta/upstream-ca.pem"], include-system = true }',
      '+   min-version = "tls1.2"',
      '+ [tls]',
    ],
  }
  for (const [version, more] of Object.entries(versions)) {
    const before = node(STOCK, version)
    const compiled = compiledOn(intent(), before)
    const after = applied(before, compiled)
    const changes = lineChanges(STOCK, textOf(after, CONFIG)).map(line =>
      line.replace(/^\+ {1,3}min/, '+   min'),
    )
    t.strictSame(
      changes.filter(line => line !== '+ ').toSorted(),
      [...PAIR, ...more].toSorted(),
      version,
    )
    t.strictSame(pass(intent(), after).files, after.files, `${version}: a second pass is empty`)
    t.equal(compiled.tools.length, version.startsWith('1.13') ? 0 : 1, `${version}: trust`)
    t.match(compiled.material, { keyMode: 0o600, chainMode: 0o644, isWanted: true })
    t.match(compiled.listeners, [
      { port: 8091, serverName: 'm1.example.com', healthPath: '/status' },
    ])
  }
})

await t.test('what the guide leaves is told, and put right where it belongs', async t => {
  const guide = `${STOCK}
[http]
  https-enabled = true
  https-certificate = "influx.pem"
`
  const compiled = compiledOn(intent(), node(guide))
  t.strictSame(codes(compiled.notices), ['guide-table-ignored'])
  t.equal(compiled.files.at(-1)?.reason.code, 'guide-key-names')
  t.match(
    textOf(applied(node(guide), compiled), CONFIG),
    '[http]\n  https-enabled = true\n  https-certificate = "influx.pem"',
  )

  const prose = STOCK.replace(
    '  # https-enabled = false',
    '  https-enabled = true\n  http-certificate = "x.pem"',
  )
  t.strictSame(codes(compiledOn(intent(), node(prose)).notices), ['guide-key-ignored'])
  const relative = STOCK.replace('  # https-certificate = ""', '  https-certificate = "x.pem"')
  t.equal(compiledOn(intent(), node(relative)).files.at(-1)?.reason.code, 'guide-relative-path')
})

await t.test('the name that other nodes connect to must be covered', async t => {
  const other = STOCK.replace('m1.example.com', 'm2.example.com')
  t.equal(verdict(intent(), node(other)), 'hostname-not-covered')
  t.equal(verdict(intent({ tls: 'off' }), node(other)), 'compiled')
  const inEnvironment = node(STOCK, '1.8.6', {
    files: { ...node().files, [DEFAULTS]: 'INFLUXDB_META_HOSTNAME=elsewhere\n' },
  })
  t.equal(verdict(intent(), inEnvironment), 'hostname-not-covered')
})

await t.test('verification is given up only where that is asked for', async t => {
  const insecure = intent({}, { peers: 'insecure', data: 'tls-insecure' })
  const text = textOf(pass(insecure, node()), CONFIG)
  t.match(text, 'https-insecure-tls = true')
  t.match(text, 'data-insecure-tls = true')
  t.strictSame(compiledOn(insecure, node()).tools, [], 'and no CA is installed then')
  const back = textOf(pass(intent({}, { data: 'tls' }), node(text)), CONFIG)
  t.match(back, 'https-insecure-tls = false')
  t.match(back, 'data-use-tls = true')
  t.match(back, 'data-insecure-tls = false')
  t.equal(verdict(intent({}, { data: 'tls' }), node(STOCK, '1.6.4')), 'option-unsupported')
})

await t.test('off is a state, and untouched where it was never on', async t => {
  const off = intent({ tls: 'off' }, { data: 'off' })
  t.equal(textOf(pass(off, node()), CONFIG), STOCK)
  const on = pass(intent({}, { data: 'tls' }), node())
  const back = textOf(pass(off, on), CONFIG)
  t.match(back, 'https-enabled = false')
  t.match(back, 'data-use-tls = false')
  t.match(compiledOn(off, on).listeners, [{ scheme: 'http' }])
})

await t.test('a cluster without a leader is told', async t => {
  const [listener] = compiledOn(intent(), node()).listeners
  const advice = (body: string, status = 200) =>
    codes(listener?.advise?.({ status, headers: {}, body }) ?? [])
  t.strictSame(advice('{"nodeType":"meta","leader":"m1:8089","peers":["m1:8089"]}'), [])
  t.strictSame(advice('{"nodeType":"meta","leader":"","peers":["m1:8089"]}'), ['raft-no-leader'])
  t.strictSame(advice('{"nodeType":"meta","leader":"","peers":null}'), ['raft-no-leader'])
  t.strictSame(advice('{"nodeType":"meta","leader":"m1:8089","peers":null}'), ['raft-no-peers'])
  t.strictSame(advice('<html>'), ['status-unreadable'])
  t.strictSame(advice('', 401), [])
})

await t.test('what is unclear is refused', async t => {
  t.equal(verdict(intent(), node(STOCK, 'none')), 'version-unknown')
  t.equal(verdict(intent(), node('[meta\n')), 'config-unparsable')
  t.equal(verdict(intent(), node('[meta]\nhttp-bind-address = "x"\n')), 'listen-address-unclear')
  t.equal(verdict(intent({ minVersion: '1.3' }), node(STOCK, '1.7.3')), 'option-unsupported')
  t.equal(verdict(intent({ clientAuth: 'required' }), node()), 'option-unsupported')
  t.equal(verdict(intent({ clientAuth: 'required' }), node(STOCK, '1.13.0')), 'compiled')
  const program = { execStart: ['/usr/local/bin/start-meta.sh'] }
  t.equal(verdict(intent(), node(STOCK, '1.8.6', { unit: fakeUnit(program) })), 'program-unknown')
})

await t.test('the Raft store is what is copied before all are stopped and changed', t => {
  const copied = (line: string, more: Partial<FakeNode> = {}) =>
    compiledOn(
      intent(),
      node(STOCK.replace('  dir = "/var/lib/influxdb/meta"\n', line), undefined, more),
    ).snapshot
  t.strictSame(copied('  dir = "/data/meta"\n'), { directories: ['/data/meta'] })
  t.strictSame(copied(''), { directories: ['/var/lib/influxdb/meta'] }, 'where it is by default')
  t.equal(copied('  dir = "meta"\n'), undefined, 'below a directory that is not known')
  t.end()
})
