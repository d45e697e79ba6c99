import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  generateKey,
  isSameKey,
  keyTypeOf,
  parsePrivateKey,
  parsePublicKey,
  publicKeyDigest,
  weakKeyReason,
} from '../../../shared/pki/keys.ts'
import { signProof, verifyProof } from '../../../shared/pki/proof.ts'
import { serialNumber } from '../../../shared/pki/random.ts'
import { Secret } from '../../../shared/secret.ts'
import { ecKey, keyPemOf, seededRandom } from './support.ts'

await t.test('a generated key is a pair, and its private half does not print', async t => {
  for (const type of ['ec-p256', 'rsa-2048'] as const) {
    const pair = await generateKey(type)
    const privateKey = parsePrivateKey(pair.privateKeyPem)

    t.equal(keyTypeOf(privateKey), type)
    t.match(pair.privateKeyPem.reveal(), /^-----BEGIN PRIVATE KEY-----\n/)
    t.equal(publicKeyDigest(privateKey), publicKeyDigest(pair.publicKeyPem))
    t.equal(weakKeyReason(parsePublicKey(pair.publicKeyPem)), undefined)
    t.notMatch(JSON.stringify(pair), /PRIVATE/)
  }
})

await t.test('keys that cannot be read say why, and never quote the key', async t => {
  const encrypted = ecKey().export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  t.throws(() => parsePrivateKey(new Secret(encrypted.toString())), { code: 'key-encrypted' })
  const traditional = ecKey().export({
    type: 'sec1',
    format: 'pem',
    cipher: 'aes-128-cbc',
    passphrase: 'x',
  })
  t.throws(() => parsePrivateKey(new Secret(traditional.toString())), { code: 'key-encrypted' })
  t.throws(() => parsePrivateKey(new Secret('canary-secret')), { code: 'key-unparsable' })
  t.throws(
    () => parsePublicKey(keyPemOf(ecKey())),
    { code: 'key-unparsable' },
    'a private key is no public key',
  )
  t.throws(() => parsePublicKey('-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----'), {
    code: 'key-unparsable',
  })
  t.ok(parsePrivateKey(new Secret(ecKey().export({ type: 'sec1', format: 'pem' }).toString())))
})

await t.test('weak keys are told from good ones', async t => {
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey
  t.equal(weakKeyReason(ec('P-384')), undefined)
  t.equal(weakKeyReason(ec('P-521')), undefined)
  t.match(weakKeyReason(ec('secp256k1')), { code: 'weak-key' })
  t.match(weakKeyReason(generateKeyPairSync('ed25519').publicKey), {
    code: 'weak-key',
    message: /ed25519/,
  })
  t.match(weakKeyReason(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), {
    message: /1024 bits/,
  })

  const odd = (1n << 2047n) + 12_345_679n
  t.equal(weakKeyReason(rsaKey(odd)), undefined)
  t.match(weakKeyReason(rsaKey(odd, 3n)), { message: /exponent 3/ })
  t.match(weakKeyReason(rsaKey(odd, 65_538n)), { message: /exponent/ })
  t.match(weakKeyReason(rsaKey(odd, 2n ** 32n + 1n)), { message: /exponent/ })
  t.match(weakKeyReason(rsaKey(odd + 1n)), { message: /even modulus/ })
  t.match(weakKeyReason(rsaKey((1n << 8199n) + 1n)), { message: /more than 8192/ })
})

await t.test('a modulus with the ROCA fingerprint is refused', async t => {
  const product = [
    11n,
    13n,
    17n,
    19n,
    37n,
    53n,
    61n,
    71n,
    73n,
    79n,
    97n,
    103n,
    107n,
    109n,
    127n,
    151n,
    157n,
  ].reduce((all, prime) => all * prime, 2n)
  // A power of 65537 modulo the product of the primes, as the faulty library made them.
  const power = 65_537n ** 5n % product
  const modulus = ((1n << 2047n) / product + 1n) * product + power

  t.match(weakKeyReason(rsaKey(modulus)), { code: 'weak-key', message: /ROCA/ })
})

