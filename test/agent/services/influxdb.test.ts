// From the file of a package and of a guide to an influxd with TLS, by version, and what its options add.

import t from 'tap'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import {
  applied,
  codes,
  compiledOn,
  influxdbTls,
  lineChanges,
  look,
  textOf,
  verdict,
  type FakeNode,
} from './fake-node.ts'
import {
  CERTIFICATE,
  type Change,
  CONFIG,
  DEBIAN_UNIT,
  golden,
  influxdbNode,
  KEY,
  valueIn,
  WRAPPED,
} from './influxdb-node.ts'

// Of this node: what other members connect to must be covered.
const ENTERPRISE = golden('influxdb-enterprise.conf').replace('data1.example.com', 'm1.example.com')

const edited = (tls: ServiceTlsOf<'influxdb'>, on: FakeNode) =>
  textOf(applied(on, compiledOn(tls, on)), CONFIG)

await t.test(
  'the stock file gets TLS in every version, and nothing else in it changes',
  async t => {
    for (const version of ['1.6.7~rc0', '1.8.10', '1.11.8', '1.12.3', '1.13.1']) {
      const before = influxdbNode({ version, unit: version === '1.6.7~rc0' ? {} : WRAPPED })
      const compiled = compiledOn(influxdbTls(), before)
      const after = applied(before, compiled)

      t.equal(textOf(after, CONFIG), golden('influxdb-debian-1.6.7.after.conf'), version)
      t.equal(compiled.version, `${version} OSS`)
      t.equal(compiled.files[0]?.reason.code, 'tls-required')
      const again = compiledOn(influxdbTls(), after)
      t.same(applied(after, again).files, after.files, 'a second look asks for no further edit')
      t.equal(again.files[0]?.reason.code, 'tls-settings')
      t.same(compiled.notices, [])
    }

    const compiled = compiledOn(influxdbTls(), influxdbNode())
    t.same(compiled.material, {
      isWanted: true,
      directory: '/etc/influxdb/tls',
      keyMode: 0o600,
      chainMode: 0o644,
      trustFile: '/etc/influxdb/tls/ca.pem',
      clientUse: false,
    })
    t.same(compiled.listeners, [
      {
        name: 'https :8086',
        host: '127.0.0.1',
        port: 8086,
        serverName: 'm1.example.com',
        healthPath: '/ping',
        healthyStatuses: [204],
        clientCertificate: false,
        scheme: 'https',
      },
    ])
    t.same(compiled.validators[0]?.argv, [
      '/usr/bin/influxd',
      'config',
      '-config',
      `{staged}${CONFIG}`,
    ])
  },
)

await t.test('a signal is sent only to a process that is proven to survive it', async t => {
  const started = Math.floor(DEBIAN_UNIT.startedAtMs ?? 0) / 1000
  const activation = (change: Change) =>
    compiledOn(influxdbTls(), influxdbNode(change)).loads.find(load => load.name === 'certificate')
      ?.activation
  t.equal(activation({ version: '1.12.2', changedAt: started - 60 }), 'restart')
  t.equal(activation({ version: '1.12.3', changedAt: started - 60 }), 'hangup')
  t.equal(activation({ version: '1.13.1', changedAt: started - 60 }), 'hangup')
  t.equal(activation({ version: '1.12.3-c1.12.3', changedAt: started - 60 }), 'hangup')
  t.equal(
    activation({ version: '1.13.0-c1.13.0', changedAt: started - 60, unit: { canReload: true } }),
    'reload',
  )
  t.equal(
    activation({ version: '1.12.3', changedAt: started + 60 }),
    'restart',
    'the package was upgraded after the start, so the process is an older one',
  )
  t.equal(activation({ version: '1.12.3', changedAt: started }), 'restart', 'at the same time')
  t.equal(activation({ version: '1.12.3', changedAt: started - 0.1 }), 'hangup', 'just before')
  t.equal(activation({ version: '1.12.3' }), 'restart', 'nothing is known of the program')
  t.equal(
    activation({ version: '1.12.3', changedAt: 1, unit: { startedAtMs: undefined } }),
    'restart',
  )
  const commands = (version: string) =>
    look(influxdbTls(), influxdbNode({ version })).inputs.filter(input => input.kind === 'command')
      .length
  t.equal(commands('1.11.8'), 1, 'an older one is not even asked')
  t.equal(commands('1.12.3'), 2)

  t.same(
    compiledOn(influxdbTls(), influxdbNode({ version: '1.12.3', changedAt: 1 })).loads.map(load => [
      load.name,
      load.activation,
      load.provenBy,
    ]),
    [
      ['listener', 'restart', 'handshake'],
      ['certificate', 'hangup', 'handshake'],
      ['options', 'restart', 'ledger'],
    ],
  )
})

