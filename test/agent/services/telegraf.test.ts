// From the files of a package and of a guide, by version, to a Telegraf that verifies what it
// writes to.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceTlsOf, Upstream } from '../../../shared/contract/service.ts'
import { createCa } from '../../simulators/certificates.ts'
import {
  applied,
  clientTls,
  codes,
  compiledOn,
  type FakeNode,
  fakeUnit,
  lineChanges,
  textOf,
  verdict,
} from './fake-node.ts'

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-telegraf-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA = createCa(directory).certPem

const CONFIG = '/etc/telegraf/telegraf.conf'
const EXTRA = '/etc/telegraf/telegraf.d/extra.conf'
const DEFAULTS = '/etc/default/telegraf'
const TRUST = '/etc/telegraf/tls/upstream-ca.pem'
const NASTY = readFileSync(
  join(import.meta.dirname, '../formats/golden/telegraf-nasty.conf'),
  'utf8',
)

function influx(name: string, tls: Upstream['tls'] = 'on'): Upstream {
  return { service: 'influxdb', names: { dns: [name], ip: [] }, port: 8086, tls }
}

function node(
  files: Record<string, string>,
  version = '1.34.0',
  unit: Parameters<typeof fakeUnit>[0] = {},
): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'telegraf.service',
      user: 'telegraf',
      group: 'telegraf',
      type: 'notify',
      canReload: true,
      execStart: [
        '/usr/bin/telegraf',
        '-config',
        CONFIG,
        '-config-directory',
        '/etc/telegraf/telegraf.d',
        '$TELEGRAF_OPTS',
      ],
      environmentFiles: [{ path: DEFAULTS, optional: true }],
      ...unit,
    }),
    files,
    commands: { '/usr/bin/telegraf version': `Telegraf ${version} (git: HEAD@abc)` },
  }
}

function intent(changes: Partial<ServiceTlsOf<'telegraf'>> = {}): ServiceTlsOf<'telegraf'> {
  return clientTls('telegraf', { upstreams: [influx('one')], upstreamTrust: [CA], ...changes })
}

function pass(tls: ServiceTlsOf<'telegraf'>, before: FakeNode): FakeNode {
  return applied(before, compiledOn(tls, before))
}

const SIMPLE = '[[outputs.influxdb]]\n  urls = ["http://one:8086"]\n'

await t.test('options have the names that the version takes', async t => {
  const versions = {
    '1.3.0': 'ssl_ca',
    '1.6.4': 'ssl_ca',
    '1.7.0': 'tls_ca',
    '1.34.4': 'tls_ca',
    '1.35.0': 'tls_ca',
    '1.38.0': 'tls_ca',
  }
  for (const [version, key] of Object.entries(versions)) {
    const before = node({ [CONFIG]: SIMPLE }, version)
    const after = pass(intent(), before)
    t.strictSame(
      lineChanges(SIMPLE, textOf(after, CONFIG)),
      [
        '-   urls = ["http://one:8086"]',
        '+   urls = ["https://one:8086"]',
        `+   ${key} = "${TRUST}"`,
      ],
      version,
    )
    t.match(textOf(after, TRUST), /BEGIN CERTIFICATE/)
    t.strictSame(pass(intent(), after).files, after.files, `${version}: a second pass is empty`)
    t.equal(compiledOn(intent(), before).validators.length, 0, 'the CA file is yet to come')
    const checks = compiledOn(intent(), after).validators.length
    t.equal(checks, ['1.34.4', '1.35.0', '1.38.0'].includes(version) ? 1 : 0, `${version} checks`)
  }
})

await t.test('the checker is as strict as the start', async t => {
  const argv = (version: string, unit: Parameters<typeof fakeUnit>[0] = {}) =>
    compiledOn(intent(), node({ [CONFIG]: SIMPLE, [TRUST]: CA }, version, unit)).validators[0]
      ?.argv ?? []
  t.notOk(argv('1.37.0').includes('--strict-env-handling'))
  t.ok(argv('1.38.0').includes('--strict-env-handling'))
  const loose = { environment: { TELEGRAF_OPTS: '--non-strict-env-handling' } }
  t.notOk(argv('1.38.0', loose).includes('--strict-env-handling'))
})

