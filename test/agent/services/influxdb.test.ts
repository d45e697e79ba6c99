import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readToml } from '../../../agent/formats/toml.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import {
  applied,
  codes,
  compiledOn,
  compileOn,
  fakeUnit,
  influxdbTls,
  lineChanges,
  look,
  textOf,
  verdict,
  type FakeNode,
} from './fake-node.ts'

const CONFIG = '/etc/influxdb/influxdb.conf'
const ENVIRONMENT = '/etc/default/influxdb'
const CERTIFICATE = '/etc/influxdb/tls/current/chain.pem'
const KEY = '/etc/influxdb/tls/current/key.pem'
const STAT = '/usr/bin/stat -L -c %.3Z /usr/bin/influxd'
const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8')
const STOCK = golden('influxdb-debian-1.6.7.conf')
// Of this node: what other members connect to must be covered.
const ENTERPRISE = golden('influxdb-enterprise.conf').replace('data1.example.com', 'm1.example.com')

const DEBIAN_UNIT = fakeUnit({
  unit: 'influxdb.service',
  user: 'influxdb',
  execStart: ['/usr/bin/influxd', '-config', CONFIG, '$INFLUXD_OPTS'],
  environmentFiles: [{ path: ENVIRONMENT, optional: true }],
  fragmentPath: '/lib/systemd/system/influxdb.service',
})
// Vendor's packages from 1.8.7 on.
const WRAPPED = {
  type: 'forking',
  execStart: ['/usr/lib/influxdb/scripts/influxd-systemd-start.sh'],
} as const

interface Change {
  readonly version?: string
  readonly config?: string
  readonly environment?: string
  readonly unit?: Partial<FakeNode['unit']>
  readonly files?: FakeNode['files']
  /** When the program changed, in seconds. */
  readonly changedAt?: number
}

function node({ version = '1.6.7~rc0', config = STOCK, ...change }: Change = {}): FakeNode {
  return {
    unit: { ...DEBIAN_UNIT, ...change.unit },
    files: {
      [CONFIG]: config,
      ...(change.environment === undefined ? {} : { [ENVIRONMENT]: change.environment }),
      ...change.files,
    },
    commands: {
      '/usr/bin/influxd version': `InfluxDB v${version} (git: unknown unknown)\n`,
      ...(change.changedAt === undefined ? {} : { [STAT]: `${change.changedAt.toFixed(3)}\n` }),
    },
  }
}

const edited = (tls: ServiceTlsOf<'influxdb'>, on: FakeNode) =>
  textOf(applied(on, compiledOn(tls, on)), CONFIG)

function valueIn(text: string, table: string, key: string): unknown {
  const result = readToml(text)
  if (result.kind === 'refused') throw new Error(result.problem.message)
  const found = result.value[table]
  return typeof found === 'object' && found !== null && !Array.isArray(found)
    ? Object.entries(found).find(([name]) => name === key)?.[1]
    : undefined
}

