// What influxd has beside its HTTP listener, and the way back to plaintext.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sha256 } from '../../../shared/digest.ts'
import { normalizeBundle } from '../../../shared/pki/trust.ts'
import { createCa } from '../../simulators/certificates.ts'
import {
  applied,
  codes,
  compiledOn,
  type FakeNode,
  fakeUnit,
  influxdbTls,
  lineChanges,
  textOf,
  verdict,
} from './fake-node.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-influxdb-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA = normalizeBundle([createCa(directory).certPem])

const CONFIG = '/etc/influxdb/influxdb.conf'
const SYSTEM_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'
const ADDED = '/usr/local/share/ca-certificates'
const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')
const STOCK = golden('influxdb-debian-1.6.7.conf')
// Of this node: what other members connect to must be covered.
const ENTERPRISE = golden('influxdb-enterprise.conf').replace('data1.example.com', 'm1.example.com')

function node(config: string, version = '1.8.10', files: Record<string, string> = {}): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'influxdb.service',
      user: 'influxdb',
      execStart: ['/usr/bin/influxd', '-config', CONFIG],
      environmentFiles: [{ path: '/etc/default/influxdb', optional: true }],
    }),
    files: { [CONFIG]: config, [SYSTEM_BUNDLE]: 'others\n', ...files },
    commands: { '/usr/bin/influxd version': `InfluxDB v${version} (git: x)\n` },
  }
}

const pass = (tls: ReturnType<typeof influxdbTls>, on: FakeNode) => applied(on, compiledOn(tls, on))

await t.test('off is a state: untouched where it was never on, and the way back', async t => {
  const off = influxdbTls({ tls: 'off' })
  for (const stock of [STOCK, ENTERPRISE]) {
    const compiled = compiledOn(off, node(stock))
    t.equal(textOf(applied(node(stock), compiled), CONFIG), stock)
    t.notOk(compiled.material.isWanted)
    t.match(compiled.listeners, [{ scheme: 'http', clientCertificate: false }])
    t.notOk(compiled.loads.some(load => load.value.includes('{release}')))
  }
  const on = pass(influxdbTls(), node(STOCK))
  const back = pass(off, on)
  t.strictSame(lineChanges(textOf(on, CONFIG), textOf(back, CONFIG)), [
    '-   https-enabled = true',
    '+   https-enabled = false',
  ])
  t.strictSame(pass(off, back).files, back.files, 'a second pass is empty')
  const overridden = node(STOCK, '1.8.10', {
    '/etc/default/influxdb': 'INFLUXDB_HTTP_HTTPS_ENABLED=true\n',
  })
  t.equal(textOf(pass(off, overridden), '/etc/default/influxdb').trim(), '')

  const cluster = influxdbTls({ options: { meta: 'tls', cluster: 'tls' } })
  const none = influxdbTls({ tls: 'off', options: { meta: 'off', cluster: 'off' } })
  const clustered = pass(cluster, node(ENTERPRISE))
  const text = textOf(pass(none, clustered), CONFIG)
  t.notMatch(text, /tls-enabled = true|https-enabled = true/)
  t.equal(
    verdict(influxdbTls({ tls: 'off', options: { cluster: 'tls' } }), node(ENTERPRISE)),
    'option-unsupported',
  )
})

await t.test('key and chain in one file, for those who want it so', async t => {
  const bundle = influxdbTls({ options: { layout: 'bundle' } })
  const before = node('[http]\n  https-private-key = "/old.key"\n')
  const compiled = compiledOn(bundle, before)
  t.equal(compiled.material.bundleMode, 0o600)
  const text = textOf(applied(before, compiled), CONFIG)
  t.match(text, 'https-certificate = "/etc/influxdb/tls/current/bundle.pem"')
  t.notMatch(text, 'https-private-key')
})

