// What an Elasticsearch driver looks at, where it finds the listener, what it takes to load a change,
// and what it does not touch.

import t from 'tap'
import { STORE_PASSWORD_TOKEN, type DriverContext } from '../../../agent/services/service.ts'
import {
  applied,
  codes,
  compiledOn,
  compileOn,
  look,
  serverTls,
  textOf,
  verdict,
} from './fake-node.ts'
import {
  CONFIG,
  elasticsearchOn,
  elasticsearchUnit,
  HTTP,
  intent,
  KEYSTORE,
  pass,
  PASSWORD,
} from './elasticsearch-node.ts'

const SECURE = 'xpack.security.enabled: true\n'
const STORE = 'tlsfleet/current/http.p12'
const ON = `${SECURE}${HTTP}.enabled: true\n${HTTP}.keystore.path: ${STORE}\n`

await t.test('the listener is looked for where it can be reached from its node', async t => {
  const cases: Readonly<Record<string, string>> = {
    '': '127.0.0.1:9200',
    'network.host: 0.0.0.0': '127.0.0.1:9200',
    'network.host: "::"': '::1:9200',
    'network.host: 192.168.3.4\nhttp.port: 9201': '192.168.3.4:9201',
    'network.host: 192.168.3.4\nhttp.host: _local_': '127.0.0.1:9200',
    'http.host: es1.example.com\nhttp.port: 9250-9260': 'es1.example.com:9250',
    'http.host: 10.9.9.9\nhttp.bind_host: localhost': '127.0.0.1:9200',
    'network.host: [_site_, _local_]': '127.0.0.1:9200',
    'network.host: 10.9.9.9, 10.9.9.8': '10.9.9.9:9200',
    'network.host: _site_': '10.0.0.7:9200',
    'network.host: "_eth0:ipv4_"': '10.0.0.7:9200',
    'network.host: "_local:ipv6_"': '::1:9200',
    'network.host: ${ES_HOST}': '10.1.1.1:9200',
    'network.host: ${OTHER:10.1.1.2}\nhttp.publish_port: 443': '10.1.1.2:9200',
  }
  for (const [text, expected] of Object.entries(cases)) {
    const unit = elasticsearchUnit({ environment: { ES_HOST: '10.1.1.1' } })
    const [listener] = compiledOn(intent(), elasticsearchOn(`${ON}${text}\n`, { unit })).listeners
    t.equal(`${listener?.host}:${listener?.port}`, expected, text)
  }
  for (const text of [
    'network.host: ${UNKNOWN}',
    'network.host: _global_',
    'network.host: "_eth0:ipv6_"',
    'http.port: 0',
    'http.port: ${P}',
  ])
    t.equal(verdict(intent(), elasticsearchOn(`${ON}${text}\n`)), 'listen-address-unclear', text)
})

await t.test('401 proves that it serves and asks; an answer to nobody is told', async t => {
  const [listener] = compiledOn(intent(), elasticsearchOn(ON)).listeners
  t.match(listener, { scheme: 'https', serverName: 'm1.example.com', healthPath: '/' })
  t.strictSame(listener?.healthyStatuses, [200, 401, 403])
  const adviceOn = (status: number) =>
    codes(listener?.advise?.({ status, headers: {}, body: '' }) ?? [])
  t.strictSame(adviceOn(200), ['open-without-credentials'])
  t.strictSame(adviceOn(401), [])
})

await t.test('a renewal needs no act, settings and secrets need a restart', async t => {
  const acts = (text: string) =>
    compiledOn(intent(), elasticsearchOn(text)).loads.map(
      load => `${load.name} ${load.activation} ${load.provenBy}`,
    )
  t.strictSame(acts(ON), [
    'listener restart handshake',
    'certificate none handshake',
    'settings restart ledger',
    'secret restart ledger',
  ])
  for (const unwatched of [
    'resource.reload.enabled: false',
    'resource.reload.interval.high: 10m',
    'resource.reload.interval.high: soon',
  ])
    t.ok(acts(`${ON}${unwatched}\n`).includes('certificate restart handshake'), unwatched)
  t.ok(acts(`${ON}resource.reload.interval.high: 30s\n`).includes('certificate none handshake'))

  const { loads } = compiledOn(
    intent(),
    elasticsearchOn(ON, { secrets: { [PASSWORD]: 'hunter2' } }),
  )
  t.notMatch(JSON.stringify(loads), 'hunter2')
  t.equal(loads.find(load => load.name === 'secret')?.value, `${PASSWORD}=${STORE_PASSWORD_TOKEN}`)
  const other = compiledOn(intent({ minVersion: '1.3' }), elasticsearchOn(ON)).loads
  t.not(other[2]?.value, loads[2]?.value, 'other settings are another load')
})

