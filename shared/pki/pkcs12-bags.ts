// The bags of a PKCS#12 file: opens its layers, strictly and within bounds. What the bags mean
// together is for pkcs12-reader.ts to say.

import type { X509Certificate } from 'node:crypto'
import { assert } from '../assert.ts'
import { OperationalError } from '../errors.ts'
import type { Secret } from '../secret.ts'
import { type DerValue, TAG, expectTag, oidOf, readDer, smallIntegerOf } from './der-reader.ts'
import { parseCertificate } from './pem.ts'
import { type Work, decryptWith, hashOf, limitedWork, unsupported } from './pkcs12-cipher.ts'
import { type MacParameters, type PasswordBytes, macOf, passwordForms } from './pkcs12-kdf.ts'
import { P12 } from './pkcs12-oids.ts'

/** A key and its chain have 10 KB, the 140 public CAs 250 KB. */
export const PKCS12_BYTES_MAX = 1024 * 1024

export interface BagName {
  readonly alias: string | undefined
  /** Equal in a key and its certificate; hex. */
  readonly localKeyId: string | undefined
}

export type Bag =
  | (BagName & { readonly kind: 'key'; readonly pkcs8: Buffer })
  | (BagName & {
      readonly kind: 'certificate'
      readonly certificate: X509Certificate
      readonly isTrusted: boolean
    })

/** In the order of the file. Throws OperationalErrors: `pkcs12-*`, `der-malformed`, `certificate-unparsable`. */
export function openBags(bytes: Uint8Array, password: Secret): readonly Bag[] {
  const { safe, mac } = parsePfx(bytes)
  if (mac === undefined) throw new OperationalError('pkcs12-unprotected', 'PKCS#12 file has no MAC')
  const work = limitedWork()
  for (const form of passwordForms(password)) {
    work.spend(mac.iterations, 'pkcs12')
    if (macOf(safe, form, mac).equals(mac.digest)) return readSafe(safe, form, work)
  }
  throw opensWithout(safe, password, work)
    ? new OperationalError('pkcs12-damaged', 'PKCS#12 file does not agree with its MAC')
    : new OperationalError('pkcs12-wrong-password', 'PKCS#12 file has another password')
}

interface Pfx {
  readonly safe: Buffer
  readonly mac: (MacParameters & { readonly digest: Buffer }) | undefined
}

function parsePfx(bytes: Uint8Array): Pfx {
  const [version, content, mac] = expectTag(readDer(bytes, PKCS12_BYTES_MAX), TAG.sequence).children
  if (smallIntegerOf(expectTag(version, TAG.integer)) !== 3)
    throw unsupported('is of another version than 3')
  const { oid, value } = contentOf(content)
  if (oid !== P12.data) throw unsupported(`is not protected by a password but by ${oid}`)
  return {
    safe: expectTag(value, TAG.octetString).content,
    mac: mac === undefined ? undefined : parseMac(mac),
  }
}

function parseMac(value: DerValue): Pfx['mac'] {
  const [info, salt, iterations] = expectTag(value, TAG.sequence).children
  const [algorithm, digest] = expectTag(info, TAG.sequence).children
  return {
    hashName: hashOf(algorithm),
    digest: expectTag(digest, TAG.octetString).content,
    salt: expectTag(salt, TAG.octetString).content,
    iterations: iterations === undefined ? 1 : smallIntegerOf(iterations),
  }
}

/** The MAC said no. Where something decrypts nevertheless, the password is right and the file is not. */
function opensWithout(safe: Buffer, password: Secret, work: Work): boolean {
  const [form] = passwordForms(password)
  assert(form !== undefined, 'a password has a form')
  let opens = false
  const decrypt: Decrypt = (algorithm, text) => {
    const plain = decryptWith(algorithm, text, form, work) ?? Buffer.alloc(0)
    // Padding fits by chance once in 256; DER in addition does not.
    opens ||= readDer(plain, PKCS12_BYTES_MAX).tag === TAG.sequence
    return plain
  }
  const tryPart = (part: DerValue) => ignoreRefusals(() => readPart(part, decrypt))
  ignoreRefusals(() => partsOf(safe).forEach(tryPart))
  return opens
}

function ignoreRefusals(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
  }
}