await t.test('files that followed the guide are put right, and said', async t => {
  const guided = influxdbNode({ version: '1.8.10', config: golden('influxdb-guide.conf') })
  const compiled = compiledOn(influxdbTls(), guided)
  t.equal(textOf(applied(guided, compiled), CONFIG), golden('influxdb-guide.after.conf'))
  t.equal(compiled.files[0]?.reason.code, 'guide-key-names')
  t.same(codes(compiled.notices), ['guide-key-ignored', 'guide-key-ignored'])

  const reason = (http: string) =>
    compiledOn(influxdbTls(), influxdbNode({ config: `[http]\n${http}\n` })).files[0]?.reason.code
  t.equal(reason('https-enabled = true\nhttps-certificate = "c.pem"'), 'guide-relative-path')
  t.equal(
    reason('https-enabled = true\nhttps-certificate = "/etc/ssl/influxdb.crt"'),
    'guide-shared-directory',
  )
  t.equal(
    reason('https-enabled = true\nhttps-certificate = "/srv/x.pem"'),
    'certificate-path-replaced',
  )
  t.same(codes(compiledOn(influxdbTls(), influxdbNode({ config: '[cluster]\n' })).notices), [
    'cluster-table-on-oss',
  ])
})

await t.test('the lowest TLS version is written where the version of influxd knows it', async t => {
  const minimum = (version: string, tls: string, minVersion: '1.2' | '1.3' = '1.2') => {
    const on = influxdbNode({ version, config: `[tls]\n${tls}\n` })
    const code = verdict(influxdbTls({ minVersion }), on)
    if (code !== 'compiled') return code
    const { notices } = compiledOn(influxdbTls({ minVersion }), on)
    const value = valueIn(edited(influxdbTls({ minVersion }), on), 'tls', 'min-version')
    return [value, ...codes(notices)].join(' ')
  }
  t.equal(minimum('1.6.7', ''), 'tls1.2')
  t.equal(minimum('1.6.2', 'min-version = "tls1.0"'), 'tls1.2')
  t.equal(minimum('1.6.7', 'min-version = "TLS1.2"'), 'TLS1.2', 'the same in other letters')
  t.equal(minimum('1.6.7', 'min-version = "nonsense"'), 'tls1.2')
  t.equal(minimum('1.6.7', 'min-version = "tls1.3"'), 'tls1.2', 'this version does not know it')
  t.equal(minimum('1.6.1', ''), ' tls-minimum-unsupported')
  t.equal(minimum('1.8.10', '', '1.3'), 'tls1.3')
  t.equal(minimum('1.7.11', '', '1.3'), 'option-unsupported')
  t.equal(minimum('1.8.10', 'min-version = "tls1.3"'), 'tls1.3 stricter-minimum-kept')
  t.equal(minimum('1.8.10', 'max-version = "tls1.2"', '1.3'), 'max-version-too-low')
  t.equal(minimum('1.8.10', 'max-version = "TLS1.1"'), 'max-version-too-low')
  t.equal(minimum('1.8.10', 'max-version = "TLS1.3"', '1.3'), 'tls1.3')
})

