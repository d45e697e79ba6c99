// From the files of packages, of their first start and of a guide to files of an Elasticsearch with
// TLS, and back. What the product would count is asked of its simulator, which parses by itself.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { codes, textOf } from './fake-node.ts'
import {
  CONFIG,
  counted,
  elasticsearchOn,
  HTTP,
  intent,
  type Intent,
  KEYSTORE,
  pass,
  PASSWORD,
} from './elasticsearch-node.ts'

const STOCK = readFileSync(
  join(import.meta.dirname, '../../simulators/elasticsearch/stock-elasticsearch.yml'),
  'utf8',
)
const AUTOCONFIGURED = readFileSync(
  join(import.meta.dirname, 'golden/elasticsearch-autoconfigured.yml'),
  'utf8',
)
const SECURE = `${STOCK}\nxpack.security.enabled: true\n`
const STORE = 'tlsfleet/current/http.p12'
const WITH_STORE = { enabled: 'true', 'keystore.path': STORE }
const PEM: Intent['options'] = { layout: 'pem', transport: 'leave' }

/** What a second pass over its own result would still change. */
function secondPass(tls: Intent, first: ReturnType<typeof pass>) {
  const again = pass(tls, first.after)
  const isLoaded = JSON.stringify(again.compiled.loads) === JSON.stringify(first.compiled.loads)
  return { changes: again.changes, isSame: again.text === first.text, isLoaded }
}

const EMPTY = { changes: [], isSame: true, isLoaded: true }

await t.test('what the first start of 8.x and 9.x wrote is edited in place', async t => {
  const tls = intent()
  for (const version of ['8.0.0', '8.15.0', '9.1.0']) {
    const first = pass(tls, elasticsearchOn(AUTOCONFIGURED, { version }))

    const expected = AUTOCONFIGURED.replace('certs/http.p12', STORE)
    t.equal(first.text, expected, `${version}: one value is another, every other byte is the same`)
    t.strictSame(counted(first.text), WITH_STORE)
    t.strictSame(codes(first.compiled.files.map(file => file.reason)), ['autoconfigured-store'])
    t.strictSame(secondPass(tls, first), EMPTY, version)
  }
})

await t.test('a package without TLS gets it beside its other settings', async t => {
  for (const version of ['7.17.20', '8.15.0', '9.1.0']) {
    const first = pass(intent(), elasticsearchOn(SECURE, { version, secrets: {} }))

    t.strictSame(first.changes, [`+ ${HTTP}.enabled: true`, `+ ${HTTP}.keystore.path: ${STORE}`])
    t.ok(first.text.startsWith(SECURE), `${version}: nothing above is changed`)
    t.strictSame(counted(first.text), WITH_STORE)
    t.strictSame(codes(first.compiled.files.map(file => file.reason)), ['tls-required'])
    t.match(first.compiled.keystores, [
      {
        path: KEYSTORE,
        tool: '/usr/share/elasticsearch/bin/elasticsearch-keystore',
        environment: { ES_PATH_CONF: '/etc/elasticsearch' },
        entries: [
          { kind: 'store-password', name: PASSWORD },
          { kind: 'absent', name: `${HTTP}.keystore.secure_key_password` },
        ],
      },
    ])
    t.strictSame(secondPass(intent(), first), EMPTY, version)
  }
})

