import { execFileSync } from 'node:child_process'
import { createDecipheriv, createPrivateKey, pbkdf2Sync, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import forge from 'node-forge'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { createCa, issue, write } from './certificates.ts'
import { KibanaFailure } from './kibana/failure.ts'
import { readKeystore } from './kibana/keystore.ts'
import { readRawConfig, valueAt } from './kibana/raw-config.ts'
import { validateConfig } from './kibana/schema.ts'
import { settingsOf, type SslSettings } from './kibana/settings.ts'
import { readSslFiles } from './kibana/ssl-files.ts'
import { fingerprintOf } from './probe.ts'

const KIBANA = join(import.meta.dirname, 'kibana/kibana-sim.ts')
const KEYSTORE = join(import.meta.dirname, 'kibana/kibana-keystore-sim.ts')
const NODE_COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')
const STOCK = join(import.meta.dirname, 'kibana/stock/kibana.yml')

const NO_FILES: SslSettings = {
  certificate: undefined,
  key: undefined,
  keyPassphrase: undefined,
  keystore: { path: undefined, password: undefined },
  truststore: { path: undefined, password: undefined },
  certificateAuthorities: [],
}

/** Files that stop the start → what is said, and the exit code. */
const REFUSED: readonly (readonly [string, string | RegExp, number])[] = [
  ['server.port: 1\nserver.port: 2\n', /duplicated mapping key at line 2, column 1:/, 1],
  ['server: {port: 1, port: 2}\n', /duplicated mapping key at line 1/, 1],
  [
    'server.ssl\n  enabled: true\n',
    'Implicit keys need to be on a single line at line 1, column 1:',
    1,
  ],
  ['server.name: ${NOT_SET}\n', 'Unknown environment variable referenced in config : NOT_SET', 1],
  [
    'server.ssl.enabled: true\n',
    '[config validation of [server].ssl]: must specify [certificate] and [key] -- or [keystore.path] -- when ssl is enabled',
    78,
  ],
  [
    'server.ssl.enabled: true\nserver.ssl.certificate: /x\n',
    'must specify [certificate] and [key] -- or [keystore.path] -- when ssl is enabled',
    78,
  ],
  [
    'server.ssl: {key: /x, keystore.path: /y}\n',
    'cannot use [key] when [keystore.path] is specified',
    78,
  ],
  [
    'elasticsearch.ssl: {certificate: /x, keystore.path: /y}\n',
    '[config validation of [elasticsearch].ssl]: cannot use [certificate] when [keystore.path] is specified',
    78,
  ],
  [
    'server.ssl.clientAuthentication: required\n',
    'must enable ssl to use [clientAuthentication]',
    78,
  ],
  ['server.ssl.enabled: 1\n', 'expected value of type [boolean] but got [number]', 78],
  ['server.ssl:\n', '[server].ssl]: expected a plain object value, but found [null] instead.', 78],
  [
    'server.ssl.certificat: /x\n',
    '[server].ssl.certificat]: definition for this key is missing',
    78,
  ],
  ['server.ssl.keystore.password: 12345\n', 'expected value of type [string] but got [number]', 78],
  [
    'elasticsearch.username: elastic\n',
    '[config validation of [elasticsearch].username]: value of "elastic" is forbidden.',
    78,
  ],
  [
    'elasticsearch: {username: a, serviceAccountToken: b}\n',
    'serviceAccountToken cannot be specified when "username" is also set.',
    78,
  ],
  ['elasticsearch.hosts: "localhost:9200"\n', 'expected URI with scheme [http|https].', 78],
  ['elasticsearch.hosts: []\n', 'array size is [0], but cannot be smaller than [1]', 78],
  [
    'elasticsearch.ssl.verificationMode: strict\n',
    /\[elasticsearch\]\.ssl\.verificationMode\]: types that failed validation:/,
    78,
  ],
  ['server.publicBaseUrl: kibana:5601\n', 'expected URI with scheme [http|https].', 78],
  ['server.publicBaseUrl: "https://k:5601/"\n', 'cannot end in a slash', 78],
  ['server.publicBaseUrl: "https://k:5601/x"\n', 'must contain the [basePath]', 78],
  [
    'sever.ssl.enabled: true\n',
    'Unknown configuration key(s): "sever". Check for spelling errors and ensure that expected plugins are installed.',
    64,
  ],
  [
    'server.ssl: {certificate: none.crt, key: none.key}\n',
    "ENOENT: no such file or directory, open 'none.",
    1,
  ],
  ['elasticsearch.ssl.certificateAuthorities: none.pem\n', "open 'none.pem'", 1],
  ['monitoring.ui.elasticsearch.ssl.certificateAuthorities: [none.pem]\n', "open 'none.pem'", 1],
  // What the guide says: without braces it is no variable.
  [
    'elasticsearch.ssl.certificateAuthorities: $KBN_PATH_CONF/ca.crt\n',
    "open '$KBN_PATH_CONF/ca.crt'",
    1,
  ],
]