await t.test('the store adopts the password in use and takes the first CA along', async t => {
  const storeOf = (text: string, version: string, issuer: 'internal' | 'files' = 'internal') => {
    const { certificate } = serverTls('elasticsearch')
    const tls = intent({ certificate: { ...certificate, issuer } })
    return compiledOn(tls, elasticsearchOn(text, { version })).material.store
  }
  const adopt = { keystore: KEYSTORE, entry: PASSWORD }
  const carry = (path: string) => ({ path: `/etc/elasticsearch/${path}`, alias: 'http_ca' })
  t.strictSame(storeOf(ON, '7.17.20'), { mode: 0o640, adopt }, 'there was none before 8.0')
  t.strictSame(storeOf(ON, '8.15.0'), { mode: 0o640, adopt, carry: carry('certs/http.p12') })
  const moved = ON.replace(STORE, 'tls/http.p12')
  t.strictSame(storeOf(moved, '9.1.0')?.carry, carry('tls/http.p12'))
  const outside = ON.replace(STORE, '/srv/http.p12')
  t.strictSame(storeOf(outside, '9.1.0')?.carry, carry('certs/http.p12'))
  t.equal(storeOf(ON, '9.1.0', 'files')?.carry, undefined, 'that leaf may be a CA of its own')
})

await t.test('what it cannot change alone or without harm is refused', async t => {
  const required = intent({ options: { layout: 'pkcs12', transport: 'require' } })
  t.equal(verdict(required, elasticsearchOn(ON)), 'coordinated-change')
  const joined = `${ON}xpack.security.transport.ssl:\n  enabled: true\n`
  t.equal(verdict(required, elasticsearchOn(joined)), 'compiled')

  t.equal(verdict(intent(), elasticsearchOn('', { version: '7.17.20' })), 'security-disabled')
  t.equal(verdict(intent(), elasticsearchOn('', { version: '8.15.0' })), 'compiled')
  t.equal(
    verdict(intent(), elasticsearchOn('xpack.security.enabled: false\n')),
    'security-disabled',
  )
  const tokens = `${ON}xpack.security.authc.token.enabled: true\n`
  t.equal(verdict(intent({ tls: 'off' }), elasticsearchOn(tokens)), 'plaintext-impossible')
  t.equal(verdict(intent(), elasticsearchOn(tokens)), 'compiled')
  t.equal(
    verdict(intent({ clientAuth: 'required', trust: [] }), elasticsearchOn(ON)),
    'client-trust-missing',
  )

  const startedWith = (...words: string[]) =>
    elasticsearchUnit({ execStart: ['/usr/share/elasticsearch/bin/elasticsearch', ...words] })
  const overridden = startedWith('-E', `${HTTP}.enabled=false`)
  t.equal(verdict(intent(), elasticsearchOn(ON, { unit: overridden })), 'setting-on-command-line')
  const unit = startedWith('-Ehttp.port=9333', '-E', 'network.host=10.2.2.2')
  t.match(compiledOn(intent(), elasticsearchOn(ON, { unit })).listeners, [
    { host: '10.2.2.2', port: 9333 },
  ])
})