// Security is on in each; `changes` are those of the table only.
const SPELLINGS: Readonly<Record<string, readonly [text: string, changes: readonly string[]]>> = {
  flat: [
    `${HTTP}.enabled: false\n${HTTP}.keystore.path: "http.p12" # mine\n`,
    [
      `- ${HTTP}.enabled: false`,
      `- ${HTTP}.keystore.path: "http.p12" # mine`,
      `+ ${HTTP}.enabled: true`,
      `+ ${HTTP}.keystore.path: "${STORE}" # mine`,
    ],
  ],
  nested: [
    'xpack:\n  security:\n    http:\n      ssl:\n        enabled: true\n        keystore:\n          path: certs/http.p12\n',
    ['-           path: certs/http.p12', `+           path: ${STORE}`],
  ],
  'mixed, and indented': [
    '  xpack.security:\n    http:\n      ssl.enabled: true\n      ssl:\n        keystore.path: certs/http.p12\n',
    ['-         keystore.path: certs/http.p12', `+         keystore.path: ${STORE}`],
  ],
  'the block with TLS off': [
    `${HTTP}:\n  enabled: false\n  keystore.path: certs/http.p12\n`,
    [
      '-   enabled: false',
      '-   keystore.path: certs/http.p12',
      '+   enabled: true',
      `+   keystore.path: ${STORE}`,
    ],
  ],
  'the block with its leaves as comments': [
    `${HTTP}:\n  enabled: false\n#  keystore.path: certs/http.p12\nhttp.host: 0.0.0.0\n`,
    ['-   enabled: false', '+   enabled: true', `+   keystore.path: ${STORE}`],
  ],
  'the block with everything as comments': [
    `${HTTP}:\n#  enabled: true\n#  keystore.path: certs/http.p12\nhttp.host: 0.0.0.0\n`,
    ['+   enabled: true', `+   keystore.path: ${STORE}`],
  ],
  'braces, and lines of another system': [
    `${HTTP}: {enabled: true, keystore.path: certs/http.p12}\r\n`,
    [
      `- ${HTTP}: {enabled: true, keystore.path: certs/http.p12}\r`,
      `+ ${HTTP}: {enabled: true, keystore.path: ${STORE}}\r`,
    ],
  ],
}

await t.test('TLS is found in every spelling, and written in the one that is there', async t => {
  for (const [name, [text, changes]] of Object.entries(SPELLINGS)) {
    const indent = /^ */.exec(text)?.[0] ?? ''
    const first = pass(
      intent(),
      elasticsearchOn(`${indent}xpack.security.enabled: true\n# kept\n${text}`),
    )

    t.strictSame(first.changes, changes, name)
    t.match(first.text, '# kept', name)
    t.strictSame(counted(first.text), WITH_STORE, name)
    t.strictSame(secondPass(intent(), first), EMPTY, name)
  }
})

await t.test('flat keys of a guide beside the block become one setting', async t => {
  const flat = `${HTTP}.enabled: true\n${HTTP}.keystore.path: http.p12\n`
  const files = { '/etc/elasticsearch/http.p12': 'of certutil' }
  for (const [place, text] of Object.entries({
    above: flat + AUTOCONFIGURED,
    below: `${AUTOCONFIGURED}${flat}`,
    'below, and right already': `${AUTOCONFIGURED}${flat.replace('http.p12', STORE)}`,
  })) {
    const first = pass(intent(), elasticsearchOn(text, { files }))

    t.strictSame(counted(first.text), WITH_STORE, place)
    t.equal(first.text.split(STORE).length, 2, `${place}: it is there once`)
    t.notMatch(first.text, 'certs/http.p12', place)
    t.match(first.text, 'keystore.path: certs/transport.p12', place)
    t.strictSame(codes(first.compiled.files.map(file => file.reason)), ['guide-flat-keys'], place)
    t.ok(codes(first.compiled.notices).includes('guide-leftover'), place)
    t.strictSame(secondPass(intent(), first), EMPTY, place)
  }

  const guide = elasticsearchOn(`xpack.security.enabled: true\n${flat}`, {
    version: '7.17.20',
    files,
  })
  t.equal(pass(intent(), guide).compiled.files[0]?.reason.code, 'guide-store')
})

await t.test('what does not go with a store is taken out', async t => {
  const pair = `xpack.security.enabled: true
${HTTP}:
  enabled: true
  certificate: certs/node.crt
  key: certs/node.key
  key_passphrase: hunter2
  supported_protocols: [ "TLSv1.1", "TLSv1.2" ]
  client_authentication: optional
`
  const first = pass(intent(), elasticsearchOn(pair))
  t.strictSame(counted(first.text), {
    ...WITH_STORE,
    supported_protocols: ['TLSv1.2'],
    client_authentication: 'none',
  })
  t.equal(first.compiled.files[0]?.reason.code, 'password-in-clear')
  t.strictSame(secondPass(intent(), first), EMPTY, 'a pair')

  const jks = `xpack.security.enabled: true
${HTTP}.enabled: "true"
${HTTP}.keystore.path: certs/node.jks
${HTTP}.keystore.type: jks
${HTTP}.keystore.password: hunter2
${HTTP}.certificate_authorities: [ca.crt]
${HTTP}.truststore.path: ca.p12
${HTTP}.supported_protocols: TLSv1.3
`
  const second = pass(intent(), elasticsearchOn(jks))
  t.strictSame(counted(second.text), {
    ...WITH_STORE,
    'truststore.path': 'ca.p12',
    supported_protocols: 'TLSv1.3',
  })
  t.match(second.text, 'enabled: "true"', 'what says the same already is not written anew')
  t.strictSame(codes(second.compiled.notices), ['stricter-minimum-kept'])
  t.strictSame(secondPass(intent(), second), EMPTY, 'a store of another type')
})

