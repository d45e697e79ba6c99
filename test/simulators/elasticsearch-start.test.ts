// What stops a node of the Elasticsearch simulator before it is ready, and what does not.

import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createCa, encryptKey, issue, write } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import {
  createNode,
  HTTP,
  keyEntry,
  p12,
  TRANSPORT,
  trustedEntry,
  untilUp,
} from './elasticsearch-scene.ts'
import { checkKnown } from './elasticsearch/known-settings.ts'
import { decodeKeystore, encodeKeystore } from './elasticsearch/keystore-format.ts'
import { createSslService } from './elasticsearch/ssl-service.ts'
import { bootstrapFailures } from './elasticsearch/startup.ts'
import { parseSettings, readSettings } from './elasticsearch/yaml-settings.ts'

const ON = `${HTTP}.enabled: true\n`

// A busy machine takes its time to start a dozen processes.
t.setTimeout(300_000)

await t.test('elasticsearch.yml is one flat map, whatever its spelling', t => {
  const parse = (text: string) => Object.fromEntries(parseSettings(text, { WHO: 'me' }))

  for (const text of [
    'a.b.c: 1\n',
    'a:\n  b:\n    c: 1\n',
    'a.b:\n  c: 1\n',
    'a:\n  b.c: 1\n',
    '{"a": {"b.c": 1}}\n',
  ]) {
    t.same(parse(text), { 'a.b.c': '1' })
  }
  t.same(parse('a: 0.50\nb: true\nc: "x y"\nd: [1, "two"]\ne: x-${WHO}\nf: ["${WHO}"]\n'), {
    a: '0.50',
    b: 'true',
    c: 'x y',
    d: ['1', 'two'],
    e: 'x-me',
    f: ['me'],
  })
  t.same(parse('# nothing\n'), {})
  t.same(parse('a.b: 1\na:\n  b: 2\n'), { 'a.b': '2' }, 'the last spelling wins')
  t.same(parse('a:\n  b: 2\na.b: 1\n'), { 'a.b': '1' })

  t.throws(() => parse('a: 1\nb: 2\na: 3\n'), { message: "Duplicate field 'a'" })
  t.throws(() => parse('x:\n  a.b: 1\n  a.b: 2\n'), { message: "Duplicate field 'a.b'" })
  t.throws(() => parse('a: # missing value\n'), {
    message: /^null-valued setting found for key \[a\] found at line number \[1\]/,
  })
  t.throws(() => parse('a:\n  b: ~\n'), { message: /found for key \[a\.b\]/ })
  t.throws(() => parse('a: ${NOBODY}\n'), { message: "Could not resolve placeholder 'NOBODY'" })
  t.throws(() => parse('a: [\n'), { message: /Failed to load settings/ })

  const directory = t.testdir({ 'elasticsearch.yaml': '' })
  t.throws(() => readSettings(directory, {}), { message: /must be renamed to elasticsearch\.yml/ })
  t.end()
})

