// Certificate requests that nobody honest sends, made byte by byte so that they can be wrong in any
// place. What is wrong is signed over, unless the signature itself is what is wrong.

import { type KeyObject, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { ipBytes } from '../../../shared/pki/names.ts'
import { pemOf } from '../../../shared/pki/pem.ts'

/** One value; lengths as DER wants them. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const hex = length.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes])
}

export const seq = (...parts: readonly Uint8Array[]) => tlv(0x30, ...parts)
export const set = (...parts: readonly Uint8Array[]) => tlv(0x31, ...parts)
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes)
export const utf8 = (text: string) => tlv(0x0c, Buffer.from(text))
export const dns = (name: string) => tlv(0x82, Buffer.from(name, 'latin1'))
export const ip = (address: string) => tlv(0x87, ipBytes(address))
export const TRUE = Buffer.from([1, 1, 0xff])
export const FALSE = Buffer.from([1, 1, 0])

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap(arc => {
    const digits = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      digits.unshift(0x80 | (left & 0x7f))
    return digits
  })
  return tlv(0x06, Buffer.from(bytes))
}

export const commonName = (text: string, tag = 0x0c) =>
  set(seq(oid('2.5.4.3'), tlv(tag, Buffer.from(text))))

export const SAN = '2.5.29.17'
export const BASIC_CONSTRAINTS = '2.5.29.19'
export const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
export const MICROSOFT_REQUEST = '1.3.6.1.4.1.311.2.1.14'

export const extension = (id: string, value: Uint8Array, ...critical: readonly Uint8Array[]) =>
  seq(oid(id), ...critical, octets(value))
export const requestOf = (extensions: Uint8Array, id = EXTENSION_REQUEST) =>
  seq(oid(id), set(extensions))
export const sanOf = (...names: readonly Uint8Array[]) => extension(SAN, seq(...names))

export const ECDSA_SHA256 = seq(oid('1.2.840.10045.4.3.2'))
export const rsaWith = (arc: number) => seq(oid(`1.2.840.113549.1.1.${arc}`), Buffer.from([5, 0]))

export const KEYS = {
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  other: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}

export const spkiOf = (key: KeyObject) =>
  createPublicKey(key).export({ type: 'spki', format: 'der' })

export interface Wish {
  readonly key?: KeyObject
  /** Who signs, where it is not the key itself. */
  readonly signer?: KeyObject
  readonly hash?: string
  readonly algorithm?: Buffer
  readonly version?: Buffer
  /** The parts of the subject. */
  readonly subject?: readonly Buffer[]
  readonly spki?: Buffer
  /** Names in the request for extensions. */
  readonly names?: readonly Buffer[]
  /** Extensions in place of `names`. */
  readonly extensions?: readonly Buffer[]
  /** Attributes in place of `extensions`. */
  readonly attributes?: readonly Buffer[]
  /** What follows the subject's key, in place of `attributes`. */
  readonly rest?: readonly Buffer[]
  readonly unusedBits?: number
}

/** What is signed. */
export function infoOf(wish: Wish): Buffer {
  const { names = [dns('es-1.example'), ip('10.0.0.1')] } = wish
  const { extensions = [sanOf(...names)] } = wish
  const { attributes = [requestOf(seq(...extensions))] } = wish
  return seq(
    wish.version ?? Buffer.from([2, 1, 0]),
    seq(...(wish.subject ?? [])),
    wish.spki ?? spkiOf(wish.key ?? KEYS.ec),
    ...(wish.rest ?? [tlv(0xa0, ...attributes)]),
  )
}

export function derOf(wish: Wish = {}, info = infoOf(wish)): Buffer {
  const { key = KEYS.ec, signer = key, hash = 'sha256', unusedBits = 0 } = wish
  const isRsa = signer.asymmetricKeyType === 'rsa'
  const algorithm = wish.algorithm ?? (isRsa ? rsaWith(11) : ECDSA_SHA256)
  const withoutHash = signer.asymmetricKeyType?.startsWith('ed') === true
  const signature = sign(withoutHash ? null : hash, info, signer)
  return seq(info, algorithm, tlv(0x03, Buffer.from([unusedBits]), signature))
}

export const csrPem = (der: Uint8Array) => pemOf(der, 'CERTIFICATE REQUEST')
export const csrOf = (wish: Wish = {}) => csrPem(derOf(wish))

/** SubjectPublicKeyInfo of an RSA key that nobody has the private half of. */
export function rsaSpki(modulus: Buffer, exponent: readonly number[] = [1, 0, 1]): Buffer {
  const number = (bytes: Uint8Array) =>
    tlv(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
  const key = seq(number(modulus), number(Buffer.from(exponent)))
  return seq(rsaWith(1), tlv(0x03, Buffer.from([0]), key))
}

/** SubjectPublicKeyInfo of a key of the same curve, its point with one coordinate and a sign. */
export function compressed(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const sign = (Buffer.from(y, 'base64url').at(-1) ?? 0) & 1
  const algorithm = seq(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'))
  return seq(algorithm, tlv(0x03, Buffer.from([0, 2 + sign]), Buffer.from(x, 'base64url')))
}

/** A value inside a value inside a value. */
export function nested(depth: number): Buffer {
  let value = tlv(0x05)
  for (let level = 0; level < depth; level++) value = seq(value)
  return value
}

/** A part of a subject. */
export function part(id: string, text: string): Buffer {
  return set(seq(oid(id), utf8(text)))
}

export const bytes = (...values: readonly number[]) => Buffer.from(values)

/** `good`: read, and read as OpenSSL reads it. */
export type Outcome = 'good' | 'csr-unparsable' | 'csr-signature' | 'csr-names' | 'weak-key'

export type Case = readonly [name: string, pem: string, outcome: Outcome]

export const wished = (name: string, wish: Wish, outcome: Outcome): Case => [
  name,
  csrOf(wish),
  outcome,
]
