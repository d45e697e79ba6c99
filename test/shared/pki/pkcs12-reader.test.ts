import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import forge from 'node-forge'
import t from 'tap'
import * as der from '../../../shared/pki/der.ts'
import { type Pkcs12Contents, writePkcs12 } from '../../../shared/pki/pkcs12.ts'
import { PKCS12_BYTES_MAX } from '../../../shared/pki/pkcs12-bags.ts'
import { limitedWork } from '../../../shared/pki/pkcs12-cipher.ts'
import { deriveKey, macOf, passwordForms } from '../../../shared/pki/pkcs12-kdf.ts'
import { P12 } from '../../../shared/pki/pkcs12-oids.ts'
import { pkcs12Problem, readPkcs12 } from '../../../shared/pki/pkcs12-reader.ts'
import { parseCertificate, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { decryptRc2Cbc } from '../../../shared/pki/rc2.ts'
import { Secret } from '../../../shared/secret.ts'
import { type Material, PASSWORD, createMaterial } from './pkcs12-material.ts'
import { createOpenssl } from './support.ts'

const { ca, leaf, ofType } = createMaterial('reader')
const openssl = createOpenssl()
t.teardown(openssl.remove)
const password = PASSWORD.reveal()
const [ec, rsa] = [leaf(), await ofType('rsa-2048')]

/** What `openssl pkcs12 -export` makes of it. */
function exported(material: Material, options: readonly string[], secret = password): Buffer {
  const out = openssl.file('')
  const input = openssl.file(material.keyPem.reveal() + material.chainPem)
  const args = ['-in', input, '-out', out, '-name', 'http', '-passout', `pass:${secret}`]
  const said = openssl.run(['pkcs12', '-export', ...args, ...options])
  if (said.startsWith('FAILED')) throw new Error(said)
  return readFileSync(out)
}

function codeOf(bytes: Uint8Array, secret = PASSWORD): string {
  const reading = readPkcs12(bytes, secret)
  return reading.kind === 'opened' ? 'opened' : reading.reason.code
}

/** A file whose MAC is right whatever is in it. */
function authentic(safe: Buffer, iterations = 1): Buffer {
  const [form] = passwordForms(PASSWORD)
  if (form === undefined) throw new Error('no form')
  const salt = Buffer.alloc(8)
  // Fewer than none and more than these are refused before they are made.
  const rounds = Math.max(1, Math.min(iterations, 9))
  const digest = macOf(safe, form, { hashName: 'sha1', salt, iterations: rounds })
  const sha1 = der.seq(der.oid('1.3.14.3.2.26'), der.nul())
  const mac = der.seq(der.seq(sha1, der.octet(digest)), der.octet(salt), der.int(iterations))
  return der.encode(der.seq(der.int(3), data(safe), mac))
}

function data(contents: Buffer): der.Der {
  return der.seq(der.oid(P12.data), der.contextSeq(0, der.octet(contents)))
}

function plainSafe(...bags: readonly der.Der[]): Buffer {
  return der.encode(der.seq(data(der.encode(der.seq(...bags)))))
}

function bag(kind: string, value: der.Der, ...attributes: readonly der.Der[]): der.Der {
  return der.seq(der.oid(kind), der.contextSeq(0, value), der.set(...attributes))
}

function name(text: string): der.Der {
  return der.seq(der.oid(P12.friendlyName), der.set(der.bmp(text)))
}

function trustedName(): readonly der.Der[] {
  return [der.seq(der.oid(P12.trustedKeyUsage), der.set(der.oid(P12.anyExtendedKeyUsage)))]
}

function pkcs8Of({ keyPem }: Material): der.Der {
  return der.raw(createPrivateKey(keyPem.reveal()).export({ type: 'pkcs8', format: 'der' }))
}

function certificateBagsOf(attributes: () => readonly der.Der[]): readonly der.Der[] {
  return splitPemCertificates(ec.chainPem).map(pem => {
    const raw = der.octet(parseCertificate(pem).raw)
    const value = der.seq(der.oid(P12.x509Certificate), der.contextSeq(0, raw))
    return bag(P12.certificateBag, value, ...attributes())
  })
}

const keyBag = bag(P12.keyBag, pkcs8Of(ec))
const certificateBags = certificateBagsOf(() => [name('a')])

await t.test('files of OpenSSL are read, whatever they are encrypted with', async t => {
  const options = {
    'the default of OpenSSL 3': [],
    'the default of OpenSSL 1': ['-legacy'],
    'RC2 with 128 bits and DES with two keys':
      '-legacy -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128'.split(' '),
    'PBES2 with other ciphers': ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-192-CBC'],
    'PBES2 with triple DES': ['-keypbe', 'DES-EDE3-CBC', '-certpbe', 'DES-EDE3-CBC'],
    'a MAC with SHA-1': ['-macalg', 'sha1'],
    'a MAC with SHA-512': ['-macalg', 'sha512', '-iter', '10000'],
    'a single round': ['-iter', '1'],
    'a MAC without a number of rounds': ['-nomaciter'],
    'certificates in the clear': ['-certpbe', 'NONE'],
    'a key in the clear': ['-keypbe', 'NONE'],
  }
  for (const material of [ec, rsa])
    for (const [what, args] of Object.entries(options)) {
      const file = exported(material, args)
      t.equal(pkcs12Problem(file, { keys: [material], password: PASSWORD }), undefined, what)
    }
  const unicode = new Secret('pässwörd €')
  const file = exported(ec, [], unicode.reveal())
  t.equal(pkcs12Problem(file, { keys: [ec], password: unicode }), undefined, 'any password')
  const none = new Secret('')
  for (const args of [[], ['-legacy']])
    t.equal(codeOf(exported(ec, args, ''), none), 'opened', 'an empty password')
})

await t.test('files of node-forge are read', async t => {
  const key = createPrivateKey(rsa.keyPem.reveal())
  const profile = {
    kind: 'server',
    names: { dns: ['a.example'], ip: [] },
    clientAuth: false,
  } as const
  const own = ca.make({ profile, key, name: 'a.example' })
  // Its certificates are RSA only; this is what it does with those that it can parse.
  const forged = forge.pki.privateKeyFromPem(rsa.keyPem.reveal())
  const certificate = forge.pki.certificateFromPem(own.pem)
  for (const algorithm of ['3des', 'aes128', 'aes256'] as const) {
    const asn1 = forge.pkcs12.toPkcs12Asn1(forged, [certificate], password, {
      algorithm,
      friendlyName: 'http',
    })
    const file = Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'latin1')
    const wanted = { keys: [{ keyPem: rsa.keyPem, chainPem: own.pem }], password: PASSWORD }
    t.equal(pkcs12Problem(file, wanted), undefined, algorithm)
  }
})