await t.test('files that cannot be read, and programs that are others', async t => {
  const program = (path: string) =>
    elasticsearchOn(ON, { unit: elasticsearchUnit({ execStart: [path] }) })
  t.equal(verdict(intent(), program('/bin/sh')), 'program-unknown')
  t.equal(verdict(intent(), program('/opt/es/bin/elasticsearch')), 'version-unknown')
  t.equal(verdict(intent(), elasticsearchOn(ON, { version: '6.8.23' })), 'version-unsupported')
  const files = { '/usr/share/elasticsearch/lib/elasticsearch-7.0.0.jar': '' }
  t.equal(verdict(intent(), elasticsearchOn(ON, { files })), 'version-unknown', 'half an upgrade')
  t.equal(verdict(intent(), elasticsearchOn('a: [1\n')), 'config-unparsable')
  const twice = `${HTTP}:\n  enabled: true\n${HTTP}:\n  enabled: false\n`
  t.equal(verdict(intent(), elasticsearchOn(twice)), 'key-repeated')
  const compilation = compileOn(intent(), elasticsearchOn(ON, { version: '9.0.0-SNAPSHOT' }))
  t.match(compilation, { compiled: { version: '9.0.0-SNAPSHOT' } })
})

await t.test('a keystore with a password is changed only where a restart has it too', async t => {
  const locked = (code: string) => ({
    secrets: { kind: 'unreadable', reason: { code, message: `${KEYSTORE}: is locked` } } as const,
  })
  const needed = locked('keystore-password-needed')
  t.equal(verdict(intent(), elasticsearchOn(ON, needed)), 'keystore-protected')
  const wrong = locked('keystore-wrong-password')
  t.equal(verdict(intent(), elasticsearchOn(ON, wrong)), 'keystore-protected')
  t.equal(
    verdict(intent(), elasticsearchOn(ON, locked('keystore-version-unknown'))),
    'keystore-version-unknown',
  )
  t.equal(
    verdict(intent({ tls: 'off' }), elasticsearchOn(SECURE, needed)),
    'compiled',
    'where nothing is to be done it does not matter',
  )

  const told = elasticsearchOn(ON, {
    files: {
      '/etc/default/elasticsearch':
        'ES_PATH_CONF=/srv/es\nES_KEYSTORE_PASSPHRASE_FILE=/etc/es-passphrase\n',
      '/srv/es/elasticsearch.yml': ON,
    },
  })
  const { inputs } = look(intent(), told)
  const passphraseFile = '/etc/es-passphrase'
  const path = '/srv/es/elasticsearch.keystore'
  t.match(
    inputs.filter(input => input.kind === 'keystore'),
    [{ path, passphraseFile }],
  )
  const compiled = compiledOn(intent(), told)
  t.match(compiled.keystores, [{ path, passphraseFile, environment: { ES_PATH_CONF: '/srv/es' } }])
  t.equal(compiled.material.directory, '/srv/es/tlsfleet')
})

await t.test('a node below a root of its own is managed by its logical paths', async t => {
  const context: DriverContext = { servicePath: path => `/node${path === '/' ? '' : path}` }
  const node = elasticsearchOn(ON, {
    unit: elasticsearchUnit({
      execStart: ['/node/usr/share/elasticsearch/bin/elasticsearch'],
      environment: { ES_PATH_CONF: '/node/etc/elasticsearch/' },
      environmentFiles: [],
    }),
  })
  const compiled = compiledOn(intent(), node, context)
  t.match(compiled.keystores, [
    {
      path: KEYSTORE,
      tool: '/node/usr/share/elasticsearch/bin/elasticsearch-keystore',
      environment: { ES_PATH_CONF: '/node/etc/elasticsearch' },
    },
  ])
  t.equal(compiled.material.directory, '/etc/elasticsearch/tlsfleet')
  t.equal(
    textOf(applied(node, compiled), CONFIG),
    ON,
    'the file has relative paths, without the root',
  )
})

await t.test('what an operator should know of the cluster is told', async t => {
  const noticesOn = (text: string) =>
    codes(pass(intent(), elasticsearchOn(ON + text)).compiled.notices)
  t.strictSame(noticesOn(''), [])
  t.strictSame(noticesOn('discovery.seed_hosts: ["es2:9300"]\n'), ['transport-plaintext'])
  t.strictSame(noticesOn('cluster.initial_master_nodes: [a, b]\n'), ['transport-plaintext'])
  t.strictSame(noticesOn('discovery.seed_hosts: ["127.0.0.1", "[::1]:9300"]\n'), [])
  t.strictSame(
    noticesOn('discovery.seed_hosts: [es2]\nxpack.security.transport.ssl.enabled: true\n'),
    [],
  )
  t.strictSame(noticesOn('xpack.security.enrollment.enabled: true\n'), ['enrollment-tokens'])
})
