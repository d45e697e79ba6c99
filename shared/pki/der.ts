// Builds DER from our own values. The only file that imports node-forge, and only its ASN.1
// encoder: what others sent is read by der-reader.ts, keys and signatures belong to node:crypto.

import asn1 from 'node-forge/lib/asn1.js'
import { assert } from '../assert.ts'
import { DER_DEPTH_MAX, readDer } from './der-reader.ts'

/** A value ready to be encoded. */
export type Der = ReturnType<typeof asn1.create>

const UNIVERSAL = 0x00
const CONTEXT = 0x80

const BOOLEAN = 1
const INTEGER = 2
const BIT_STRING = 3
const OCTET_STRING = 4
const NULL = 5
const OID = 6
const UTF8_STRING = 12
const SEQUENCE = 16
const SET = 17
const IA5_STRING = 22
const UTC_TIME = 23
const GENERALIZED_TIME = 24
const BMP_STRING = 30

export function encode(value: Der): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1')
}

export function seq(...members: readonly Der[]): Der {
  return asn1.create(UNIVERSAL, SEQUENCE, true, [...members])
}

/** SET OF: DER wants the members ordered by their encoding. */
export function set(...members: readonly Der[]): Der {
  const sorted = members.toSorted((a, b) => Buffer.compare(encode(a), encode(b)))
  return asn1.create(UNIVERSAL, SET, true, sorted)
}

export function oid(dotted: string): Der {
  assert(/^[0-2](\.(0|[1-9]\d{0,9}))+$/.test(dotted), `${dotted} is not an object identifier`)
  return asn1.create(UNIVERSAL, OID, false, asn1.oidToDer(dotted).getBytes())
}

/** A non-negative integer, as a number or as its big-endian magnitude. */
export function int(value: number | Uint8Array): Der {
  return asn1.create(UNIVERSAL, INTEGER, false, binary(magnitude(value)))
}

export function bool(value: boolean): Der {
  return asn1.create(UNIVERSAL, BOOLEAN, false, value ? '\xff' : '\0')
}

export function nul(): Der {
  return asn1.create(UNIVERSAL, NULL, false, '')
}

export function octet(bytes: Uint8Array): Der {
  return asn1.create(UNIVERSAL, OCTET_STRING, false, binary(bytes))
}

export function bit(bytes: Uint8Array, unusedBits = 0): Der {
  assert(unusedBits >= 0 && unusedBits < 8, 'a byte has eight bits')
  return asn1.create(UNIVERSAL, BIT_STRING, false, String.fromCharCode(unusedBits) + binary(bytes))
}

/** Named bits, as in keyUsage: trailing zero bits are left out. */
export function namedBits(positions: readonly number[]): Der {
  const last = Math.max(...positions)
  const bytes = new Uint8Array(Math.floor(last / 8) + 1)
  for (const position of positions) {
    const index = Math.floor(position / 8)
    bytes[index] = (bytes[index] ?? 0) | (0x80 >> (position % 8))
  }
  return bit(bytes, 7 - (last % 8))
}

export function utf8(text: string): Der {
  return asn1.create(UNIVERSAL, UTF8_STRING, false, binary(Buffer.from(text, 'utf8')))
}

export function ia5(text: string): Der {
  return asn1.create(UNIVERSAL, IA5_STRING, false, ascii(text))
}

/** UTF-16, for the friendly names of PKCS#12. */
export function bmp(text: string): Der {
  return asn1.create(UNIVERSAL, BMP_STRING, false, text)
}

/** A primitive value with a context tag, for example a name in subjectAltName. */
export function context(tag: number, bytes: Uint8Array): Der {
  // forge looks at the type number without the class: 2 would be minimized as an INTEGER if it
  // began with a zero byte, 30 would be taken for UTF-16.
  assert(
    tag >= 0 && tag < 30 && !(tag === 2 && bytes[0] === 0),
    `context tag ${tag} is not encodable`,
  )
  return asn1.create(CONTEXT, tag, false, binary(bytes))
}

export function contextSeq(tag: number, ...members: readonly Der[]): Der {
  assert(tag >= 0 && tag < 30, `context tag ${tag} is not encodable`)
  return asn1.create(CONTEXT, tag, true, [...members])
}

/** UTCTime until 2049 and GeneralizedTime from 2050 on, whole seconds, as RFC 5280 wants it. */
export function time(atMs: number): Der {
  assert(atMs % 1000 === 0, 'certificate times are whole seconds')
  const text = `${new Date(atMs).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`
  const year = new Date(atMs).getUTCFullYear()
  assert(year >= 1950 && year <= 9999, `year ${year} does not fit into a certificate`)
  return year < 2050
    ? asn1.create(UNIVERSAL, UTC_TIME, false, text.slice(2))
    : asn1.create(UNIVERSAL, GENERALIZED_TIME, false, text)
}

/** A value that is encoded already: a public key, the name of an issuer. It must be strict DER and stays byte for byte. */
export function raw(der: Uint8Array): Der {
  readDer(der)
  const value = asn1.fromDer(binary(der), {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
    maxDepth: DER_DEPTH_MAX,
  })
  assert(encode(value).equals(der), 'an encoded value does not survive being copied')
  return value
}

function magnitude(value: number | Uint8Array): Uint8Array {
  if (typeof value !== 'number') {
    const first = value.findIndex(byte => byte !== 0)
    if (first === -1) return Uint8Array.of(0)
    const significant = value.subarray(first)
    return (significant[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...significant) : significant
  }
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is not a non-negative integer`)
  const hex = value.toString(16)
  return magnitude(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

function ascii(text: string): string {
  assert(/^[\x20-\x7e]*$/.test(text), 'text is not ASCII')
  return text
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