await t.test(
  'the stock file gets TLS in every version, and nothing else in it changes',
  async t => {
    for (const version of ['1.6.7~rc0', '1.8.10', '1.11.8', '1.12.3', '1.13.1']) {
      const before = node({ version, unit: version === '1.6.7~rc0' ? {} : WRAPPED })
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

    const compiled = compiledOn(influxdbTls(), node())
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
    compiledOn(influxdbTls(), node(change)).loads.find(load => load.name === 'certificate')
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
    look(influxdbTls(), node({ version })).inputs.filter(input => input.kind === 'command').length
  t.equal(commands('1.11.8'), 1, 'an older one is not even asked')
  t.equal(commands('1.12.3'), 2)

  t.same(
    compiledOn(influxdbTls(), node({ version: '1.12.3', changedAt: 1 })).loads.map(load => [
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

await t.test('every spelling that influxd reads is found', async t => {
  for (const config of [
    '[HTTP]\nHTTPS-Enabled = false\n',
    '["http"]\n"https-enabled" = false\n',
    "[ http ]\nhttps-certificate = 'x.pem'\n",
    'http.https-enabled = false\n',
    'http = { https-enabled = false }\n',
    '\uFEFF[http]\r\n\thttps-enabled=false # off\r\n',
    '[http]\nHTTPS-Enabled=false\nhttps-enabled=true\n',
    '',
  ]) {
    const before = node({ config })
    const after = applied(before, compiledOn(influxdbTls(), before))
    const again = compiledOn(influxdbTls(), after)
    t.equal(again.files[0]?.reason.code, 'tls-settings', config)
    t.same(applied(after, again).files, after.files)
    const text = textOf(after, CONFIG)
    t.notMatch(text, /=\s*false/, 'no spelling says the opposite')
    t.match(text.toLowerCase(), /https-enabled"? ?= ?true/)
  }
})

await t.test('files that followed the guide are put right, and said', async t => {
  const guided = node({ version: '1.8.10', config: golden('influxdb-guide.conf') })
  const compiled = compiledOn(influxdbTls(), guided)
  t.equal(textOf(applied(guided, compiled), CONFIG), golden('influxdb-guide.after.conf'))
  t.equal(compiled.files[0]?.reason.code, 'guide-key-names')
  t.same(codes(compiled.notices), ['guide-key-ignored', 'guide-key-ignored'])

  const reason = (http: string) =>
    compiledOn(influxdbTls(), node({ config: `[http]\n${http}\n` })).files[0]?.reason.code
  t.equal(reason('https-enabled = true\nhttps-certificate = "c.pem"'), 'guide-relative-path')
  t.equal(
    reason('https-enabled = true\nhttps-certificate = "/etc/ssl/influxdb.crt"'),
    'guide-shared-directory',
  )
  t.equal(
    reason('https-enabled = true\nhttps-certificate = "/srv/x.pem"'),
    'certificate-path-replaced',
  )
  t.same(codes(compiledOn(influxdbTls(), node({ config: '[cluster]\n' })).notices), [
    'cluster-table-on-oss',
  ])
})

await t.test('the lowest TLS version is written where the version of influxd knows it', async t => {
  const minimum = (version: string, tls: string, minVersion: '1.2' | '1.3' = '1.2') => {
    const on = node({ version, config: `[tls]\n${tls}\n` })
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
  t.equal(verdict(required, node({ version: '1.12.3' })), 'option-unsupported')
  t.equal(verdict({ ...required, trust: [] }, node({ version: '1.13.1' })), 'client-trust-missing')

  const on = node({ version: '1.13.1' })
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
  const none = edited(influxdbTls(), node({ version: '1.13.1', config: text }))
  t.equal(none, golden('influxdb-debian-1.6.7.after.conf'), 'and back again')

  const options = (trust: readonly string[]) =>
    compiledOn({ ...required, trust: [...trust] }, on).loads.find(({ name }) => name === 'options')
      ?.value
  t.not(options(['a']), options(['a', 'b']), 'another bundle must be loaded, at the same path')
})

await t.test('connections between nodes are an option of Enterprise data nodes', async t => {
  const tls = influxdbTls({ options: { meta: 'tls', cluster: 'tls' } })
  const insecure = influxdbTls({ options: { meta: 'tls-insecure', cluster: 'tls-insecure' } })
  const on = (version: string) => node({ version, config: ENTERPRISE })

  for (const options of [
    { meta: 'tls', cluster: 'leave' },
    { meta: 'leave', cluster: 'tls-insecure' },
  ] as const)
    t.equal(verdict(influxdbTls({ options }), node({ version: '1.13.1' })), 'option-unsupported')
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
    const after = node({ version, config: edited(insecure, on(version)) })
    t.equal(valueIn(textOf(after, CONFIG), 'meta', 'meta-insecure-tls'), true)
    t.equal(valueIn(textOf(after, CONFIG), 'cluster', 'https-insecure-tls'), true)
    t.equal(valueIn(edited(tls, after), 'cluster', 'https-insecure-tls'), false, 'and back again')
  }
  const own = edited(tls, on('1.13.0-c1.13.0'))
  const roots = { paths: ['/etc/influxdb/tls/ca.pem'], 'include-system': true }
  t.same(valueIn(own, 'meta', 'meta-root-ca'), roots)
  t.same(valueIn(own, 'cluster', 'https-root-ca'), roots)
  t.equal(edited(tls, node({ version: '1.13.0-c1.13.0', config: own })), own)

  const compiled = compiledOn(tls, on('1.12.3-c1.12.3'))
  t.equal(compiled.version, '1.12.3-c1.12.3 Enterprise')
  t.same(
    compiled.loads.map(({ name }) => name),
    ['listener', 'certificate', 'options', 'meta', 'cluster', 'cluster-certificate'],
  )
  t.equal(
    compiledOn(influxdbTls(), node({ version: '1.8.10', config: ENTERPRISE })).version,
    '1.8.10 Enterprise',
    'known by its tables',
  )
})

await t.test(
  'variables that contradict the file are taken out, or reported where they are fixed',
  async t => {
    const environment =
      '# local\nINFLUXDB_HTTP_HTTPS_ENABLED=false\nINFLUXDB_HTTP_LOG_ENABLED=false\nINFLUXDB_TLS_MIN_VERSION="TLS1.2"\n'
    const overridden = node({ environment })
    const compiled = compiledOn(influxdbTls(), overridden)
    const after = applied(overridden, compiled)
    t.same(
      compiled.files.map(file => [file.path, file.reason.code]),
      [
        [ENVIRONMENT, 'environment-override'],
        [CONFIG, 'tls-required'],
      ],
    )
    t.same(lineChanges(environment, textOf(after, ENVIRONMENT)), [
      '- INFLUXDB_HTTP_HTTPS_ENABLED=false',
    ])
    t.equal(compiledOn(influxdbTls(), after).files.length, 1)

    const agreeing = `INFLUXDB_HTTP_HTTPS_ENABLED=1\nINFLUXDB_HTTP_HTTPS_CERTIFICATE=${CERTIFICATE}\nINFLUXDB_HTTP_HTTPS_PRIVATE_KEY=\n`
    t.equal(compiledOn(influxdbTls(), node({ environment: agreeing })).files.length, 1)

    const dropIn = '/etc/systemd/system/influxdb.service.d/tls.conf'
    const unit = { environment: { INFLUXDB_HTTP_HTTPS_ENABLED: 'false' }, dropInPaths: [dropIn] }
    const refused = compileOn(influxdbTls(), node({ unit }))
    t.equal(refused.kind === 'unsupported' && refused.reason.code, 'environment-fixed')
    const message = refused.kind === 'unsupported' ? refused.reason.message : ''
    t.match(message, 'INFLUXDB_HTTP_HTTPS_ENABLED=false')
    t.match(message, dropIn)
    t.equal(
      verdict(influxdbTls(), node({ unit, environment: 'INFLUXDB_HTTP_HTTPS_ENABLED=true\n' })),
      'compiled',
      'a file has the last word',
    )
  },
)

await t.test('the file is found as influxd finds it', async t => {
  const path = (unit: Change['unit'], environment = '') => {
    const files = { '/srv/i.conf': STOCK, '/opt/i.conf': STOCK }
    return compiledOn(influxdbTls(), node({ unit: unit ?? {}, environment, files })).files[0]?.path
  }
  const run = (...words: readonly string[]) => ({ execStart: ['/usr/bin/influxd', ...words] })
  t.equal(path(run('-config', '/srv/i.conf')), '/srv/i.conf')
  t.equal(path(run('run', '--config=/srv/i.conf')), '/srv/i.conf')
  t.equal(path(run()), CONFIG)
  t.equal(path(run(), 'INFLUXDB_CONFIG_PATH=/opt/i.conf\n'), '/opt/i.conf')
  t.equal(
    path(run('-config', CONFIG, '$INFLUXD_OPTS'), 'INFLUXD_OPTS="-config /opt/i.conf"\n'),
    '/opt/i.conf',
    'the last one counts',
  )
  t.equal(path(WRAPPED), CONFIG)
  t.equal(path(WRAPPED, 'INFLUXD_OPTS="-config /opt/i.conf"\n'), '/opt/i.conf')
  t.equal(verdict(influxdbTls(), node({ unit: run('-config', 'i.conf') })), 'command-line-unclear')
  t.equal(verdict(influxdbTls(), node({ unit: run('-config', '/none') })), 'config-missing')
  const shell = { execStart: ['/bin/sh', '-c', 'influxd'] }
  t.equal(verdict(influxdbTls(), node({ unit: shell })), 'program-unknown')

  const context = { servicePath: (file: string) => `/tmp/node${file}` }
  const rooted = node({ unit: run('-config', `/tmp/node${CONFIG}`) })
  const compiled = compiledOn(influxdbTls(), rooted, context)
  t.equal(compiled.files[0]?.path, CONFIG)
  t.equal(
    valueIn(textOf(applied(rooted, compiled), CONFIG), 'http', 'https-certificate'),
    `/tmp/node${CERTIFICATE}`,
  )
})

await t.test('the listener is that of the file and its overrides', async t => {
  const listener = (http: string, environment = '') => {
    const on = node({ config: `[http]\n${http}\n`, environment })
    const compilation = compileOn(influxdbTls(), on)
    if (compilation.kind === 'unsupported') return compilation.reason.code
    const [found] = compilation.compiled.listeners
    return `${found?.host} ${found?.port} ${found?.healthyStatuses.join()}`
  }
  t.equal(listener('bind-address = "10.0.0.7:8443"'), '10.0.0.7 8443 204')
  t.equal(listener('bind-address = "[::1]:8086"\nping-auth-enabled = true'), '::1 8086 204,401')
  t.equal(listener('', 'INFLUXDB_HTTP_BIND_ADDRESS=localhost:9000\n'), '127.0.0.1 9000 204')
  t.equal(listener('bind-address = 8086'), 'listen-address-unclear')
  t.equal(listener('enabled = false'), 'listener-disabled')
  t.equal(listener('', 'INFLUXDB_HTTP_ENABLED=false\n'), 'listener-disabled')
  t.equal(listener('enabled = true\nEnabled = false'), 'key-repeated')
})

await t.test('what cannot be understood is left alone', async t => {
  const of = (change: Change) => verdict(influxdbTls(), node(change))
  t.equal(of({ config: '[http\n' }), 'config-unparsable')
  t.equal(of({ config: '[http]\nenabled = true\n[http]\n' }), 'key-repeated')
  t.equal(of({ config: 'http = 1\n' }), 'config-unexpected')
  const reason = { code: 'file-too-large', message: 'too large' }
  t.equal(of({ files: { [CONFIG]: { kind: 'unreadable', reason } } }), 'config-unreadable')
  t.equal(of({ version: 'dev' }), 'version-unknown')
  t.equal(of({ version: '2.7.1' }), 'version-unsupported')
  const failing = { kind: 'ran', code: 1, stdout: 'InfluxDB v1.8.10', stderr: '' } as const
  t.equal(
    verdict(influxdbTls(), { ...node(), commands: { '/usr/bin/influxd version': failing } }),
    'version-unknown',
  )
  const names = { dns: [], ip: [] }
  t.equal(
    verdict(influxdbTls({ certificate: { ...influxdbTls().certificate, names } }), node()),
    'names-missing',
  )
})

await t.test('what influxd makes of the file is compared with what is wanted', async t => {
  const judge = (printed: string, on = node({})) =>
    compiledOn(influxdbTls(), on).validators[0]?.judge?.(printed)?.message
  const printed = (enabled: string, certificate = '/etc/influxdb/tls/current/chain.pem') =>
    `[http]\n  https-enabled = ${enabled}\n  https-certificate = "${certificate}"\n  https-private-key = "/etc/influxdb/tls/current/key.pem"\n`

  t.equal(judge(printed('true')), undefined)
  t.match(judge(printed('false')), /INFLUXDB_HTTP_HTTPS_ENABLED comes from outside/)
  t.match(judge(printed('true', '/etc/ssl/other.pem')), /INFLUXDB_HTTP_HTTPS_CERTIFICATE/)
  t.equal(judge('[data]\n'), undefined, 'keys that are not printed say nothing')
  t.equal(judge('not toml ['), undefined)
})
