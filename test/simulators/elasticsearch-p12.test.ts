// PKCS#12 of the Elasticsearch simulator: what Java reads of a file, whoever wrote it.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runCommand } from '../lab/command.ts'
import { createCa, issue } from './certificates.ts'
import { keyEntry, trustedEntry } from './elasticsearch-scene.ts'
import { readP12 } from './elasticsearch/p12.ts'
import { writeP12 } from './elasticsearch/p12-writer.ts'

const PASSWORD = 'pässword'
const passwords = { store: PASSWORD, key: PASSWORD }

await t.test('files that OpenSSL writes', async t => {
  const directory = t.testdir()
  const ca = createCa(directory)
  const variants = [
    ['the default', []],
    [
      '3DES and SHA-1',
      ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
    ],
    ['RC2', ['-legacy']],
    [
      'AES-128 and SHA-512',
      ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'sha512'],
    ],
  ] as const
  for (const leaf of [issue(ca, 'ec'), issue(ca, 'rsa', { rsa: true })]) {
    for (const [name, options] of variants) {
      const file = join(directory, 'x.p12')
      const argv = ['pkcs12', '-export', '-inkey', leaf.keyFile, '-in', leaf.certFile]
      const more = [
        '-certfile',
        ca.certFile,
        '-name',
        'HTTP',
        '-passout',
        `pass:${PASSWORD}`,
        '-out',
        file,
      ]
      const { code, stderr } = await runCommand('openssl', [...argv, ...more, ...options])
      if (code !== 0 && name === 'RC2') {
        t.pass('', { skip: `this openssl has no legacy algorithms: ${stderr.slice(0, 100)}` })
        continue
      }
      const bytes = readFileSync(file)
      const [entry, ...others] = readP12(bytes, passwords)
      t.same(others, [], `${name}: a certificate of a CA without an attribute is no entry`)
      if (entry?.kind !== 'key') throw new Error('no key')
      t.equal(entry.alias, 'http')
      t.same(
        entry.chain.map(({ subject }) => subject),
        [leaf, ca].map(({ certPem }) => new X509Certificate(certPem).subject),
      )
      t.ok(entry.chain[0]?.checkPrivateKey(entry.key))
      t.throws(() => readP12(bytes, { store: 'wrong', key: 'wrong' }), {
        message: /password was incorrect/,
      })
    }
  }
})

await t.test('files with several keys and trusted certificates', async t => {
  const directory = t.testdir()
  const ca = createCa(directory)
  const leaf = issue(ca, 'leaf')
  const entries = [keyEntry('http_ca', ca), keyEntry('http', leaf, ca), trustedEntry('root', ca)]
  const file = join(directory, 'several.p12')
  writeFileSync(file, writeP12(entries, { password: PASSWORD }))

  t.same(
    readP12(readFileSync(file), passwords).map(entry => [
      entry.kind,
      entry.alias,
      entry.kind === 'key' ? entry.chain.length : 0,
    ]),
    [
      ['key', 'http_ca', 1],
      ['key', 'http', 2],
      ['trusted', 'root', 0],
    ],
  )
  const openssl = await runCommand('openssl', [
    'pkcs12',
    '-in',
    file,
    '-nodes',
    '-passin',
    `pass:${PASSWORD}`,
  ])
  t.equal(openssl.stdout.match(/BEGIN PRIVATE KEY/g)?.length, 2, openssl.stderr)
  t.equal(openssl.stdout.match(/BEGIN CERTIFICATE/g)?.length, 3)

  t.same(readP12(writeP12(entries, { password: PASSWORD, mac: false }), passwords), [])
  const other = writeP12([keyEntry('http', leaf)], { password: PASSWORD, keyPassword: 'other' })
  t.throws(() => readP12(other, passwords), { message: /^Get Key failed/ })
  t.equal(readP12(other, { store: PASSWORD, key: 'other' }).length, 1)
  t.throws(() => readP12(Buffer.from('hello'), passwords), { message: /rejects tag type/ })
  const empty = writeP12([keyEntry('http', leaf)], { password: '' })
  t.equal(readP12(empty, { store: '', key: '' }).length, 1, 'no password is a password')
})

await t.test('a real Java reads the same entries', async t => {
  const directory = t.testdir()
  const ca = createCa(directory)
  const leaf = issue(ca, 'leaf')
  const keytool = await runCommand('keytool', ['-help']).catch(() => undefined)
  if (keytool === undefined) {
    t.pass('', { skip: 'there is no keytool' })
    return
  }
  const file = join(directory, 'x.p12')
  const entries = [keyEntry('http_ca', ca), keyEntry('http', leaf, ca), trustedEntry('root', ca)]
  writeFileSync(file, writeP12(entries, { password: 'password' }))
  const argv = ['-list', '-v', '-keystore', file, '-storepass', 'password']
  const { stdout } = await runCommand('keytool', argv, { env: { ...process.env, LC_ALL: 'C' } })
  t.match(stdout, /contains 3 entries/)
  const listed = stdout.match(/^(Alias name|Entry type|Certificate chain length): .*$/gm) ?? []
  t.same(
    listed
      .join('\n')
      .split(/\n?Alias name: /)
      .slice(1)
      .toSorted(),
    [
      'http\nEntry type: PrivateKeyEntry\nCertificate chain length: 2',
      'http_ca\nEntry type: PrivateKeyEntry\nCertificate chain length: 1',
      'root\nEntry type: trustedCertEntry',
    ],
  )

  // And the other way round.
  const made = join(directory, 'made.p12')
  const generate = ['-genkeypair', '-alias', 'Mine', '-keyalg', 'EC', '-dname', 'CN=mine']
  await runCommand('keytool', [...generate, '-keystore', made, '-storepass', 'password'])
  const trust = ['-importcert', '-noprompt', '-alias', 'root', '-file', ca.certFile]
  await runCommand('keytool', [...trust, '-keystore', made, '-storepass', 'password'])
  const read = readP12(readFileSync(made), { store: 'password', key: 'password' })
  t.same(
    read.map(({ kind, alias }) => [kind, alias]),
    [
      ['key', 'mine'],
      ['trusted', 'root'],
    ],
  )
})

await t.test('a leaf of another key is not corrected', t => {
  const ca = createCa(t.testdir())
  const [a, b] = [issue(ca, 'a'), issue(ca, 'b')]
  const chain = [new X509Certificate(a.certPem)]
  const entry = { kind: 'key', alias: 'x', key: createPrivateKey(b.keyPem), chain } as const
  const [read] = readP12(writeP12([entry], { password: 'x' }), { store: 'x', key: 'x' })
  t.match(read, { kind: 'key', chain: { length: 1 } })
  t.end()
})
