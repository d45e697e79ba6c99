// From the files of a package, of a guide and of the vendor's own setup to files of a Kibana with
// TLS, and back.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceTlsOf, Upstream } from '../../../shared/contract/service.ts'
import { Secret } from '../../../shared/secret.ts'
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

const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-kibana-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const CA = createCa(directory).certPem

const CONFIG = '/etc/kibana/kibana.yml'
const STOCK = readFileSync(
  join(import.meta.dirname, '../../simulators/kibana/stock/kibana.yml'),
  'utf8',
)

function upstream(name: string, tls: Upstream['tls'] = 'on'): Upstream {
  return { service: 'elasticsearch', names: { dns: [name], ip: ['10.0.0.1'] }, port: 9200, tls }
}

function node(config: string, version = '8.15.0', more: Partial<FakeNode> = {}): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'kibana.service',
      user: 'kibana',
      group: 'kibana',
      execStart: ['/usr/share/kibana/bin/kibana'],
      environment: { KBN_HOME: '/usr/share/kibana', KBN_PATH_CONF: '/etc/kibana' },
    }),
    files: {
      [CONFIG]: config,
      '/usr/share/kibana/package.json': `{"name": "kibana", "version": "${version}"}`,
    },
    // Changed in the first second of 1970, long before the process was started.
    commands: { '/usr/bin/stat -L -c %.3Z /usr/share/kibana/package.json': '1.000\n' },
    ...more,
  }
}

function intent(changes: Partial<ServiceTlsOf<'kibana'>> = {}): ServiceTlsOf<'kibana'> {
  return serverTls('kibana', {
    upstreams: [upstream('es1.example.com'), upstream('es2.example.com')],
    upstreamTrust: [CA],
    ...changes,
  })
}

/** Lines that a second pass over its own result would still change. */
function secondPass(tls: ServiceTlsOf<'kibana'>, first: FakeNode): readonly string[] {
  const again = applied(first, compiledOn(tls, first))
  return lineChanges(textOf(first, CONFIG), textOf(again, CONFIG))
}

// Up to 8.x TLS 1.1 is allowed by default.
const PROTOCOLS = '+ server.ssl.supportedProtocols: [TLSv1.2, TLSv1.3]'
const PAIR = [
  '+ server.ssl.certificate: /etc/kibana/tls/current/chain.pem',
  '+ server.ssl.key: /etc/kibana/tls/current/key.pem',
]

await t.test('the file of the package gets TLS for its own server, and nothing else', async t => {
  for (const version of ['7.17.0', '8.11.1', '8.11.2', '8.15.0', '9.1.0']) {
    const before = node(STOCK, version)
    const tls = intent()
    const compiled = compiledOn(tls, before)
    const after = applied(before, compiled)

    t.strictSame(
      lineChanges(STOCK, textOf(after, CONFIG)).toSorted(),
      [
        '+ server.ssl.enabled: true',
        ...PAIR,
        ...(version.startsWith('9') ? [] : [PROTOCOLS]),
      ].toSorted(),
      version,
    )
    t.strictSame(secondPass(tls, after), [], `${version}: the second pass is empty`)
    const how = compiled.loads.find(load => load.name === 'certificate')?.activation
    t.equal(how, /^(8\.11\.2|8\.15|9)/.test(version) ? 'hangup' : 'restart', `${version} renewal`)
  }
})