await t.test('a file is what is wanted, or the difference is named', async t => {
  const other = leaf()
  const [leafPem = '', intermediatePem = '', rootPem = ''] = splitPemCertificates(ec.chainPem)
  const wanted = { keys: [ec], trusted: [rootPem], password: PASSWORD }
  const file = writePkcs12(wanted)
  const named = { ...ec, alias: 'http' }
  const equal: readonly Pkcs12Contents[] = [
    wanted,
    { ...wanted, keys: [{ ...ec, alias: 'HTTP' }] },
    { ...wanted, trusted: [rootPem + rootPem], keys: [named] },
    {
      ...wanted,
      keys: [{ ...ec, chainPem: `# comment\n${ec.chainPem.replaceAll('\n', '\r\n')}` }],
    },
  ]
  const different: Readonly<Record<string, Pkcs12Contents>> = {
    'another key': { ...wanted, keys: [other] },
    'another alias': { ...wanted, keys: [{ ...ec, alias: 'node' }] },
    'no root': { ...wanted, trusted: [], keys: [{ ...ec, chainPem: leafPem + intermediatePem }] },
    'another trusted certificate': { ...wanted, trusted: [rootPem, other.chainPem] },
    'no trusted certificate': { ...wanted, trusted: [] },
    'one key more': { ...wanted, keys: [ec, { ...other, alias: 'other' }] },
    'no key': { ...wanted, keys: [] },
  }

  for (const contents of equal) {
    t.equal(pkcs12Problem(file, contents), undefined)
    t.equal(pkcs12Problem(writePkcs12(contents), wanted), undefined)
  }
  for (const [what, contents] of Object.entries(different)) {
    t.match(pkcs12Problem(file, contents), { code: 'pkcs12-differs' }, what)
    t.match(pkcs12Problem(writePkcs12(contents), wanted), { code: 'pkcs12-differs' }, what)
  }
  const extra = exported(ec, ['-certfile', openssl.file(other.chainPem)])
  t.match(pkcs12Problem(extra, { keys: [ec], password: PASSWORD }), { code: 'pkcs12-differs' })
  const second = bag(P12.keyBag, pkcs8Of(other))
  const naked = authentic(plainSafe(keyBag, ...certificateBags, second))
  const alone = { keys: [{ ...ec, alias: '1' }], password: PASSWORD }
  t.match(pkcs12Problem(naked, alone), { code: 'pkcs12-differs' }, 'a key without certificate')
  const wrong = { ...wanted, password: new Secret('wrong') }
  t.match(pkcs12Problem(file, wrong), { code: 'pkcs12-wrong-password' })
})