function readSafe(safe: Buffer, password: PasswordBytes, work: Work): readonly Bag[] {
  const decrypt: Decrypt = (algorithm, text) => {
    const plain = decryptWith(algorithm, text, password, work)
    if (plain !== undefined) return plain
    throw new OperationalError(
      'pkcs12-several-passwords',
      'a part of the PKCS#12 file is encrypted with another password than the file',
    )
  }
  return partsOf(safe).flatMap(part => readPart(part, decrypt))
}

function partsOf(safe: Buffer): readonly DerValue[] {
  return expectTag(readDer(safe, PKCS12_BYTES_MAX), TAG.sequence).children
}

function readPart(part: DerValue, decrypt: Decrypt): readonly Bag[] {
  const contents = readDer(openPart(part, decrypt), PKCS12_BYTES_MAX)
  return expectTag(contents, TAG.sequence).children.map(bag => readBag(bag, decrypt))
}

type Decrypt = (algorithm: DerValue | undefined, text: Uint8Array) => Buffer

function openPart(part: DerValue, decrypt: Decrypt): Buffer {
  const { oid, value } = contentOf(part)
  switch (oid) {
    case P12.data:
      return expectTag(value, TAG.octetString).content
    case P12.encryptedData: {
      const [, info] = expectTag(value, TAG.sequence).children
      const [type, algorithm, text] = expectTag(info, TAG.sequence).children
      if (oidOf(expectTag(type, TAG.oid)) !== P12.data)
        throw unsupported('encrypts something else than bags')
      return decrypt(algorithm, expectTag(text, IMPLICIT_0).content)
    }
    default:
      throw unsupported(`has a part of the kind ${oid}`)
  }
}

function readBag(bag: DerValue, decrypt: Decrypt): Bag {
  const [type, wrapped, attributes] = expectTag(bag, TAG.sequence).children
  const oid = oidOf(expectTag(type, TAG.oid))
  const value = unwrap(wrapped)
  const { alias, localKeyId, isTrusted } = readAttributes(attributes)
  const name = { alias, localKeyId }
  switch (oid) {
    case P12.keyBag:
      return { kind: 'key', ...name, pkcs8: expectTag(value, TAG.sequence).bytes }
    case P12.shroudedKeyBag: {
      const [algorithm, text] = expectTag(value, TAG.sequence).children
      const pkcs8 = decrypt(algorithm, expectTag(text, TAG.octetString).content)
      return { kind: 'key', ...name, pkcs8 }
    }
    case P12.certificateBag: {
      const [kind, contents] = expectTag(value, TAG.sequence).children
      if (oidOf(expectTag(kind, TAG.oid)) !== P12.x509Certificate)
        throw unsupported('holds a certificate that is not X.509')
      const der = expectTag(unwrap(contents), TAG.octetString).content
      return { kind: 'certificate', ...name, isTrusted, certificate: parseCertificate(der) }
    }
    default:
      // Passwords and revocation lists, which a rewritten file would lose.
      throw unsupported(`holds a bag of the kind ${oid}`)
  }
}

function readAttributes(attributes: DerValue | undefined): BagName & { isTrusted: boolean } {
  const found = new Map<string, DerValue | undefined>()
  if (attributes !== undefined)
    for (const attribute of expectTag(attributes, TAG.set).children) {
      const [type, values] = expectTag(attribute, TAG.sequence).children
      found.set(oidOf(expectTag(type, TAG.oid)), expectTag(values, TAG.set).children[0])
    }
  const name = found.get(P12.friendlyName)
  const id = found.get(P12.localKeyId)
  return {
    alias: name === undefined ? undefined : utf16(expectTag(name, BMP_STRING).content),
    localKeyId:
      id === undefined ? undefined : expectTag(id, TAG.octetString).content.toString('hex'),
    isTrusted: found.has(P12.trustedKeyUsage),
  }
}

function contentOf(info: DerValue | undefined) {
  const [type, wrapped] = expectTag(info, TAG.sequence).children
  return { oid: oidOf(expectTag(type, TAG.oid)), value: unwrap(wrapped) }
}

const EXPLICIT_0 = 0xa0
const IMPLICIT_0 = 0x80
const BMP_STRING = 0x1e

function unwrap(value: DerValue | undefined): DerValue | undefined {
  return expectTag(value, EXPLICIT_0).children[0]
}

function utf16(bigEndian: Buffer): string {
  // An odd length has no meaning; swap16 would throw.
  const even = Buffer.from(bigEndian.subarray(0, bigEndian.length & ~1))
  return even.swap16().toString('utf16le')
}