await t.test(
  'listeners for OpenTSDB are managed when that is asked for, and told otherwise',
  async t => {
    const conf =
      '[http]\n\n[[opentsdb]]\n  enabled = true\n  tls-enabled = true\n\n[[opentsdb]]\n  enabled = true\n  bind-address = ":4243"\n\n[[opentsdb]]\n  bind-address = ":4244"\n'
    const left = compiledOn(influxdbTls(), node(conf))
    t.strictSame(codes(left.notices), ['listener-not-managed'])
    t.equal(left.material.bundleMode, undefined)

    const wanted = influxdbTls({ options: { opentsdb: 'tls' } })
    const compiled = compiledOn(wanted, node(conf))
    const after = applied(node(conf), compiled)
    t.equal(
      textOf(after, CONFIG).split('certificate = "/etc/influxdb/tls/current/bundle.pem"').length,
      3,
    )
    t.equal(compiled.material.bundleMode, 0o600)
    t.ok(
      compiled.loads.some(
        load => load.name === 'opentsdb-certificate' && load.provenBy === 'ledger',
      ),
    )
    t.strictSame(pass(wanted, after).files, after.files)
    const off = influxdbTls({ options: { opentsdb: 'off' } })
    t.notMatch(textOf(pass(off, after), CONFIG), /tls-enabled = true/)
    t.equal(compiledOn(wanted, node(STOCK)).material.bundleMode, undefined, 'there is none')
    const subscriber = node('[http]\n[subscriber]\n  insecure-skip-verify = true\n')
    t.strictSame(codes(compiledOn(influxdbTls(), subscriber).notices), ['subscriber-unverified'])
  },
)

await t.test(
  'a private CA is learnt from the store of the node, or from the environment',
  async t => {
    const verifying = { meta: 'tls' } as const
    const members = { options: verifying, upstreamTrust: [CA] }
    const name = `tlsfleet-influxdb-${sha256(CA).slice(0, 16)}.crt`
    const obsolete = `${ADDED}/tlsfleet-influxdb-0123456789abcdef.crt`
    const others = `${ADDED}/tlsfleet-influxdb-meta-0123456789abcdef.crt`
    const before = node(ENTERPRISE, '1.8.10-c1.8.10', { [obsolete]: 'old', [others]: 'theirs' })
    const compiled = compiledOn(influxdbTls(members), before)
    const after = applied(before, compiled)
    t.equal(textOf(after, `${ADDED}/${name}`), CA)
    t.notOk(after.files[obsolete], 'one that is not wanted any more goes')
    t.ok(after.files[others], 'that of another product stays')
    t.match(compiled.tools, [{ argv: ['/usr/sbin/update-ca-certificates'], isStale: true }])
    const updated = { ...after, files: { ...after.files, [SYSTEM_BUNDLE]: `others\n${CA}` } }
    t.match(compiledOn(influxdbTls(members), updated).tools, [{ isStale: false }])

    const unit = influxdbTls({ ...members, options: { ...verifying, trustStore: 'unit' } })
    const inUnit = pass(unit, before)
    t.match(textOf(inUnit, '/etc/default/influxdb'), /SSL_CERT_DIR="?\/etc\/influxdb\/tls\/roots"?/)
    t.equal(textOf(inUnit, '/etc/influxdb/tls/roots/ca.pem'), CA)
    t.strictSame(pass(unit, inUnit).files, inUnit.files)

    const own = compiledOn(influxdbTls(members), node(ENTERPRISE, '1.13.0-c1.13.0'))
    t.strictSame([own.tools, own.files[0]?.path], [[], '/etc/influxdb/tls/upstream-ca.pem'])
    t.equal(
      verdict(influxdbTls(members), { ...before, files: { [CONFIG]: ENTERPRISE } }),
      'trust-store-unknown',
    )
    const leave = influxdbTls({ ...members, options: { ...verifying, trustStore: 'leave' } })
    t.strictSame(compiledOn(leave, before).tools, [])
  },
)
