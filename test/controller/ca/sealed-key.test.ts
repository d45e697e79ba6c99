import fc from 'fast-check'
import t from 'tap'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { Secret } from '../../../shared/secret.ts'
import { seededRandom } from '../../shared/pki/support.ts'

const random = seededRandom('sealed')
const sealing = createSealing(new Secret('correct horse'))
const canary = 'canary-private-key ü'
const sealed = sealing.seal(new Secret(canary), { purpose: 'service-root', random })

await t.test('a sealed key opens with its passphrase and purpose', async t => {
  t.equal(sealing.open(sealed, { purpose: 'service-root' }).reveal(), canary)
  const later = createSealing(new Secret('correct horse'))
  t.equal(later.open(sealed, { purpose: 'service-root' }).reveal(), canary, 'in another process')
  t.notMatch(sealed, /canary|horse/)
  t.throws(() => sealing.open(sealed, { purpose: 'identity-root' }), {
    code: 'sealed-key-tampered',
  })
  t.throws(() => createSealing(new Secret('wrong')).open(sealed, { purpose: 'service-root' }), {
    code: 'wrong-passphrase',
  })
})

await t.test('one derivation serves all keys of a process, with a new nonce for each', async t => {
  const salts = new Set<string>()
  const nonces = new Set<string>()
  for (const purpose of ['a', 'b', 'c', 'd']) {
    const { kdf, nonce } = JSON.parse(sealing.seal(new Secret('same'), { purpose, random }))
    salts.add(kdf.salt)
    nonces.add(nonce)
  }
  t.equal(salts.size, 1)
  t.equal(nonces.size, 4)
})

await t.test('no changed byte of an envelope opens, and every refusal has a code', async t => {
  const codes = new Set<string>()
  fc.assert(
    fc.property(
      fc.nat(sealed.length - 1),
      fc.constantFrom('A', 'z', '0', '"', '}', ' '),
      (position, character) => {
        // Another salt is another derivation, 60 ms each; the salt has an example of its own below.
        const saltAt = sealed.indexOf('"salt":')
        if (sealed[position] === character || (position >= saltAt && position < saltAt + 34))
          return true
        const changed = sealed.slice(0, position) + character + sealed.slice(position + 1)
        try {
          const opened = sealing.open(changed, { purpose: 'service-root' })
          // The readable purpose is a label; the one that counts is that of the caller.
          return opened.reveal() === canary && JSON.parse(changed).purpose !== 'service-root'
        } catch (error) {
          if (!(error instanceof OperationalError)) return false
          codes.add(error.code)
          return !String(error).includes('canary')
        }
      },
    ),
    { numRuns: 1500 },
  )
  t.same([...codes].toSorted(), ['sealed-key-malformed', 'sealed-key-tampered', 'wrong-passphrase'])
})

await t.test(
  'parameters that the version does not have are refused before they cost anything',
  async t => {
    const envelope = JSON.parse(sealed)
    for (const change of [
      { version: 2 },
      { kdf: { ...envelope.kdf, N: 2 ** 30 } },
      { kdf: { ...envelope.kdf, N: 2 } },
      { kdf: { ...envelope.kdf, name: 'pbkdf2' } },
      { kdf: { ...envelope.kdf, salt: 'AAAA' } },
      { kdf: null },
      { cipher: 'aes-256-cbc' },
      { tag: 'AAAA' },
      { nonce: undefined },
      { ciphertext: 7 },
    ])
      t.throws(
        () => sealing.open(JSON.stringify({ ...envelope, ...change }), { purpose: 'service-root' }),
        { code: 'sealed-key-malformed' },
        JSON.stringify(change),
      )
    for (const text of ['', '[]', 'null', '{}', ' '.repeat(100_000)])
      t.throws(() => sealing.open(text, { purpose: 'x' }), { code: 'sealed-key-malformed' })
    const otherSalt = {
      ...envelope,
      kdf: { ...envelope.kdf, salt: Buffer.alloc(16).toString('base64') },
    }
    t.throws(() => sealing.open(JSON.stringify(otherSalt), { purpose: 'service-root' }), {
      code: 'wrong-passphrase',
    })
  },
)