await t.test('what the guide leaves is renamed and repaired', async t => {
  const guide = `[[outputs.influxdb]]
  urls = ["https://one:8086"]
  ssl_ca = "/etc/telegraf/old.pem"
  ssl_cert = "/etc/telegraf/client.pem"
  ssl_key = "/etc/telegraf/client.key"
  insecure_skip_verify = true
`
  const now = node({ [CONFIG]: guide }, '1.35.0')
  const compiled = compiledOn(intent(), now)
  t.strictSame(
    lineChanges(guide, textOf(applied(now, compiled), CONFIG)).toSorted(),
    [
      '-   insecure_skip_verify = true',
      '-   ssl_ca = "/etc/telegraf/old.pem"',
      '-   ssl_cert = "/etc/telegraf/client.pem"',
      '-   ssl_key = "/etc/telegraf/client.key"',
      '+   insecure_skip_verify = false',
      '+   tls_ca = "/etc/telegraf/tls/upstream-ca.pem"',
      '+   tls_cert = "/etc/telegraf/client.pem"',
      '+   tls_key = "/etc/telegraf/client.key"',
    ].toSorted((a, b) => (a < b ? -1 : 1)),
  )
  t.equal(compiled.files.at(-1)?.reason.code, 'guide-option-names')

  const insecure = intent({ options: { verification: 'insecure' }, upstreamTrust: [] })
  const text = textOf(pass(insecure, node({ [CONFIG]: SIMPLE })), CONFIG)
  t.match(text, 'insecure_skip_verify = true')
  t.notMatch(text, 'tls_ca')
})

await t.test('every block is addressed by itself, and nothing else changes', async t => {
  const tls = intent({ upstreams: [influx('one'), influx('three')] })
  const before = node({ [CONFIG]: NASTY })
  const after = pass(tls, before)
  const text = textOf(after, CONFIG)
  t.strictSame(lineChanges(NASTY, text).filter(line => line.startsWith('-')).length, 2)
  t.match(text, '"https://one:8086", # the first')
  t.match(text, '"http://two:8086"', 'somebody else is left alone')
  t.match(text, /'https:\/\/three:8086'/)
  t.equal(text.split('tls_ca = "/etc/telegraf/tls').length - 1, 2, 'one for each block')
  t.strictSame(pass(tls, after).files, after.files)
})

await t.test('addresses in variables are changed where the variable is', async t => {
  const text =
    '[[outputs.influxdb]]\n  urls = ["${INFLUX_URL}"]\n  skip_database_creation = ${SKIP}\n'
  const before = node({ [CONFIG]: text, [DEFAULTS]: 'SKIP=true\nINFLUX_URL=http://one:8086\n' })
  const compiled = compiledOn(intent(), before)
  const after = applied(before, compiled)
  t.equal(textOf(after, DEFAULTS), 'SKIP=true\nINFLUX_URL=https://one:8086\n')
  t.strictSame(lineChanges(text, textOf(after, CONFIG)), [`+   tls_ca = "${TRUST}"`])
  t.equal(compiled.loads.find(load => load.name === 'environment')?.activation, 'restart')
  t.strictSame(compiledOn(intent(), after).loads, compiled.loads, 'what must be loaded is the same')
  t.strictSame(pass(intent(), after).files, after.files)

  const fixed = node({ [CONFIG]: text }, '1.34.0', {
    environment: { INFLUX_URL: 'http://one:8086' },
  })
  t.equal(verdict(intent(), fixed), 'environment-fixed')
})

await t.test('v2 outputs, single tables and files of the directory are seen too', async t => {
  const v2 = '[[outputs.influxdb_v2]]\n  urls = ["http://one:8086"]\n  token = "t"\n'
  const single = '[outputs.influxdb]\n  url = "http://one:8086"\n'
  const before = node({
    [CONFIG]: '[agent]\n',
    [EXTRA]: v2,
    '/etc/telegraf/telegraf.d/b.conf': single,
  })
  const after = pass(intent(), before)
  t.equal(textOf(after, CONFIG), '[agent]\n')
  t.match(textOf(after, EXTRA), /urls = \["https:\/\/one:8086"\][\s\S]*tls_ca/)
  t.match(textOf(after, '/etc/telegraf/telegraf.d/b.conf'), /url = "https:\/\/one:8086"/)
  t.strictSame(pass(intent(), after).files, after.files)
})