await t.test('an unknown setting is refused, in the file and in the keystore', t => {
  const check = (yml: string, ...secure: readonly string[]) =>
    checkKnown(parseSettings(yml, {}), secure)

  check(`cluster.name: x\n${ON}`, 'keystore.seed', `${HTTP}.keystore.secure_password`)
  t.throws(() => check('xpak.security.enabled: true\n'), {
    message: /^unknown setting \[xpak\.security\.enabled\] please check/,
  })
  t.throws(() => check(`${HTTP}.keystore.pass: x\n`), { message: /^unknown setting \[xpack/ })
  t.throws(() => check(`${HTTP}.keystore.secure_password: x\n`), { message: /^unknown setting/ })
  t.throws(() => check('', 'foo.bar'), { message: /^unknown secure setting \[foo\.bar\]/ })
  t.throws(() => check('', `${HTTP}.keystore.password`), { message: /^unknown secure setting/ })
  t.throws(() => check('index.number_of_replicas: 1\n'), { message: /index level settings/ })
  t.end()
})

await t.test('combinations of TLS settings that are refused', async t => {
  const directory = t.testdir({ certs: {} })
  const certs = join(directory, 'certs')
  const ca = createCa(certs)
  const a = issue(ca, 'a')
  const b = issue(ca, 'b')
  encryptKey(a, join(certs, 'a.enc'))
  writeFileSync(join(certs, 'http.p12'), p12([keyEntry('http', a, ca)]))
  writeFileSync(join(certs, 'trust.p12'), p12([trustedEntry('ca', ca)]))
  writeFileSync(join(certs, 'no-mac.p12'), noMac(p12([keyEntry('http', a)])))
  write(certs, 'not-a-store.p12', 'hello')
  write(certs, 'empty.pem', '')
  mkdirSync(join(directory, '../outside'), { recursive: true })
  const outside = join(directory, '../outside/http.p12')
  writeFileSync(outside, p12([keyEntry('http', a)]))
  symlinkSync(outside, join(certs, 'link.p12'))
  t.teardown(() => rmSync(join(directory, '../outside'), { recursive: true }))

  const load = (
    yml: string,
    secure: Readonly<Record<string, string>> = {},
    { version = '8.15.0', fips = false } = {},
  ) => {
    const lines: string[] = []
    createSslService({
      settings: parseSettings(yml, {}),
      secure: new Map(Object.entries(secure).map(([name, value]) => [name, Buffer.from(value)])),
      files: { directory, fips },
      version,
      log: (_level, _logger, message) => lines.push(message),
    })
    return lines
  }
  const http = (leaves: string) => leaves.replaceAll(/^(?=.)/gm, `${HTTP}.`)
  const STORE = { [`${HTTP}.keystore.secure_password`]: 'store-password' }
  const FAILED = `failed to load SSL configuration [${HTTP}] - `
  const store = (name: string) => `${ON}${http(`keystore.path: certs/${name}\n`)}`

  // What is fine.
  load('')
  load(store('http.p12'), STORE)
  load(http('enabled: false\nkeystore.path: certs/http.p12\n'), STORE)
  load(http('enabled: false\n'), STORE)
  load(`${ON}${http('certificate: certs/a.crt\nkey: certs/a.key\n')}`)
  load(`${ON}${http(`certificate: ${join(certs, 'a.crt')}\nkey: certs/b.key\n`)}`)
  load(`${ON}${http('certificate: certs/a.crt\nkey: certs/a.enc\n')}`, {
    [`${HTTP}.secure_key_passphrase`]: 'x',
  })
  load(`${ON}${http('keystore.path: certs/http.p12\nkeystore.password: store-password\n')}`)

  const refused: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
    [
      http('certificate: certs/a.crt\nkey: certs/a.key\nkeystore.path: certs/http.p12\n'),
      `${FAILED}cannot specify both [${HTTP}.certificate] and [${HTTP}.keystore.path]`,
    ],
    [
      http('certificate: certs/a.crt\n'),
      `${FAILED}cannot specify [${HTTP}.certificate] without also setting [${HTTP}.key]`,
    ],
    [
      http('key: certs/a.key\n'),
      `${FAILED}cannot specify [${HTTP}.keystore.path] without also setting [${HTTP}.certificate]`,
    ],
    [
      http('certificate_authorities: certs/ca.crt\ntruststore.path: certs/trust.p12\n'),
      `${FAILED}cannot specify both [${HTTP}.certificate_authorities] and [${HTTP}.truststore.path]`,
    ],
    [
      http('keystore.path: certs/http.p12\nkeystore.password: x\n'),
      `${FAILED}cannot specify both [${HTTP}.keystore.secure_password] and [${HTTP}.keystore.password]`,
      STORE,
    ],
    [
      ON,
      `invalid SSL configuration for ${HTTP} - server ssl configuration requires a key and certificate, but these have not been configured; you must set either [${HTTP}.keystore.path], or both [${HTTP}.key] and [${HTTP}.certificate]`,
    ],
    [
      '',
      `invalid configuration for ${HTTP} - [${HTTP}.enabled] is not set, but the following settings have been configured in elasticsearch.yml : [${HTTP}.keystore.secure_password]`,
      STORE,
    ],
    [
      http('verification_mode: none\n'),
      `invalid configuration for ${HTTP} - [${HTTP}.enabled] is not set, but the following settings have been configured in elasticsearch.yml : [${HTTP}.verification_mode]`,
    ],
    [
      store('none.p12'),
      `${FAILED}cannot read configured [PKCS12] keystore [${certs}/none.p12] because the file does not exist`,
    ],
    // Also where TLS is off: the context is built all the same.
    [
      http('enabled: false\nkeystore.path: certs/none.p12\n'),
      `${FAILED}cannot read configured [PKCS12] keystore [${certs}/none.p12] because the file does not exist`,
    ],
    [
      store('http.p12'),
      `${FAILED}cannot read configured [PKCS12] keystore [${certs}/http.p12] - this is usually caused by an incorrect password`,
      { [`${HTTP}.keystore.secure_password`]: 'wrong' },
    ],
    [
      store('http.p12'),
      `${FAILED}cannot read configured [PKCS12] keystore [${certs}/http.p12] - this is usually caused by an incorrect password`,
    ],
    [
      `${store('trust.p12')}`,
      `${FAILED}the PKCS12 keystore [${certs}/trust.p12] does not contain a private key entry`,
      STORE,
    ],
    // A file without a checksum holds nothing for Java.
    [
      store('no-mac.p12'),
      `${FAILED}the PKCS12 keystore [${certs}/no-mac.p12] does not contain a private key entry`,
      STORE,
    ],
    [
      `${store('http.p12')}${http('truststore.path: certs/http.p12\n')}`,
      `${FAILED}the truststore [${certs}/http.p12] does not contain any trusted certificate entries`,
      { ...STORE, [`${HTTP}.truststore.secure_password`]: 'store-password' },
    ],
    [
      `${ON}${http(`keystore.path: ${outside}\n`)}`,
      `${FAILED}cannot read configured [PKCS12] keystore [${outside}] because access to read the file is blocked; SSL resources should be placed in the [${directory}] directory`,
      STORE,
    ],
    [
      store('link.p12'),
      `${FAILED}cannot read configured [PKCS12] keystore [${certs}/link.p12] because access to read the file is blocked; SSL resources should be placed in the [${directory}] directory`,
      STORE,
    ],
    [
      `${ON}${http('certificate: certs/a.crt\nkey: certs/none.key\n')}`,
      `${FAILED}cannot read configured PEM private key [${certs}/none.key] because the file does not exist`,
    ],
  ]
  for (const [yml, message, secure] of refused) {
    t.throws(() => load(yml, secure), { message }, message.slice(0, 150))
  }
  t.throws(() => load(store('not-a-store.p12'), STORE), {
    message: /cannot read configured \[PKCS12\]/,
  })
  t.throws(() => load(`${ON}${http('certificate: certs/a.crt\nkey: certs/a.enc\n')}`), {
    message: /incorrect password/,
  })
  t.throws(() => load(`${ON}${http('certificate: certs/empty.pem\nkey: certs/a.key\n')}`), {
    message: /CertificateException/,
  })
  t.throws(() => load(store('http.p12'), STORE, { fips: true }), { message: /PKCS#12/ })
  load(`${ON}${http('certificate: certs/a.crt\nkey: certs/a.key\n')}`, {}, { fips: true })

  // The type follows from the name: this PKCS#12 file is read, but called jks.
  writeFileSync(join(certs, 'http.keystore'), p12([keyEntry('http', b)]))
  t.throws(() => load(store('http.keystore')), { message: /\[jks\] keystore/ })

  // The same rules for transport, and what 7.x only warns of.
  t.throws(() => load(`${TRANSPORT}.enabled: true\n`), {
    message: /invalid SSL configuration for .*transport/,
  })
  t.match(load('', STORE, { version: '7.17.9' }), [/is not set, but the following settings/])
  t.end()
})

await t.test('checks of a node that others can reach', t => {
  const failures = (yml: string, loopback = false, security = true) =>
    bootstrapFailures(
      { settings: parseSettings(yml, {}), security },
      { loopback, version: '8.15.0' },
    )

  t.equal(failures('').length, 2)
  t.match(failures('discovery.seed_hosts: [a]\n'), [
    /^Transport SSL must be enabled if security is/,
  ])
  t.same(failures('discovery.seed_hosts: [a]\n', false, false), [])
  t.same(failures(`discovery.seed_hosts: [a]\n${TRANSPORT}.enabled: true\n`), [])
  t.same(failures('', true), [])
  t.same(failures('discovery.type: single-node\n'), [])
  const before8 = (yml: string) => {
    const settings = parseSettings(`discovery.seed_hosts: [a]\n${yml}`, {})
    return bootstrapFailures({ settings, security: true }, { loopback: false, version: '7.17.20' })
  }
  t.equal(before8('').length, 1)
  t.same(before8('xpack.license.self_generated.type: trial\n'), [])
  t.equal(
    failures('discovery.seed_hosts: [a]\nxpack.license.self_generated.type: trial\n').length,
    1,
  )
  t.end()
})

await t.test('a node that may not start ends with 1, before it is ready', async t => {
  const node = await createNode(t, t.testdir())
  node.configure('')
  node.secrets({ [`${HTTP}.keystore.secure_password`]: 'x' })
  const socket = join(node.directory, 'never')

  const daemon = node.start({ env: { NOTIFY_SOCKET: socket } })
  t.equal(await daemon.ended, 'exit 1')
  t.match(daemon.output(), /\[xpack\.security\.http\.ssl\.enabled\] is not set, but the following/)
  t.notMatch(daemon.output(), /\] started\n/)

  node.secrets({})
  node.configure('network.host: 0.0.0.0\n')
  const exposed = node.start()
  t.equal(await exposed.ended, 'exit 78')
  t.match(
    exposed.output(),
    /bootstrap check failure \[1\] of \[2\]: the default discovery settings/,
  )
})

await t.test('the keystore of a node', async t => {
  const node = await createNode(t, t.testdir())
  const file = join(node.directory, 'elasticsearch.keystore')
  const passphrase = write(node.directory, 'passphrase', 'a long enough one\n')
  node.configure('')

  rmSync(file)
  const first = node.start()
  await untilUp(first)
  await first.stop()
  t.same([...decodeKeystore(readFileSync(file), '').entries.keys()], ['keystore.seed'], 'is made')

  await t.test('is written anew in the format of a newer version', async t => {
    const entries = decodeKeystore(readFileSync(file), '').entries
    writeFileSync(file, encodeKeystore(entries, { format: 4, password: '' }))
    const daemon = node.start()
    await untilPrinted(daemon, '] started')
    t.equal(decodeKeystore(readFileSync(file), '').format, 5)
    await daemon.stop()

    writeFileSync(file, encodeKeystore(entries, { format: 6, password: '' }))
    const older = node.start()
    t.equal(await older.ended, 'exit 1')
    t.match(older.output(), /format is too new\. Are you trying to downgrade\?/)
  })

  await t.test('with a password needs the file of it', async t => {
    const entries = new Map([['keystore.seed', Buffer.from('x')]])
    writeFileSync(file, encodeKeystore(entries, { format: 5, password: 'a long enough one' }))
    const outcome = async (ES_KEYSTORE_PASSPHRASE_FILE: string) => {
      const daemon = node.start({ env: { ES_KEYSTORE_PASSPHRASE_FILE } })
      const up = untilUp(daemon).then(() => 'up')
      const how = await Promise.race([up.catch(() => daemon.ended), daemon.ended])
      await daemon.stop()
      return how === 'up' ? how : `${how}: ${daemon.output()}`
    }
    t.match(await outcome(''), /^exit 1: .*Failed to read keystore password on standard input/s)
    t.match(await outcome('/none'), /^exit 1: .*\/none: No such file or directory/s)
    t.match(await outcome(write(node.directory, 'wrong', 'other\n')), /^exit 1: .*was incorrect/s)
    t.equal(await outcome(passphrase), 'up')
    node.configure('xpack.security.fips_mode.enabled: true\n')
    t.equal(await outcome(passphrase), 'up')
    writeFileSync(file, encodeKeystore(entries, { format: 5, password: 'short' }))
    t.match(
      await outcome(write(node.directory, 'short', 'short\n')),
      /^exit 1: .*at least 14 bytes/s,
    )
  })
})

/** The same file without its checksum. */
function noMac(file: Buffer): Buffer {
  // PFX: its length, the version, the content, and the checksum at the end.
  const contentStart = 4 + 3
  const contentLength = 4 + file.readUInt16BE(contentStart + 2)
  const body = file.subarray(4, contentStart + contentLength)
  const head = Buffer.from([0x30, 0x82, 0, 0])
  head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, body])
}