await t.test('PEM files where they are wanted, and where FIPS 140 allows nothing else', async t => {
  const expected = {
    enabled: 'true',
    certificate: 'tlsfleet/current/chain.pem',
    key: 'tlsfleet/current/key.pem',
  }
  const pem = intent({ options: PEM })
  const first = pass(pem, elasticsearchOn(AUTOCONFIGURED))
  t.strictSame(first.changes, [
    '-   keystore.path: certs/http.p12',
    '+   certificate: tlsfleet/current/chain.pem',
    '+   key: tlsfleet/current/key.pem',
  ])
  t.strictSame(counted(first.text), expected)
  t.equal(first.compiled.material.store, undefined)
  t.strictSame(first.compiled.keystores[0]?.entries, [
    { kind: 'absent', name: `${HTTP}.secure_key_passphrase` },
  ])
  t.strictSame(secondPass(pem, first), EMPTY, 'pem')

  const back = pass(intent(), first.after)
  t.strictSame(counted(back.text), WITH_STORE)
  t.equal(back.compiled.material.store?.mode, 0o640)

  const fips = pass(intent(), elasticsearchOn(`${SECURE}xpack.security.fips_mode.enabled: true\n`))
  t.strictSame(counted(fips.text), expected)
  t.ok(codes(fips.compiled.notices).includes('pem-for-fips'))
})

await t.test('client certificates and the lowest version of TLS', async t => {
  const text = `xpack.security.enabled: true
${HTTP}:
  enabled: true
  keystore.path: ${STORE}
  verification_mode: none
  truststore.path: certs/clients.p12
`
  const tls = intent({ clientAuth: 'required', minVersion: '1.3' })
  const first = pass(tls, elasticsearchOn(text))
  t.strictSame(counted(first.text), {
    ...WITH_STORE,
    client_authentication: 'required',
    certificate_authorities: ['tlsfleet/ca.pem'],
    supported_protocols: ['TLSv1.3'],
  })
  t.ok(first.compiled.material.clientUse)
  t.ok(first.compiled.listeners[0]?.clientCertificate)
  t.strictSame(secondPass(tls, first), EMPTY, 'client certificates')

  const soft = pass(intent({ clientAuth: 'optional' }), first.after)
  t.match(soft.text, 'client_authentication: optional')
  t.notOk(soft.compiled.material.clientUse)
  t.match(pass(intent(), soft.after).text, 'client_authentication: none')
})

await t.test('off is a state: untouched stays untouched, and on goes back', async t => {
  const off = intent({ tls: 'off' })
  for (const text of [STOCK, SECURE, '', `${HTTP}:\n  enabled: false\n  keystore.path: x.p12\n`]) {
    const untouched = pass(off, elasticsearchOn(text, { secrets: {}, version: '7.17.20' }))
    t.strictSame(untouched.compiled.files, [])
    t.strictSame(untouched.compiled.keystores, [])
    t.strictSame(
      untouched.compiled.loads.map(load => load.name),
      ['listener'],
    )
    t.notOk(untouched.compiled.material.isWanted)
    t.match(untouched.compiled.listeners, [{ scheme: 'http', port: 9200, host: '127.0.0.1' }])
  }

  const on = pass(intent(), elasticsearchOn(AUTOCONFIGURED))
  const back = pass(off, on.after)
  t.equal(back.text, on.text.replace('enabled: true\n  keystore', 'enabled: false\n  keystore'))
  t.equal(back.compiled.files[0]?.reason.code, 'plaintext-required')
  t.strictSame(counted(back.text), { enabled: 'false', 'keystore.path': STORE })
  t.strictSame(secondPass(off, back), EMPTY, 'off')
  t.equal(textOf(pass(intent(), back.after).after, CONFIG), on.text, 'and on again')

  const orphan = pass(off, elasticsearchOn(SECURE))
  t.strictSame(orphan.changes, [`+ ${HTTP}.enabled: false`], 'a secret does not go without it')
})