await t.test('back to plaintext, and untouched where it never was anything else', async t => {
  const off = intent({ upstreams: [influx('one', 'off')], upstreamTrust: [] })
  const before = node({ [CONFIG]: SIMPLE })
  t.equal(textOf(pass(off, before), CONFIG), SIMPLE)
  t.match(textOf(pass(off, pass(intent(), before)), CONFIG), 'urls = ["http://one:8086"]')
  t.strictSame(compiledOn(off, before).upstreams, [])
})

await t.test(
  'reload where the unit can, restart where it cannot, nothing where it watches',
  async t => {
    const activation = (unit: Parameters<typeof fakeUnit>[0]) =>
      compiledOn(intent(), node({ [CONFIG]: SIMPLE }, '1.34.0', unit)).loads[0]?.activation
    t.equal(activation({}), 'reload')
    t.equal(activation({ canReload: false }), 'restart')
    t.equal(activation({ environment: { TELEGRAF_OPTS: '--watch-config notify' } }), 'none')
  },
)

await t.test('a block that writes to others over TLS as well is left alone, and told', async t => {
  const mixed =
    '[[outputs.influxdb]]\n  urls = ["http://one:8086", "https://cloud.example:443"]\n  tls_ca = "/their.pem"\n'
  const compiled = compiledOn(intent(), node({ [CONFIG]: mixed }))
  t.equal(textOf(applied(node({ [CONFIG]: mixed }), compiled), CONFIG), mixed)
  t.strictSame(codes(compiled.notices), ['output-mixed'])
})

await t.test('every spelling of the addresses, and this node by its local name', async t => {
  for (const key of ['Urls', 'URLs', 'URLS', 'url']) {
    const value = key === 'url' ? '"http://one:8086"' : '["http://one:8086"]'
    const before = node({ [CONFIG]: `[[outputs.influxdb]]\n  ${key} = ${value}\n` })
    t.match(textOf(pass(intent(), before), CONFIG), `${key} = ${value.replace('http', 'https')}`)
  }
  const local = (dns: string[]) =>
    intent({ upstreams: [{ ...influx('one'), names: { dns, ip: [] }, isLocal: true }] })
  const bare = node({ [CONFIG]: '[[outputs.influxdb]]\n  database = "x"\n' })
  t.equal(verdict(local(['one']), bare), 'upstream-name-not-covered')
  const named = node({ [CONFIG]: '[[outputs.influxdb]]\n  urls = ["http://localhost:8086"]\n' })
  t.match(textOf(pass(local(['one', 'localhost']), named), CONFIG), 'https://localhost:8086')
  const off = '[[outputs.influxdb]]\n  urls = ["http://one:8086"]\n  tls_enable = false\n'
  t.match(textOf(pass(intent(), node({ [CONFIG]: off })), CONFIG), 'tls_enable = true')
})

await t.test('what is unclear is refused', async t => {
  const broken = { [CONFIG]: '[[outputs.influxdb]]\n  urls = [\n' }
  t.equal(verdict(intent(), node(broken)), 'config-unparsable')
  t.equal(verdict(intent(), node({})), 'config-missing')
  t.equal(
    verdict(intent(), node({ [CONFIG]: '[[outputs.influxdb]]\n  urls = 1\n' })),
    'config-unexpected',
  )
  t.equal(verdict(intent(), node({ [CONFIG]: SIMPLE }, 'unknown')), 'version-unknown')
  t.equal(verdict(intent(), node({ [CONFIG]: SIMPLE }, '2.0.0')), 'version-unsupported')
  const remote = ['/usr/bin/telegraf', '--config', 'https://example.org/telegraf.conf']
  t.equal(verdict(intent(), node({}, '1.34.0', { execStart: remote })), 'command-line-unclear')
})
