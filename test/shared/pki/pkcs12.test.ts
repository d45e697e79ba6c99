import { createPrivateKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import forge from 'node-forge'
import t from 'tap'
import { writePkcs12 } from '../../../shared/pki/pkcs12.ts'
import { pkcs12Problem, readPkcs12 } from '../../../shared/pki/pkcs12-reader.ts'
import { Secret } from '../../../shared/secret.ts'
import { PASSWORD, createMaterial, fingerprints, servedChain } from './pkcs12-material.ts'
import { createOpenssl, seededRandom } from './support.ts'

const { ca, leaf, ofType } = createMaterial('writer')
const openssl = createOpenssl()
t.teardown(openssl.remove)
const password = PASSWORD.reveal()
const [ec, rsa] = await Promise.all([ofType('ec-p256'), ofType('rsa-2048')])

await t.test(
  'what is written is read back, and only its bytes differ from time to time',
  async t => {
    const contents = { keys: [ec], trusted: [ca.root.pem], password: PASSWORD }

    const first = writePkcs12(contents)
    const second = writePkcs12(contents)

    t.notOk(first.equals(second), 'salts are random')
    t.ok(writePkcs12(contents, seededRandom('a')).equals(writePkcs12(contents, seededRandom('a'))))
    t.equal(pkcs12Problem(first, contents), undefined)
    t.equal(pkcs12Problem(second, contents), undefined)
    const reading = readPkcs12(first, PASSWORD)
    const [key] = reading.kind === 'opened' ? reading.keys : []
    t.match(key, { alias: 'http', chainPem: ec.chainPem })
    t.equal(key?.keyPem.reveal(), ec.keyPem.reveal())
    t.same(
      reading.kind === 'opened' && reading.certificates.map(one => [one.alias, one.trusted]),
      [
        ['http', false],
        [undefined, false],
        [`ca-${fingerprints(ca.root.pem)[0]?.slice(0, 16)}`, true],
      ],
      'every certificate is there once',
    )
  },
)

await t.test('OpenSSL 3 opens it without its legacy algorithms', async t => {
  for (const material of [ec, rsa]) {
    const file = openssl.file('')
    writeFileSync(
      file,
      writePkcs12({ keys: [{ ...material, alias: 'node-1.http' }], password: PASSWORD }),
    )
    const open = (...args: readonly string[]) =>
      openssl.run(['pkcs12', '-in', file, '-passin', `pass:${password}`, '-nodes', ...args])

    t.same(fingerprints(open('-nokeys')), fingerprints(material.chainPem))
    const key = open('-nocerts')
    t.match(key, /friendlyName: node-1\.http$/m)
    t.ok(key.includes(material.keyPem.reveal().trim()), 'the same key in the same form')
    const localKeyId = /localKeyID: (.*)/
    t.equal(localKeyId.exec(key)?.[1], localKeyId.exec(open('-nokeys', '-clcerts'))?.[1])
    t.match(openssl.run(['pkcs12', '-in', file, '-passin', 'pass:x', '-noout']), /invalid password/)
  }
})

await t.test('Node serves it', async t => {
  for (const material of [ec, rsa]) {
    const pfx = writePkcs12({ keys: [material], password: PASSWORD })
    const server = createServer({ pfx, passphrase: password }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const address: AddressInfo | string | null = server.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0

    t.same(await servedChain(port), fingerprints(material.chainPem))
    server.close()
  }
})

await t.test('node-forge, which Kibana reads with, opens one with an RSA key', async t => {
  const profile = {
    kind: 'server',
    names: { dns: ['a.example'], ip: [] },
    clientAuth: false,
  } as const
  const key = createPrivateKey(rsa.keyPem.reveal())
  const own = ca.make({ profile, key, name: 'a.example' })
  const material = { keyPem: rsa.keyPem, chainPem: own.pem }
  const file = writePkcs12({ keys: [material], password: PASSWORD })

  const asn1 = forge.asn1.fromDer(file.toString('latin1'))
  const p12 = forge.pkcs12.pkcs12FromAsn1(asn1, true, password)

  const { friendlyName = [] } = p12.getBags({ friendlyName: 'http' })
  t.equal(friendlyName.length, 2, 'key and certificate')
  const certificates = friendlyName.flatMap(({ cert }) => cert ?? [])
  t.same(fingerprints(certificates.map(one => forge.pki.certificateToPem(one)).join('')), [
    ...fingerprints(own.pem),
  ])
  const keys = friendlyName.flatMap(bag => bag.key ?? [])
  t.same(
    keys.map(one => createPrivateKey(forge.pki.privateKeyToPem(one)).equals(key)),
    [true],
  )
})

await t.test('what no product could open is not written', async t => {
  const write = (text: string) => () => writePkcs12({ keys: [ec], password: new Secret(text) })
  for (const text of ['', 'pässword', 'tab\tin it', 'line\n'])
    t.throws(write(text), { code: 'pkcs12-password-unusable' }, JSON.stringify(text))

  const [one, other] = [leaf(), leaf()]
  const crossed = { keyPem: one.keyPem, chainPem: other.chainPem }
  t.throws(() => writePkcs12({ keys: [crossed], password: PASSWORD }), { code: 'key-mismatch' })
  t.throws(() => writePkcs12({ keys: [{ ...one, chainPem: '' }], password: PASSWORD }), {
    code: 'key-mismatch',
  })
  const twice = [one, { ...other, alias: 'HTTP' }]
  t.throws(() => writePkcs12({ keys: twice, password: PASSWORD }), /share an alias/)
  const same = [one, { ...one, alias: 'b' }]
  t.throws(() => writePkcs12({ keys: same, password: PASSWORD }), /share a certificate/)
})
