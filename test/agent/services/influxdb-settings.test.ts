// Where an influxd has its settings from: its command line, every spelling of its file, its variables. What
// cannot be understood is left alone.

import t from 'tap'
import {
  applied,
  compiledOn,
  compileOn,
  influxdbTls,
  lineChanges,
  textOf,
  verdict,
} from './fake-node.ts'
import {
  CERTIFICATE,
  type Change,
  CONFIG,
  ENVIRONMENT,
  influxdbNode,
  STOCK,
  valueIn,
  WRAPPED,
} from './influxdb-node.ts'

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
    const before = influxdbNode({ config })
    const after = applied(before, compiledOn(influxdbTls(), before))
    const again = compiledOn(influxdbTls(), after)
    t.equal(again.files[0]?.reason.code, 'tls-settings', config)
    t.same(applied(after, again).files, after.files)
    const text = textOf(after, CONFIG)
    t.notMatch(text, /=\s*false/, 'no spelling says the opposite')
    t.match(text.toLowerCase(), /https-enabled"? ?= ?true/)
  }
})

await t.test(
  'variables that contradict the file are taken out, or reported where they are fixed',
  async t => {
    const environment =
      '# local\nINFLUXDB_HTTP_HTTPS_ENABLED=false\nINFLUXDB_HTTP_LOG_ENABLED=false\nINFLUXDB_TLS_MIN_VERSION="TLS1.2"\n'
    const overridden = influxdbNode({ environment })
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
    t.equal(compiledOn(influxdbTls(), influxdbNode({ environment: agreeing })).files.length, 1)

    const dropIn = '/etc/systemd/system/influxdb.service.d/tls.conf'
    const unit = { environment: { INFLUXDB_HTTP_HTTPS_ENABLED: 'false' }, dropInPaths: [dropIn] }
    const refused = compileOn(influxdbTls(), influxdbNode({ unit }))
    t.equal(refused.kind === 'unsupported' && refused.reason.code, 'environment-fixed')
    const message = refused.kind === 'unsupported' ? refused.reason.message : ''
    t.match(message, 'INFLUXDB_HTTP_HTTPS_ENABLED=false')
    t.match(message, dropIn)
    t.equal(
      verdict(
        influxdbTls(),
        influxdbNode({ unit, environment: 'INFLUXDB_HTTP_HTTPS_ENABLED=true\n' }),
      ),
      'compiled',
      'a file has the last word',
    )
  },
)

await t.test('the file is found as influxd finds it', async t => {
  const path = (unit: Change['unit'], environment = '') => {
    const files = { '/srv/i.conf': STOCK, '/opt/i.conf': STOCK }
    return compiledOn(influxdbTls(), influxdbNode({ unit: unit ?? {}, environment, files }))
      .files[0]?.path
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
  t.equal(
    verdict(influxdbTls(), influxdbNode({ unit: run('-config', 'i.conf') })),
    'command-line-unclear',
  )
  t.equal(verdict(influxdbTls(), influxdbNode({ unit: run('-config', '/none') })), 'config-missing')
  const shell = { execStart: ['/bin/sh', '-c', 'influxd'] }
  t.equal(verdict(influxdbTls(), influxdbNode({ unit: shell })), 'program-unknown')

  const context = { servicePath: (file: string) => `/tmp/node${file}` }
  const rooted = influxdbNode({ unit: run('-config', `/tmp/node${CONFIG}`) })
  const compiled = compiledOn(influxdbTls(), rooted, context)
  t.equal(compiled.files[0]?.path, CONFIG)
  t.equal(
    valueIn(textOf(applied(rooted, compiled), CONFIG), 'http', 'https-certificate'),
    `/tmp/node${CERTIFICATE}`,
  )
})

await t.test('the listener is that of the file and its overrides', async t => {
  const listener = (http: string, environment = '') => {
    const on = influxdbNode({ config: `[http]\n${http}\n`, environment })
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
  const of = (change: Change) => verdict(influxdbTls(), influxdbNode(change))
  t.equal(of({ config: '[http\n' }), 'config-unparsable')
  t.equal(of({ config: '[http]\nenabled = true\n[http]\n' }), 'key-repeated')
  t.equal(of({ config: 'http = 1\n' }), 'config-unexpected')
  const reason = { code: 'file-too-large', message: 'too large' }
  t.equal(of({ files: { [CONFIG]: { kind: 'unreadable', reason } } }), 'config-unreadable')
  t.equal(of({ version: 'dev' }), 'version-unknown')
  t.equal(of({ version: '2.7.1' }), 'version-unsupported')
  const failing = { kind: 'ran', code: 1, stdout: 'InfluxDB v1.8.10', stderr: '' } as const
  t.equal(
    verdict(influxdbTls(), {
      ...influxdbNode(),
      commands: { '/usr/bin/influxd version': failing },
    }),
    'version-unknown',
  )
  const names = { dns: [], ip: [] }
  t.equal(
    verdict(influxdbTls({ certificate: { ...influxdbTls().certificate, names } }), influxdbNode()),
    'names-missing',
  )
})

await t.test('what influxd makes of the file is compared with what is wanted', async t => {
  const judge = (printed: string, on = influxdbNode({})) =>
    compiledOn(influxdbTls(), on).validators[0]?.judge?.(printed)?.message
  const printed = (enabled: string, certificate = '/etc/influxdb/tls/current/chain.pem') =>
    `[http]\n  https-enabled = ${enabled}\n  https-certificate = "${certificate}"\n  https-private-key = "/etc/influxdb/tls/current/key.pem"\n`

  t.equal(judge(printed('true')), undefined)
  t.match(judge(printed('false')), /INFLUXDB_HTTP_HTTPS_ENABLED comes from outside/)
  t.match(judge(printed('true', '/etc/ssl/other.pem')), /INFLUXDB_HTTP_HTTPS_CERTIFICATE/)
  t.equal(judge('[data]\n'), undefined, 'keys that are not printed say nothing')
  t.equal(judge('not toml ['), undefined)
})