function rsaKey(modulus: bigint, exponent = 65_537n): KeyObject {
  const base64url = (value: bigint) => {
    const hex = value.toString(16)
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
  }
  const key = { kty: 'RSA', n: base64url(modulus), e: base64url(exponent) }
  return createPublicKey({ key, format: 'jwk' })
}

await t.test('a proof is good for its key, purpose and context, and for nothing else', async t => {
  const key = ecKey()
  const publicKey = createPublicKey(key)
  const subject = { purpose: 'sign', context: ['node-1', 'influxdb'] } as const
  const proof = signProof({ ...subject, key })

  t.ok(verifyProof({ ...subject, publicKey, proof }))
  t.notOk(verifyProof({ ...subject, publicKey: createPublicKey(ecKey()), proof }), 'another key')
  t.notOk(verifyProof({ ...subject, purpose: 'renew', publicKey, proof }), 'another purpose')
  for (const context of [
    ['node-1'],
    ['node-1', 'influxdb', ''],
    ['influxdb', 'node-1'],
    ['node-1\ninfluxdb'],
  ])
    t.notOk(
      verifyProof({ ...subject, context, publicKey, proof }),
      `context ${JSON.stringify(context)}`,
    )
  t.notOk(verifyProof({ ...subject, publicKey, proof: '' }))
  t.notOk(verifyProof({ ...subject, publicKey, proof: 'A'.repeat(4000) }))
  t.notOk(verifyProof({ ...subject, publicKey, proof: `${proof}\n` }))
  const ed25519 = generateKeyPairSync('ed25519').publicKey
  t.notOk(
    verifyProof({ ...subject, publicKey: ed25519, proof }),
    'a key that cannot make such proofs',
  )
  t.throws(() => signProof({ purpose: 'enroll', context: ['a\nb'], key }), /one line/)
})

await t.test('no changed byte of a proof verifies', async () => {
  const key = ecKey()
  const publicKey = createPublicKey(key)
  const subject = { purpose: 'enroll', context: ['token'] } as const
  const proof = Buffer.from(signProof({ ...subject, key }), 'base64')
  fc.assert(
    fc.property(fc.nat(proof.length - 1), fc.integer({ min: 1, max: 255 }), (position, flip) => {
      const changed = Buffer.from(proof)
      changed[position] = (changed[position] ?? 0) ^ flip
      return !verifyProof({ ...subject, publicKey, proof: changed.toString('base64') })
    }),
  )
})

await t.test('a serial number is positive, 16 bytes long, and random', async t => {
  const random = seededRandom('serials')
  const serials = Array.from({ length: 500 }, () => Buffer.from(serialNumber(random)))
  t.ok(serials.every(serial => serial.length === 16 && ((serial[0] ?? 0) & 0xc0) === 0x40))
  t.equal(new Set(serials.map(serial => serial.toString('hex'))).size, 500)
  t.same(serialNumber(() => new Uint8Array(16).fill(0xff))[0], 0x7f)
})

await t.test('an RSA key proves possession too', async t => {
  const { privateKeyPem, publicKeyPem } = await generateKey('rsa-2048')
  const subject = { purpose: 'renew', context: [] } as const
  const proof = signProof({ ...subject, key: createPrivateKey(privateKeyPem.reveal()) })
  t.ok(verifyProof({ ...subject, publicKey: parsePublicKey(publicKeyPem), proof }))
})

await t.test('keys of two kinds are not the same, and comparing them leaves nothing behind', t => {
  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = keyPemOf(ecKey())
  const ec = createPrivateKey(pem)

  t.equal(isSameKey(createPublicKey(rsa), createPublicKey(ec)), false)

  // KeyObject.equals would have left an error behind that this one runs into.
  t.ok(isSameKey(parsePrivateKey(new Secret(pem)), createPublicKey(ec)))
  t.end()
})