await t.test('a wrong password is told from a damaged file', async t => {
  for (const file of [
    writePkcs12({ keys: [ec], password: PASSWORD }),
    exported(rsa, ['-legacy']),
  ]) {
    t.equal(codeOf(file, new Secret('wrong')), 'pkcs12-wrong-password')
    t.equal(codeOf(file, new Secret('')), 'pkcs12-wrong-password')
    // The encrypted certificates come first, the MAC last.
    for (const position of [200, file.length - 50]) {
      const damaged = Buffer.from(file)
      damaged[position] = (damaged[position] ?? 0) ^ 1
      t.equal(codeOf(damaged), 'pkcs12-damaged', `byte ${position} of ${file.length}`)
    }
    t.equal(codeOf(file.subarray(0, -1)), 'pkcs12-damaged')
    t.equal(codeOf(Buffer.concat([file, Buffer.of(0)])), 'pkcs12-damaged')
  }
  t.equal(codeOf(Buffer.alloc(0)), 'pkcs12-damaged')
  t.equal(codeOf(Buffer.alloc(PKCS12_BYTES_MAX + 1, 0x30)), 'pkcs12-damaged')
  t.equal(codeOf(Buffer.from(ec.chainPem)), 'pkcs12-damaged', 'PEM')
})

await t.test('keys and certificates without names or ids still find each other', async t => {
  const reading = readPkcs12(authentic(plainSafe(keyBag, ...certificateBags)), PASSWORD)
  const keys = reading.kind === 'opened' ? reading.keys : []
  t.match(keys, [{ alias: '1', chainPem: ec.chainPem }])

  const [leafBag] = certificateBagsOf(trustedName)
  const trusted = readPkcs12(authentic(plainSafe(keyBag, ...(leafBag ? [leafBag] : []))), PASSWORD)
  t.match(trusted, { kind: 'opened', keys: [{ chainPem: '' }] }, 'Java gives it to no key')

  const lonely = readPkcs12(authentic(plainSafe(keyBag)), PASSWORD)
  t.match(lonely, { kind: 'opened', keys: [{ chainPem: '' }], certificates: [] })
  t.match(readPkcs12(authentic(plainSafe()), PASSWORD), { kind: 'opened', keys: [] })
})

await t.test('what is not understood is refused with a reason, at no great cost', async t => {
  t.equal(codeOf(exported(ec, ['-nomac'])), 'pkcs12-unprotected')
  const safe = plainSafe(keyBag)
  const unsupported = {
    'more rounds than anybody has time for': authentic(safe, 2 ** 31 - 1),
    'no round': authentic(safe, 0),
    'a bag with a password in it': authentic(
      plainSafe(bag('1.2.840.113549.1.12.10.1.5', der.seq())),
    ),
    'a key of an unknown kind': authentic(plainSafe(bag(P12.keyBag, der.seq()))),
    'a part that is not encrypted with a password': authentic(
      der.encode(der.seq(der.seq(der.oid('1.2.840.113549.1.7.3'), der.contextSeq(0, der.seq())))),
    ),
    'another version': der.encode(der.seq(der.int(4), data(safe))),
    'a signature instead of a MAC': der.encode(
      der.seq(der.int(3), der.seq(der.oid('1.2.840.113549.1.7.2'), der.contextSeq(0, der.seq()))),
    ),
  }
  for (const [what, file] of Object.entries(unsupported))
    t.equal(codeOf(file), 'pkcs12-unsupported', what)
  t.equal(codeOf(exported(ec, ['-keypbe', 'PBE-SHA1-RC4-128', '-legacy'])), 'pkcs12-unsupported')

  const work = limitedWork()
  work.spend(2_000_000, 'pbkdf2')
  t.throws(() => work.spend(2_000_000, 'pbkdf2'), { code: 'pkcs12-unsupported' }, 'in all')
})

