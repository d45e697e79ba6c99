import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { OperationalError } from '../../../shared/errors.ts'
import * as der from '../../../shared/pki/der.ts'
import {
  DER_BYTES_MAX,
  type DerValue,
  bitsOf,
  booleanOf,
  oidOf,
  readDer,
  smallIntegerOf,
} from '../../../shared/pki/der-reader.ts'
import { certificateDetails } from '../../../shared/pki/extensions.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { createTestCa } from './support.ts'

const hex = (value: der.Der) => der.encode(value).toString('hex')
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

await t.test('values are encoded as X.690 says', async t => {
  t.equal(hex(der.int(0)), '020100')
  t.equal(hex(der.int(128)), '02020080')
  t.equal(hex(der.int(Uint8Array.of(0, 0, 0xff))), '020200ff')
  t.equal(hex(der.bool(true)), '0101ff')
  t.equal(hex(der.nul()), '0500')
  t.equal(hex(der.oid('2.5.29.17')), '0603551d11')
  t.equal(hex(der.oid('1.2.840.113549.1.1.11')), '06092a864886f70d01010b')
  t.equal(hex(der.utf8('ü')), '0c02c3bc')
  t.equal(hex(der.ia5('a')), '160161')
  t.equal(hex(der.bmp('ab')), '1e0400610062')
  t.equal(hex(der.namedBits([0])), '03020780', 'trailing zero bits are left out')
  t.equal(hex(der.namedBits([5, 6])), '03020106')
  t.equal(hex(der.context(2, Buffer.from('a'))), '820161')
  t.equal(hex(der.contextSeq(3, der.nul())), 'a3020500')
  t.equal(hex(der.set(der.int(2), der.int(1))), '3106020101020102', 'a set is sorted')
  t.equal(hex(der.octet(Buffer.alloc(200))).slice(0, 6), '0481c8', 'long lengths are minimal')
})

await t.test('years until 2049 are UTCTime, later ones GeneralizedTime', async t => {
  const text = (atMs: number) => der.encode(der.time(atMs)).subarray(2).toString()
  t.equal(text(Date.UTC(2049, 11, 31, 23, 59, 59)), '491231235959Z')
  t.equal(text(Date.UTC(2050, 0, 1)), '20500101000000Z')
  t.equal(der.encode(der.time(Date.UTC(2050, 0, 1)))[0], 0x18)
  t.throws(() => der.time(Date.UTC(2026, 0, 1) + 1), /whole seconds/)
})

await t.test('the builder refuses what it could not encode faithfully', async t => {
  t.throws(() => der.oid('1.x'))
  t.throws(() => der.int(-1))
  t.throws(() => der.ia5('ü'))
  t.throws(() => der.context(2, Buffer.from([0, 1])))
  t.throws(() => der.raw(bytes('0500 00')), { code: 'der-malformed' })
})

await t.test('what the builder makes, the reader reads back', async t => {
  fc.assert(
    fc.property(
      fc.nat(2 ** 31 - 1),
      fc.boolean(),
      fc.uint8Array({ maxLength: 300 }),
      (number, flag, blob) => {
        const encoded = der.encode(der.seq(der.int(number), der.bool(flag), der.octet(blob)))
        const [first, second, third] = readDer(encoded).children
        return (
          first !== undefined &&
          smallIntegerOf(first) === number &&
          second !== undefined &&
          booleanOf(second) === flag &&
          third?.content.equals(blob) === true &&
          der.encode(der.raw(encoded)).equals(encoded)
        )
      },
    ),
  )
  const arcs = fc.array(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(fc.nat(2), fc.nat(39), arcs, (first, second, rest) => {
      const dotted = [first, second, ...rest].join('.')
      return oidOf(readDer(der.encode(der.oid(dotted)))) === dotted
    }),
  )
  t.equal(oidOf(readDer(der.encode(der.oid('2.999.3')))), '2.999.3')
  t.same(bitsOf(readDer(der.encode(der.namedBits([0, 5, 8])))), [0, 5, 8])
})

