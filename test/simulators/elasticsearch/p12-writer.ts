// PKCS#12 files as Java writes them, which the tools of OpenSSL cannot: several private keys, trusted
// certificates. PBES2 with AES-256, checksum with SHA-256.

import { createCipheriv, createHmac, type KeyObject, pbkdf2Sync, randomBytes } from 'node:crypto'
import type { X509Certificate } from 'node:crypto'
import { der, integer, octets, oid, sequence, TAG } from './der.ts'
import { bmpBytes, deriveKey, SHA256_DIGEST } from './p12.ts'

export type NewEntry =
  | {
      readonly kind: 'key'
      readonly alias: string
      readonly key: KeyObject
      readonly chain: readonly X509Certificate[]
    }
  | { readonly kind: 'trusted'; readonly alias: string; readonly certificate: X509Certificate }

export interface WriteOptions {
  readonly password: string
  /** Of the private keys; undefined: the same. */
  readonly keyPassword?: string
  /** Java writes one always; without it, it reads nothing back. */
  readonly mac?: boolean
  readonly iterations?: number
}

const DATA = '1.2.840.113549.1.7.1'
const CERTIFICATE_BAG = '1.2.840.113549.1.12.10.1.3'

export function writeP12(
  entries: readonly NewEntry[],
  { password, keyPassword = password, mac = true, iterations = 10_000 }: WriteOptions,
): Buffer {
  const keyBags: Buffer[] = []
  const certificateBags: Buffer[] = []
  const written = new Set<string>()
  for (const [i, entry] of entries.entries()) {
    if (entry.kind === 'trusted') {
      certificateBags.push(certificateBag(entry.certificate, [name(entry.alias), trusted()]))
      continue
    }
    const id = attribute('1.2.840.113549.1.9.21', octets(Buffer.from(`Time ${i + 1}`)))
    const sealed = seal(entry.key.export({ format: 'der', type: 'pkcs8' }), keyPassword, iterations)
    const shrouded = sequence(sealed.algorithm, octets(sealed.bytes))
    keyBags.push(bag('1.2.840.113549.1.12.10.1.2', shrouded, [name(entry.alias), id]))
    for (const [place, certificate] of entry.chain.entries()) {
      // Java writes a certificate once, even where two chains share it.
      if (place > 0 && written.has(certificate.fingerprint256)) continue
      written.add(certificate.fingerprint256)
      certificateBags.push(certificateBag(certificate, place === 0 ? [name(entry.alias), id] : []))
    }
  }
  const safe = sequence(
    ...(keyBags.length === 0 ? [] : [contentInfo(DATA, octets(sequence(...keyBags)))]),
    ...(certificateBags.length === 0
      ? []
      : [encryptedInfo(sequence(...certificateBags), password, iterations)]),
  )
  return sequence(
    integer(3),
    contentInfo(DATA, octets(safe)),
    ...(mac ? [checksum(safe, password, iterations)] : []),
  )
}

function contentInfo(type: string, content: Buffer): Buffer {
  return sequence(oid(type), der(TAG.context0, content))
}

function encryptedInfo(plain: Buffer, password: string, iterations: number): Buffer {
  const { algorithm, bytes } = seal(plain, password, iterations)
  const content = sequence(oid(DATA), algorithm, der(TAG.context0Primitive, bytes))
  return contentInfo('1.2.840.113549.1.7.6', sequence(integer(0), content))
}

function bag(type: string, value: Buffer, attributes: readonly Buffer[]): Buffer {
  const set = attributes.length === 0 ? [] : [der(TAG.set, ...attributes)]
  return sequence(oid(type), der(TAG.context0, value), ...set)
}

function certificateBag(certificate: X509Certificate, attributes: readonly Buffer[]): Buffer {
  const x509 = oid('1.2.840.113549.1.9.22.1')
  const value = sequence(x509, der(TAG.context0, octets(certificate.raw)))
  return bag(CERTIFICATE_BAG, value, attributes)
}

function attribute(type: string, value: Buffer): Buffer {
  return sequence(oid(type), der(TAG.set, value))
}

function name(alias: string): Buffer {
  return attribute('1.2.840.113549.1.9.20', der(TAG.bmpString, bmpBytes(alias)))
}

/** Trusted for any use. */
function trusted(): Buffer {
  return attribute('2.16.840.1.113894.746875.1.1', oid('2.5.29.37.0'))
}

function seal(
  plain: Buffer,
  password: string,
  iterations: number,
): { readonly algorithm: Buffer; readonly bytes: Buffer } {
  const [salt, iv] = [randomBytes(20), randomBytes(16)]
  const key = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const prf = sequence(oid('1.2.840.113549.2.9'), der(TAG.null))
  const kdf = sequence(octets(salt), integer(iterations), integer(32), prf)
  const algorithm = sequence(
    oid('1.2.840.113549.1.5.13'),
    sequence(
      sequence(oid('1.2.840.113549.1.5.12'), kdf),
      sequence(oid('2.16.840.1.101.3.4.1.42'), octets(iv)),
    ),
  )
  return { algorithm, bytes: Buffer.concat([cipher.update(plain), cipher.final()]) }
}

function checksum(safe: Buffer, password: string, iterations: number): Buffer {
  const salt = randomBytes(20)
  const digest = SHA256_DIGEST
  const { bytes } = digest
  const key = deriveKey({ password, salt, iterations, purpose: 3, bytes, digest })
  const value = createHmac('sha256', key).update(safe).digest()
  const algorithm = sequence(oid('2.16.840.1.101.3.4.2.1'), der(TAG.null))
  return sequence(sequence(algorithm, octets(value)), octets(salt), integer(iterations))
}