await t.test('what Kibana refuses stops its start, with its words', async t => {
  const directory = t.testdir()
  const load = (text: string, version: string) => {
    const files = [write(directory, 'kibana.yml', text)]
    const raw = readRawConfig({ files, env: {}, overrides: {}, keystore: {}, version })
    validateConfig(raw)
    const { ssl, elasticsearch, monitoringSsl } = settingsOf(raw, version)
    for (const files of [ssl, elasticsearch.ssl, monitoringSsl]) {
      if (files !== undefined) readSslFiles(files)
    }
  }
  const refusal = (text: string, version = '8.15.0') => {
    try {
      load(text, version)
      return { message: '', code: 0 }
    } catch (error) {
      const message = error instanceof Error ? error.message : ''
      return { message, code: error instanceof KibanaFailure ? error.exitCode : 1 }
    }
  }
  for (const [text, error, code] of REFUSED) {
    const refused = refusal(text)
    if (typeof error === 'string')
      t.ok(refused.message.includes(error), `${text}: ${refused.message}`)
    else t.match(refused.message, error, text)
    t.equal(refused.code, code, text)
  }
  t.match(refusal('a: 1\na: 2\n', '9.0.0').message, 'Map keys must be unique')

  for (const text of ['sever.ssl.enabled: true\n', 'server.ssl.enabled: true\n', 'a: 1\na: 2\n']) {
    const { message, code } = refusal(text)
    write(directory, 'kibana.yml', text)
    const env = { SIM_VERSION: '8.15.0', KBN_PATH_CONF: directory, NODE_COMPILE_CACHE }
    const outcome = await runCommand(process.execPath, [KIBANA], { env })
    t.match(outcome, { code, stderr: ` FATAL  Error: ${message}` })
  }
})