await t.test('the reader accepts one encoding per value only', async t => {
  const refused = {
    'nothing at all': '',
    'a tag without length': '30',
    'bytes behind the value': '0500 00',
    'content that is cut off': '0402 00',
    'an indefinite length': '3080 0500 0000',
    'a length with a zero in front': '0482 0001 00',
    'a long length that fits the short form': '0481 01 00',
    'a length of four bytes': '0484 00000001 00',
    'a child that reaches beyond its parent': '3003 0402 00',
    'a high tag number': '1f 1f 00',
    'the reserved tag': '00 00',
    'a primitive sequence': '10 00',
    'a constructed octet string': '24 02 0400',
    'a boolean of one': '0101 01',
    'an empty boolean': '0100',
    'an empty integer': '0200',
    'an integer with padding': '0202 0001',
    'a negative integer with padding': '0202 ffff',
    'a bit string without count': '0300',
    'a bit string with nine unused bits': '0302 0900',
    'an empty bit string with unused bits': '0301 01',
    'a bit string with unused bits set': '0302 01 01',
    'a null with content': '0501 00',
    'an empty object identifier': '0600',
    'an object identifier that is cut off': '0601 80',
  }
  for (const [what, text] of Object.entries(refused))
    t.throws(() => readDer(bytes(text)), { code: 'der-malformed' }, what)
  t.throws(() => oidOf(readDer(bytes('0602 8001'))), { code: 'der-malformed' }, 'padding in an arc')
  t.throws(
    () => oidOf(readDer(bytes(`0608 2a ${'ff'.repeat(6)} 7f`))),
    { code: 'der-malformed' },
    'a huge arc',
  )
})

await t.test('size, depth and number of values are bounded', async t => {
  const nested = (depth: number): Buffer => {
    let value: Buffer = bytes('0500')
    for (let level = 1; level < depth; level++) value = der.encode(der.seq(der.raw(value)))
    return value
  }
  t.ok(readDer(nested(32)))
  t.throws(() => readDer(Buffer.from('3080'.repeat(20_000), 'hex')), { code: 'der-malformed' })
  const tooDeep = Buffer.concat([Buffer.of(0x30, nested(32).length), nested(32)])
  t.throws(() => readDer(tooDeep), /deeper than 32/)
  t.throws(() => readDer(Buffer.alloc(DER_BYTES_MAX + 1)), { code: 'der-malformed' })
  const many = Buffer.alloc(60_000, bytes('0500'))
  t.throws(() => readDer(Buffer.concat([bytes('3082'), lengthOf(many), many])), /8192 values/)
})

function lengthOf(content: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(content.length)
  return length
}

await t.test(
  'mutated certificates never make the reader throw anything but an OperationalError',
  async t => {
    const ca = createTestCa('mutants')
    const originals = [
      ca.root,
      ca.intermediate,
      ca.server(['a.example', '*.b.example'], ['10.0.0.1', '2001:db8::1']),
    ].map(holder => new X509Certificate(holder.pem).raw)
    let parsed = 0
    const mutation = fc.record({
      original: fc.constantFrom(...originals),
      position: fc.nat(1200),
      value: fc.oneof(fc.constantFrom(0, 0x80, 0x82, 0xff, 0x1f, 0x30), fc.nat(255)),
      cut: fc.option(fc.nat(1200), { freq: 4 }),
    })

    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), mutations => {
        const mutant = Buffer.from(mutations[0]?.original ?? '')
        for (const { position, value } of mutations) mutant[position % mutant.length] = value
        const cut = mutations[0]?.cut ?? mutant.length
        for (const read of [readDer, certificateFacts, detailsOf]) {
          try {
            read(mutant.subarray(0, cut))
            parsed++
          } catch (error) {
            if (!(error instanceof OperationalError)) return false
          }
        }
        return true
      }),
      { numRuns: 1000 },
    )

    t.ok(parsed > 100, 'some mutants were still readable, so the corpus is not all noise')
  },
)

await t.test('random bytes are read or refused, and what was read covers every byte', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), blob => {
      try {
        return sizeOf(readDer(blob)) === blob.length
      } catch (error) {
        return error instanceof OperationalError
      }
    }),
    { numRuns: 1000 },
  )
})

function detailsOf(der: Uint8Array): unknown {
  try {
    return certificateDetails(new X509Certificate(der))
  } catch (error) {
    // OpenSSL's own refusal is not what this test is about.
    if (error instanceof OperationalError) throw error
    return undefined
  }
}

function sizeOf(value: DerValue): number {
  const header = value.bytes.length - value.content.length
  if (value.children.length === 0) return header + value.content.length
  return header + value.children.reduce((sum, child) => sum + sizeOf(child), 0)
}