await t.test(
  'cut or changed files are opened or refused, and never make the reader throw',
  async t => {
    const files = [[], ['-legacy'], ['-keypbe', 'NONE', '-certpbe', 'NONE']].map(args =>
      exported(ec, ['-iter', '1', ...args]),
    )
    for (const file of files)
      for (let length = 0; length < file.length; length += 1)
        if (codeOf(file.subarray(0, length)) !== 'pkcs12-damaged') t.fail(`cut to ${length} bytes`)

    const safe = plainSafe(keyBag, ...certificateBags)
    const originals = [...files, safe]
    const codes = new Set<string>()
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      value: fc.oneof(fc.constantFrom(0, 0x80, 0x82, 0xff, 0x1f, 0x30), fc.nat(255)),
    })
    fc.assert(
      fc.property(
        fc.constantFrom(...originals),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (original, changes) => {
          const mutant = Buffer.from(original)
          for (const { at, value } of changes) mutant[Math.floor(at * mutant.length)] = value
          codes.add(codeOf(original === safe ? authentic(mutant) : mutant))
          return true
        },
      ),
      { numRuns: 2000 },
    )
    t.ok(
      codes.has('opened') && codes.has('pkcs12-damaged'),
      'the changes were neither all noise nor all harmless',
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => codeOf(bytes) !== 'opened'))
  },
)

await t.test('keys are derived as RFC 7292 says, compared with node-forge', async t => {
  const [form] = passwordForms(PASSWORD)
  if (form === undefined) return
  const purposes = [
    ['key', 1],
    ['iv', 2],
    ['mac', 3],
  ] as const
  fc.assert(
    fc.property(
      fc.constantFrom(...purposes),
      fc.constantFrom('sha1', 'sha256', 'sha512'),
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 100 }),
      ([purpose, id], hashName, salt, iterations, bytes) => {
        const ours = deriveKey({ purpose, hashName, password: form, salt, iterations, bytes })
        const buffer = forge.util.createBuffer(Buffer.from(salt).toString('latin1'))
        const md = forge.md[hashName].create()
        // The published types do not know the last parameter.
        const generate: unknown = forge.pkcs12.generateKey
        if (typeof generate !== 'function') return false
        const theirs: unknown = generate(password, buffer, id, iterations, bytes, md)
        return (
          theirs instanceof forge.util.ByteStringBuffer && theirs.toHex() === ours.toString('hex')
        )
      },
    ),
  )
  t.pass()
})

await t.test('RC2 refuses text that cannot be its own', async t => {
  const [key, iv] = [Buffer.alloc(16), Buffer.alloc(8)]
  t.equal(decryptRc2Cbc(key, iv, Buffer.alloc(0)), undefined)
  t.equal(decryptRc2Cbc(key, iv, Buffer.alloc(7)), undefined)
  // RFC 2268: of zeros under this key; no padding, therefore refused.
  const known = Buffer.from('88bca90e90875a7f0f79c384627bafb2', 'hex')
  t.equal(decryptRc2Cbc(known, iv, Buffer.from('2269552ab0f85ca6', 'hex')), undefined)
  // The same with an IV that turns the zeros into padding.
  const padding = Buffer.alloc(8, 8)
  t.same(decryptRc2Cbc(known, padding, Buffer.from('2269552ab0f85ca6', 'hex')), Buffer.alloc(0))
})