await t.test('every spelling is one setting, and the last one wins', async t => {
  const directory = t.testdir()
  const read = (texts: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    readRawConfig({
      files: texts.map((text, index) => write(directory, `${index}.yml`, text)),
      env,
      overrides: {},
      keystore: { 'elasticsearch.password': 'kept' },
      version: '8.15.0',
    })

  for (const text of ['server.ssl.key: x', 'server:\n  ssl.key: x', 'server.ssl: {key: x}']) {
    t.equal(valueAt(read([text]), 'server.ssl.key'), 'x', text)
  }
  t.equal(valueAt(read(['server.ssl.key: a\nserver: {ssl: {key: b}}\n']), 'server.ssl.key'), 'b')
  t.equal(valueAt(read(['server: {ssl: {key: b}}\nserver.ssl.key: a\n']), 'server.ssl.key'), 'a')
  t.equal(valueAt(read(['server.port: 1', 'server: {port: 2}']), 'server.port'), 2)
  t.same(
    valueAt(
      read(['elasticsearch.hosts: [a, b, c]', 'elasticsearch.hosts: [d]']),
      'elasticsearch.hosts',
    ),
    ['d', 'b', 'c'],
    'lists of several files are merged item by item',
  )
  t.equal(valueAt(read(['elasticsearch.password: x']), 'elasticsearch.password'), 'kept')
  t.equal(
    valueAt(read(['server.name: "${A}-$A-${A:x}"'], { A: 'y' }), 'server.name'),
    'y-$A-${A:x}',
  )
  t.same(read(['']), { elasticsearch: { password: 'kept' } })
})

await t.test('the stock file is accepted, whole and with its sections uncommented', async t => {
  const text = readFileSync(STOCK, 'utf8').replace(
    /^#(server\.(port|host|ssl)|elasticsearch)/gm,
    '$1',
  )
  const file = write(t.testdir(), 'kibana.yml', text)
  for (const path of [STOCK, file]) {
    const raw = readRawConfig({
      files: [path],
      env: {},
      overrides: {},
      keystore: {},
      version: '8.15.0',
    })
    validateConfig(raw)
    t.equal(valueAt(raw, 'pid.file'), '/run/kibana/kibana.pid')
    t.equal(valueAt(raw, 'elasticsearch.ssl.verificationMode'), path === STOCK ? undefined : 'full')
  }
})

await t.test('a PKCS#12 store is of RSA throughout and holds one key, or it is none', async t => {
  const directory = t.testdir()
  const ca = createCa(directory)
  issue(ca, 'a')
  const openssl = (...argv: readonly string[]) => execFileSync('openssl', argv, { stdio: 'pipe' })
  const file = (name: string) => join(directory, name)
  const pack = (name: string, password: string) => {
    const pair = [
      '-inkey',
      file(`${name}.key`),
      '-in',
      file(`${name}.crt`),
      '-certfile',
      ca.certFile,
    ]
    const out = ['-out', file(`${name}.p12`), '-passout', `pass:${password}`]
    openssl('pkcs12', '-export', ...pair, ...out)
  }
  const self = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=rsa']
  const names = ['-addext', 'subjectAltName=DNS:localhost', '-days', '10']
  openssl('req', ...self, ...names, '-keyout', file('rsa.key'), '-out', file('rsa.crt'))
  issue(ca, 'by-ec', { rsa: true })
  for (const name of ['rsa', 'by-ec', 'a']) pack(name, 'x')
  const rsaPem = readFileSync(file('rsa.crt'), 'utf8')
  const read =
    (name: string, password = 'x') =>
    () =>
      readSslFiles({ ...NO_FILES, keystore: { path: file(`${name}.p12`), password } })
  const { key = '', cert = '' } = read('rsa')()
  t.equal(new X509Certificate(cert).fingerprint256, fingerprintOf(rsaPem))
  t.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
  t.throws(read('rsa', 'y'), { message: 'PKCS#12 MAC could not be verified. Invalid password?' })
  t.throws(read('a'), { message: 'Did not find private key in keystore at [keystore.path].' })
  t.throws(read('by-ec'), { message: 'Did not find certificate in keystore at [keystore.path].' })
  writeTwoKeys(file('two.p12'), { keyFile: file('rsa.key'), certPem: rsaPem })
  t.throws(read('two'), { message: 'Keystore contains multiple private keys.' })
})

await t.test('kibana-keystore', async t => {
  const directory = t.testdir()
  const run = (argv: readonly string[], input?: string, env: NodeJS.ProcessEnv = {}) =>
    runCommand(process.execPath, [KEYSTORE, ...argv], {
      env: { KBN_PATH_CONF: directory, NODE_COMPILE_CACHE, ...env },
      ...(input === undefined ? {} : { input }),
    })
  const path = join(directory, 'kibana.keystore')
  const missing = "ERROR: Kibana keystore not found. Use 'create' command to create one.\n"

  t.match(await run(['add', 'a', '-x', '-f'], 'x'), { code: 0, stderr: missing })
  t.match(await run(['list']), { code: 0, stderr: missing })
  t.match(await run(['show', 'a']), { code: 255, stderr: missing })
  t.match(await run(['has-passwd']), { code: 1, stderr: 'Error: Keystore not found' })
  t.match(await run(['create']), { code: 0, stdout: `Created Kibana keystore in ${path}\n` })
  t.match(readFileSync(path, 'utf8'), /^1:[A-Za-z0-9+/]+=*$/)
  t.match(await run(['has-passwd']), {
    code: 1,
    stderr: 'Error: Keystore is not password protected',
  })

  await run(['add', 'elasticsearch.password', '--stdin', '--force'], '  s3cret \n')
  await run(['add', 'number', '-x', '-f'], '12345\n')
  await run(['add', 'quoted', '-x', '-f'], '"12345"\n')
  t.same(readKeystore(path, {}), {
    'elasticsearch.password': 's3cret',
    number: 12345,
    quoted: '12345',
  })
  const before = readFileSync(path, 'utf8')
  t.match(
    decrypt(Buffer.from(before.slice(2), 'base64')),
    { quoted: '12345' },
    'as the format has it',
  )
  t.match(await run(['add', 'number', '-x'], '1'), {
    code: 0,
    stdout: 'Setting number already exists, exiting without modifying keystore.\n',
  })
  t.equal(readFileSync(path, 'utf8'), before)
  t.match(await run(['list']), { stdout: 'elasticsearch.password\nnumber\nquoted\n' })
  t.match(await run(['show', 'quoted']), { code: 0, stdout: '12345\n' })
  t.match(await run(['show', 'x']), { code: 255, stderr: "doesn't have requested key" })
  t.match(await run(['create']), { code: 0, stdout: /Exiting without modifying keystore/ })
  t.match(await run(['remove', 'number']), { code: 0 })
  t.same(Object.keys(readKeystore(path, {})), ['elasticsearch.password', 'quoted'])
})

/** As the http.p12 of an automatically configured Elasticsearch: two keys in one store. */
function writeTwoKeys(
  path: string,
  { keyFile, certPem }: { readonly keyFile: string; readonly certPem: string },
): void {
  const { asn1, pkcs12, pki } = forge
  const key = pki.privateKeyFromPem(readFileSync(keyFile, 'utf8'))
  const certificate = pki.certificateFromPem(certPem)
  // forge writes one key only: its bag is put there a second time, and the MAC, wrong now, is left out.
  const store = pkcs12.toPkcs12Asn1(key, certificate, null, { useMac: false })
  const contents = childOf(childOf(childOf(store, 1), 1), 0)
  const safes = asn1.fromDer(bytesOf(contents))
  const keys = childOf(childOf(childOf(safes, 1), 1), 0)
  const bags = asn1.fromDer(bytesOf(keys))
  if (Array.isArray(bags.value)) bags.value.push(...bags.value)
  keys.value = asn1.toDer(bags).getBytes()
  contents.value = asn1.toDer(safes).getBytes()
  writeFileSync(path, asn1.toDer(store).getBytes(), 'latin1')
}

function childOf(node: forge.asn1.Asn1, index: number): forge.asn1.Asn1 {
  const child = Array.isArray(node.value) ? node.value[index] : undefined
  if (child === undefined) throw new Error('no such part')
  return child
}

/** Salt, nonce, tag, text. */
function decrypt(data: Buffer): unknown {
  const key = pbkdf2Sync('', data.subarray(0, 64), 10_000, 32, 'sha512')
  const cipher = createDecipheriv('aes-256-gcm', key, data.subarray(64, 76))
  cipher.setAuthTag(data.subarray(76, 92))
  return JSON.parse(cipher.update(data.subarray(92), undefined, 'utf8') + cipher.final('utf8'))
}

function bytesOf(node: forge.asn1.Asn1): string {
  if (typeof node.value !== 'string') throw new Error('not a string of octets')
  return node.value
}
