// Decrypts what is inside a PKCS#12 file, by whichever of the password-based algorithms it names.
// Writing uses one of them only; reading knows those that products have written.

import { createDecipheriv, pbkdf2Sync } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import { type DerValue, TAG, expectTag, oidOf, smallIntegerOf } from './der-reader.ts'
import { type HashName, type PasswordBytes, deriveKey } from './pkcs12-kdf.ts'
import { P12 } from './pkcs12-oids.ts'
import { decryptRc2Cbc } from './rc2.ts'

/**
 * How much work a file may ask for, in rounds of PBKDF2: 0.6 s. Honest files need 2,048 to 600,000
 * (OpenSSL, NSS) for each of a few keys; a hostile one would ask for billions.
 */
const ROUNDS_MAX = 3_000_000
/** A round of the older derivation costs this many of PBKDF2: it leaves native code each time. */
const OLD_ROUND_COST = 8

/** Counts down what is left of the work that one file may cause. */
export interface Work {
  spend(iterations: number, kind: 'pbkdf2' | 'pkcs12'): void
}

export function limitedWork(): Work {
  let left = ROUNDS_MAX
  return {
    spend: (iterations, kind) => {
      if (iterations < 1) throw unsupported('asks for no iteration at all')
      left -= iterations * (kind === 'pkcs12' ? OLD_ROUND_COST : 1)
      if (left < 0) throw unsupported(`asks for more than ${ROUNDS_MAX} rounds of hashing`)
    },
  }
}

/** The plain text, or undefined when the password, or the text, is not the right one. */
export function decryptWith(
  algorithm: DerValue | undefined,
  text: Uint8Array,
  password: PasswordBytes,
  work: Work,
): Buffer | undefined {
  const { oid, parameters } = algorithmOf(algorithm)
  if (oid === P12.pbes2) return decryptPbes2(parameters, text, password, work)
  const cipher = OLD_CIPHERS.get(oid)
  if (cipher === undefined) throw unsupported(`is encrypted with ${oid}`)
  const [salt, iterations] = expectTag(parameters, TAG.sequence).children
  const common = {
    hashName: 'sha1',
    password,
    salt: expectTag(salt, TAG.octetString).content,
    iterations: smallIntegerOf(expectTag(iterations, TAG.integer)),
  } as const
  work.spend(2 * common.iterations, 'pkcs12')
  const key = deriveKey({ ...common, purpose: 'key', bytes: cipher.keyBytes })
  const iv = deriveKey({ ...common, purpose: 'iv', bytes: 8 })
  return cipher.name === 'rc2-cbc'
    ? decryptRc2Cbc(key, iv, text)
    : decryptBlocks(cipher.name, key, iv, text)
}

// PBE with SHA-1 of PKCS#12 (RFC 7292 appendix C). RC4, the other two, was never a default.
const OLD_CIPHERS: ReadonlyMap<string, { name: string; keyBytes: number }> = new Map([
  ['1.2.840.113549.1.12.1.3', { name: 'des-ede3-cbc', keyBytes: 24 }],
  ['1.2.840.113549.1.12.1.4', { name: 'des-ede-cbc', keyBytes: 16 }],
  ['1.2.840.113549.1.12.1.5', { name: 'rc2-cbc', keyBytes: 16 }],
  ['1.2.840.113549.1.12.1.6', { name: 'rc2-cbc', keyBytes: 5 }],
])

const NEW_CIPHERS: ReadonlyMap<string, { name: string; keyBytes: number }> = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', keyBytes: 16 }],
  ['2.16.840.1.101.3.4.1.22', { name: 'aes-192-cbc', keyBytes: 24 }],
  [P12.aes256Cbc, { name: 'aes-256-cbc', keyBytes: 32 }],
  ['1.2.840.113549.3.7', { name: 'des-ede3-cbc', keyBytes: 24 }],
])

const HMACS: ReadonlyMap<string, HashName> = new Map([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.8', 'sha224'],
  [P12.hmacSha256, 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
])

const HASHES: ReadonlyMap<string, HashName> = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.4', 'sha224'],
  [P12.sha256, 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
])

/** The hash that an AlgorithmIdentifier names. PBMAC1 of RFC 9579, which is none, ends here as well. */
export function hashOf(algorithm: DerValue | undefined): HashName {
  const { oid } = algorithmOf(algorithm)
  const name = HASHES.get(oid)
  if (name === undefined) throw unsupported(`is authenticated with ${oid}`)
  return name
}

export function unsupported(what: string): OperationalError {
  return new OperationalError('pkcs12-unsupported', `PKCS#12 file ${what}`)
}

interface Algorithm {
  readonly oid: string
  readonly parameters: DerValue | undefined
}

function algorithmOf(value: DerValue | undefined): Algorithm {
  const [oid, parameters] = expectTag(value, TAG.sequence).children
  return { oid: oidOf(expectTag(oid, TAG.oid)), parameters }
}

function decryptPbes2(
  parameters: DerValue | undefined,
  text: Uint8Array,
  password: PasswordBytes,
  work: Work,
): Buffer | undefined {
  const [derivation, encryption] = expectTag(parameters, TAG.sequence).children
  const kdf = algorithmOf(derivation)
  if (kdf.oid !== P12.pbkdf2) throw unsupported(`derives its key with ${kdf.oid}`)
  const scheme = algorithmOf(encryption)
  const cipher = NEW_CIPHERS.get(scheme.oid)
  if (cipher === undefined) throw unsupported(`is encrypted with ${scheme.oid}`)
  const { salt, iterations, keyBytes, hashName } = pbkdf2Parameters(kdf.parameters)
  if (keyBytes !== undefined && keyBytes !== cipher.keyBytes)
    throw unsupported(`has a key of ${keyBytes} bytes for ${cipher.name}`)
  work.spend(iterations, 'pbkdf2')
  const key = pbkdf2Sync(password.utf8, salt, iterations, cipher.keyBytes, hashName)
  return decryptBlocks(
    cipher.name,
    key,
    expectTag(scheme.parameters, TAG.octetString).content,
    text,
  )
}

function pbkdf2Parameters(value: DerValue | undefined) {
  const [salt, iterations, ...rest] = expectTag(value, TAG.sequence).children
  const keyBytes = rest[0]?.tag === TAG.integer ? smallIntegerOf(rest[0]) : undefined
  const hmac = rest[keyBytes === undefined ? 0 : 1]
  // RFC 8018: the default is HMAC with SHA-1.
  const hmacOid = hmac === undefined ? '1.2.840.113549.2.7' : algorithmOf(hmac).oid
  const hashName = HMACS.get(hmacOid)
  if (hashName === undefined) throw unsupported(`derives its key with ${hmacOid}`)
  return {
    salt: expectTag(salt, TAG.octetString).content,
    iterations: smallIntegerOf(expectTag(iterations, TAG.integer)),
    keyBytes,
    hashName,
  }
}

function decryptBlocks(name: string, key: Buffer, iv: Buffer, text: Uint8Array) {
  try {
    const decipher = createDecipheriv(name, key, iv)
    return Buffer.concat([decipher.update(text), decipher.final()])
  } catch {
    // Wrong padding or a wrong length: OpenSSL's message says no more than that.
    return undefined
  }
}