await t.test(
  'hosts follow their node, one by one, in any spelling, and others are left',
  async t => {
    const cases = {
      flat: 'elasticsearch.hosts: ["http://es1.example.com:9200", "http://es2.example.com:9200", "http://other:9200"]\n',
      nested:
        'elasticsearch:\n  hosts:\n    - http://es1.example.com:9200 # first\n    - http://es2.example.com:9200\n    - http://other:9200\n',
      mixed:
        'elasticsearch:\n  hosts: ["http://es1.example.com:9200","http://es2.example.com:9200", "http://other:9200"]\n  username: kibana_system\n',
    }
    const half = intent({
      upstreams: [upstream('es1.example.com'), upstream('es2.example.com', 'off')],
    })
    for (const [name, text] of Object.entries(cases)) {
      const before = node(text)
      const compiled = compiledOn(half, before)
      const after = applied(before, compiled)
      const written = textOf(after, CONFIG)
      t.match(written, /https:\/\/es1\.example\.com:9200/, name)
      t.match(written, /http:\/\/es2\.example\.com:9200/, name)
      t.match(written, /http:\/\/other:9200/, name)
      t.match(
        written,
        /certificateAuthorities: ?[[\n -]+\/etc\/kibana\/tls\/elasticsearch-ca\.pem/,
        name,
      )
      t.match(textOf(after, '/etc/kibana/tls/elasticsearch-ca.pem'), /BEGIN CERTIFICATE/, name)
      t.strictSame(secondPass(half, after), [], `${name}: the second pass is empty`)
      t.strictSame(
        compiled.upstreams.map(one => one.name),
        ['elasticsearch https://es1.example.com:9200'],
      )
      t.ok(
        compiled.loads.some(load => load.name === 'elasticsearch' && load.activation === 'restart'),
      )
    }
  },
)

await t.test(
  'what somebody has who followed the guide is repaired, and the reason says so',
  async t => {
    const guide = `server.host: 0.0.0.0
elasticsearch.hosts: https://es1.example.com:9200
elasticsearch.ssl.certificateAuthorities: $KBN_PATH_CONF/elasticsearch-ca.pem
server.ssl.certificate: $KBN_PATH_CONF/kibana-server.crt
server.ssl.key: $KBN_PATH_CONF/kibana-server.key
server.ssl.enabled: true
`
    const before = node(guide)
    const compiled = compiledOn(intent(), before)
    const after = applied(before, compiled)

    t.strictSame(lineChanges(guide, textOf(after, CONFIG)), [
      '- elasticsearch.ssl.certificateAuthorities: $KBN_PATH_CONF/elasticsearch-ca.pem',
      '- server.ssl.certificate: $KBN_PATH_CONF/kibana-server.crt',
      '- server.ssl.key: $KBN_PATH_CONF/kibana-server.key',
      '+ elasticsearch.ssl.certificateAuthorities: [/etc/kibana/tls/elasticsearch-ca.pem]',
      '+ server.ssl.certificate: /etc/kibana/tls/current/chain.pem',
      '+ server.ssl.key: /etc/kibana/tls/current/key.pem',
      PROTOCOLS,
    ])
    t.equal(compiled.files.at(-1)?.reason.code, 'guide-variable-path')
  },
)

await t.test('what kibana-setup left is kept beside ours, and a pinned CA is told', async t => {
  const setup = `# This section was automatically generated during setup.
elasticsearch.hosts: ['https://10.0.0.1:9200']
elasticsearch.serviceAccountToken: AAEAAWVs
elasticsearch.ssl.certificateAuthorities: [/var/lib/kibana/ca_1700000000000.crt]
xpack.fleet.outputs: [{id: fleet-default-output, hosts: ['https://10.0.0.1:9200'], ca_trusted_fingerprint: ab12}]
`
  const before = node(setup)
  const compiled = compiledOn(intent(), before)
  t.match(
    textOf(applied(before, compiled), CONFIG),
    'certificateAuthorities: [/etc/kibana/tls/elasticsearch-ca.pem, /var/lib/kibana/ca_1700000000000.crt]',
  )
  t.strictSame(codes(compiled.notices), ['fleet-fingerprint'])
})

await t.test('a PKCS#12 store, weak protocols and weak verification give way', async t => {
  const text = `server:
  ssl:
    enabled: true
    keystore.path: /etc/kibana/http.p12
    keystore.password: ""
    supportedProtocols: [TLSv1.1, TLSv1.2]
  publicBaseUrl: "http://kibana.example.com:5601"
elasticsearch.hosts: ["http://es1.example.com:9200"]
elasticsearch.ssl.verificationMode: none
`
  const before = node(text)
  const after = textOf(applied(before, compiledOn(intent(), before)), CONFIG)
  t.notMatch(after, 'keystore')
  t.match(after, 'supportedProtocols: [TLSv1.2]')
  t.match(after, 'publicBaseUrl: "https://kibana.example.com:5601"')
  t.match(after, 'verificationMode: full')

  const strict = intent({ minVersion: '1.3', clientAuth: 'required' })
  const demanding = textOf(applied(before, compiledOn(strict, before)), CONFIG)
  t.match(demanding, 'supportedProtocols: [TLSv1.3]')
  t.match(demanding, /clientAuthentication: required/)
  t.match(demanding, /certificateAuthorities: \[\/etc\/kibana\/tls\/ca\.pem\]/)
})

await t.test('a signal goes only to a process that is known to survive it', async t => {
  const how = (on: FakeNode) =>
    compiledOn(intent(), on).loads.find(load => load.name === 'certificate')?.activation
  t.equal(how(node('', '8.15.0')), 'hangup')
  t.equal(how(node('', '8.15.0', { commands: {} })), 'restart', 'it may be an older one that runs')
  t.equal(how(node('elasticsearch.password: "${UNKNOWN}"\n')), 'restart', 'a variable is missing')
})

await t.test('what would stop a start without TLS goes along with it', async t => {
  const demanding =
    'server.ssl.enabled: true\nserver.ssl.clientAuthentication: required\nserver.protocol: http2\n'
  const off = intent({ tls: 'off', upstreams: [] })
  const text = textOf(
    applied(node(demanding, '9.1.0'), compiledOn(off, node(demanding, '9.1.0'))),
    CONFIG,
  )
  t.equal(
    text,
    'server.ssl.enabled: false\nserver.ssl.clientAuthentication: none\nserver.protocol: http1\n',
  )
})

await t.test('this node is meant by localhost, and must be covered by that name', async t => {
  const local = (dns: readonly string[]) =>
    intent({
      upstreams: [
        { ...upstream('es1.example.com'), names: { dns: [...dns], ip: [] }, isLocal: true },
      ],
    })
  const covered = compiledOn(local(['es1.example.com', 'localhost']), node(''))
  t.match(
    textOf(applied(node(''), covered), CONFIG),
    'elasticsearch.hosts: ["https://localhost:9200"]',
  )
  t.equal(verdict(local(['es1.example.com']), node('')), 'upstream-name-not-covered')
  t.equal(compiledOn(intent(), node('')).upstreams.length, 0, 'nobody of the fleet is on this node')
  const portless = 'elasticsearch.hosts: ["http://es1.example.com"]\n'
  const web = intent({ upstreams: [{ ...upstream('es1.example.com'), port: 80 }] })
  t.match(
    textOf(applied(node(portless), compiledOn(web, node(portless))), CONFIG),
    'https://es1.example.com:80"',
  )
})

await t.test('off is a state: never switched on means untouched, and on goes back', async t => {
  const off = intent({ tls: 'off', upstreams: [upstream('es1.example.com', 'off')] })
  const untouched = node(`${STOCK}elasticsearch.hosts: ["http://es1.example.com:9200"]\n`)
  const compiled = compiledOn(off, untouched)
  t.equal(textOf(applied(untouched, compiled), CONFIG), textOf(untouched, CONFIG))
  t.notOk(compiled.material.isWanted)
  t.match(compiled.listeners, [{ scheme: 'http', port: 5601 }])

  const on = applied(
    untouched,
    compiledOn(intent({ upstreams: [upstream('es1.example.com')] }), untouched),
  )
  const back = textOf(applied(on, compiledOn(off, on)), CONFIG)
  t.match(back, 'elasticsearch.hosts: ["http://es1.example.com:9200"]')
  t.match(back, 'server.ssl.enabled: false')
})

await t.test('what cannot be managed safely is refused with the reason', async t => {
  const secret = new Map([['server.ssl.enabled', new Secret('false')]])
  const twoFiles = [
    '/usr/share/kibana/bin/kibana',
    '-c',
    '/etc/kibana/a.yml',
    '-c',
    '/etc/kibana/b.yml',
  ]
  const verdicts = {
    'setting-on-command-line': node('', '8.15.0', {
      unit: fakeUnit({ execStart: ['/usr/share/kibana/bin/kibana', '--server.port=1'] }),
    }),
    'keystore-override': node('', '8.15.0', {
      keystores: { '/etc/kibana/kibana.keystore': secret },
    }),
    'command-line-unclear': node('', '8.15.0', { unit: fakeUnit({ execStart: twoFiles }) }),
    'program-unknown': node('', '8.15.0', { unit: fakeUnit({ execStart: ['/usr/bin/node'] }) }),
    'version-unsupported': node('', '6.8.0'),
    'version-unknown': node('', 'main'),
    'config-unparsable': node('a: [1\n'),
    'listen-address-unclear': node('server.host: "${HOST}"\n'),
    'config-unexpected': node('elasticsearch.hosts: 12\n'),
  }
  for (const [code, broken] of Object.entries(verdicts)) t.equal(verdict(intent(), broken), code)
  t.equal(verdict(intent({ clientAuth: 'required', trust: [] }), node('')), 'client-trust-missing')
})

await t.test('only its connection is managed where its server is left alone', async t => {
  const before = node(
    'elasticsearch.hosts: ["http://es1.example.com:9200"]\nserver.ssl.enabled: true\n',
  )
  const tls = intent({ options: { server: 'leave', publicBaseUrl: 'manage' } })
  const compiled = compiledOn(tls, before)
  t.strictSame(compiled.listeners, [])
  t.notOk(compiled.material.isWanted)
  t.notMatch(textOf(applied(before, compiled), CONFIG), 'server.ssl.certificate')
})

await t.test('that Kibana does not reach Elasticsearch is told, and undoes nothing', async t => {
  const [listener] = compiledOn(intent(), node('')).listeners
  t.ok(listener?.healthyStatuses.includes(503))
  const advice = listener?.advise?.({ status: 503, headers: {}, body: '' }) ?? []
  t.strictSame(codes(advice), ['kibana-unavailable'])
  t.strictSame(listener?.advise?.({ status: 200, headers: {}, body: '' }), [])
})