await t.test('client certificates need 1.13 and a CA', async t => {
  const required = influxdbTls({ clientAuth: 'required' })
  t.equal(verdict(required, influxdbNode({ version: '1.12.3' })), 'option-unsupported')
  t.equal(
    verdict({ ...required, trust: [] }, influxdbNode({ version: '1.13.1' })),
    'client-trust-missing',
  )

  const on = influxdbNode({ version: '1.13.1' })
  const text = edited(required, on)
  t.equal(valueIn(text, 'http', 'https-client-auth-type'), 'RequireAndVerifyClientCert')
  t.same(valueIn(text, 'http', 'https-client-ca'), {
    paths: ['/etc/influxdb/tls/ca.pem'],
    'include-system': false,
  })
  const compiled = compiledOn(required, on)
  t.ok(compiled.material.clientUse && compiled.listeners[0]?.clientCertificate)
  const optional = edited(influxdbTls({ clientAuth: 'optional' }), on)
  t.equal(valueIn(optional, 'http', 'https-client-auth-type'), 'VerifyClientCertIfGiven')
  const none = edited(influxdbTls(), influxdbNode({ version: '1.13.1', config: text }))
  t.equal(none, golden('influxdb-debian-1.6.7.after.conf'), 'and back again')

  const options = (trust: readonly string[]) =>
    compiledOn({ ...required, trust: [...trust] }, on).loads.find(({ name }) => name === 'options')
      ?.value
  t.not(options(['a']), options(['a', 'b']), 'another bundle must be loaded, at the same path')
})

await t.test('connections between nodes are an option of Enterprise data nodes', async t => {
  const tls = influxdbTls({ options: { meta: 'tls', cluster: 'tls' } })
  const insecure = influxdbTls({ options: { meta: 'tls-insecure', cluster: 'tls-insecure' } })
  const on = (version: string) => influxdbNode({ version, config: ENTERPRISE })

  for (const options of [
    { meta: 'tls', cluster: 'leave' },
    { meta: 'leave', cluster: 'tls-insecure' },
  ] as const)
    t.equal(
      verdict(influxdbTls({ options }), influxdbNode({ version: '1.13.1' })),
      'option-unsupported',
    )
  t.equal(verdict(tls, on('1.7.2-c1.7.2')), 'option-unsupported')
  t.same(
    lineChanges(
      ENTERPRISE,
      edited(influxdbTls({ options: { meta: 'tls', cluster: 'leave' } }), on('1.7.2-c1.7.2')),
    ),
    [
      '+   meta-tls-enabled = true',
      '+   https-enabled = true',
      `+   https-certificate = "${CERTIFICATE}"`,
      `+   https-private-key = "${KEY}"`,
      '+   min-version = "tls1.2"',
    ],
  )
  for (const version of ['1.7.3-c1.7.3', '1.12.3-c1.12.3']) {
    const text = edited(tls, on(version))
    t.equal(valueIn(text, 'meta', 'meta-tls-enabled'), true)
    t.equal(valueIn(text, 'meta', 'meta-insecure-tls'), undefined, 'off by default')
    t.equal(valueIn(text, 'cluster', 'https-enabled'), true)
    t.equal(valueIn(text, 'cluster', 'https-certificate'), CERTIFICATE)
    t.equal(valueIn(text, 'cluster', 'https-private-key'), KEY)
    t.equal(valueIn(text, 'cluster', 'https-root-ca'), undefined)
    const after = influxdbNode({ version, config: edited(insecure, on(version)) })
    t.equal(valueIn(textOf(after, CONFIG), 'meta', 'meta-insecure-tls'), true)
    t.equal(valueIn(textOf(after, CONFIG), 'cluster', 'https-insecure-tls'), true)
    t.equal(valueIn(edited(tls, after), 'cluster', 'https-insecure-tls'), false, 'and back again')
  }
  const own = edited(tls, on('1.13.0-c1.13.0'))
  const roots = { paths: ['/etc/influxdb/tls/ca.pem'], 'include-system': true }
  t.same(valueIn(own, 'meta', 'meta-root-ca'), roots)
  t.same(valueIn(own, 'cluster', 'https-root-ca'), roots)
  t.equal(edited(tls, influxdbNode({ version: '1.13.0-c1.13.0', config: own })), own)

  const compiled = compiledOn(tls, on('1.12.3-c1.12.3'))
  t.equal(compiled.version, '1.12.3-c1.12.3 Enterprise')
  t.same(
    compiled.loads.map(({ name }) => name),
    ['listener', 'certificate', 'options', 'meta', 'cluster', 'cluster-certificate'],
  )
  t.equal(
    compiledOn(influxdbTls(), influxdbNode({ version: '1.8.10', config: ENTERPRISE })).version,
    '1.8.10 Enterprise',
    'known by its tables',
  )
})
