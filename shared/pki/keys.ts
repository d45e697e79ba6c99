// Private and public keys: making them, naming them, judging them. All of it by node:crypto.

import { type KeyObject, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { KeyType } from '../contract/service.ts'
import { sha256 } from '../digest.ts'
import { OperationalError } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { PkiReason } from './reason.ts'

export interface KeyPair {
  /** PKCS#8. */
  readonly privateKeyPem: Secret
  /** SubjectPublicKeyInfo. */
  readonly publicKeyPem: string
}

const generate = promisify(generateKeyPair)

const RSA_BITS = { 'rsa-2048': 2048, 'rsa-3072': 3072, 'rsa-4096': 4096 } as const

/** Runs outside the event loop: an RSA key of 4096 bits takes seconds. */
export async function generateKey(type: KeyType): Promise<KeyPair> {
  const { privateKey, publicKey } =
    type === 'ec-p256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: RSA_BITS[type], publicExponent: 65537 })
  return {
    privateKeyPem: new Secret(pemText(privateKey, 'pkcs8')),
    publicKeyPem: pemText(publicKey, 'spki'),
  }
}

/** Throws `key-encrypted` or `key-unparsable`. */
export function parsePrivateKey(pem: Secret): KeyObject {
  const text = pem.reveal()
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    throw new OperationalError('key-encrypted', 'private key is encrypted with a passphrase')
  try {
    return createPrivateKey(text)
  } catch {
    // The cause is left out: a parser's message may quote what it could not parse.
    throw new OperationalError('key-unparsable', 'could not parse private key')
  }
}

/** Throws `key-unparsable`. A private key is refused: whoever sends one has just given it away. */
export function parsePublicKey(pem: string): KeyObject {
  if (!pem.startsWith('-----BEGIN PUBLIC KEY-----') || pem.includes('PRIVATE'))
    throw new OperationalError('key-unparsable', 'text is not a public key')
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new OperationalError('key-unparsable', 'could not parse public key', { cause })
  }
}

/** DER of the SubjectPublicKeyInfo. A private key gives that of its public half. */
export function spkiOf(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ type: 'spki', format: 'der' })
}

/** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the identity of a key pair. */
export function publicKeyDigest(key: KeyObject | string): string {
  return sha256(spkiOf(typeof key === 'string' ? parsePublicKey(key) : key))
}

/**
 * Do both have the same public half? In place of KeyObject.equals, which leaves an OpenSSL error behind
 * where the types differ; the next key that is parsed, however good, fails of it (seen on Node 24).
 */
export function isSameKey(a: KeyObject, b: KeyObject): boolean {
  return spkiOf(a).equals(spkiOf(b))
}

/** `ec-p256`, `rsa-3072`, `ed25519` … */
export function keyTypeOf(key: KeyObject): string {
  const details = key.asymmetricKeyDetails ?? {}
  const type = key.asymmetricKeyType ?? 'unknown'
  if (type === 'ec') return `ec-${CURVE_NAMES.get(details.namedCurve ?? '') ?? details.namedCurve}`
  return details.modulusLength === undefined ? type : `${type}-${details.modulusLength}`
}

const CURVE_NAMES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'p256'],
  ['secp384r1', 'p384'],
  ['secp521r1', 'p521'],
])

const RSA_BITS_MIN = 2048
/** Go's TLS refuses larger keys, because every handshake would cost too much. */
const RSA_BITS_MAX = 8192
const RSA_EXPONENT_MIN = 65537n
/** Go refuses larger exponents. */
const RSA_EXPONENT_MAX = 2n ** 31n - 1n

/** Why a key must not be used for a service, or undefined when nothing is wrong with it. */
export function weakKeyReason(publicKey: KeyObject): PkiReason | undefined {
  const type = publicKey.asymmetricKeyType
  if (type === 'rsa') return weakRsaReason(publicKey)
  if (type !== 'ec') return weak(`keys of type ${type} are not understood by all products`)
  const { namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {}
  return CURVE_NAMES.has(namedCurve) ? undefined : weak('curve is not P-256, P-384 or P-521')
}

function weakRsaReason(publicKey: KeyObject): PkiReason | undefined {
  const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {}
  if (modulusLength < RSA_BITS_MIN)
    return weak(`RSA key has ${modulusLength} bits, fewer than ${RSA_BITS_MIN}`)
  if (modulusLength > RSA_BITS_MAX)
    return weak(`RSA key has ${modulusLength} bits, more than ${RSA_BITS_MAX}`)
  if (
    publicExponent < RSA_EXPONENT_MIN ||
    publicExponent > RSA_EXPONENT_MAX ||
    publicExponent % 2n === 0n
  )
    return weak(`RSA key has the exponent ${publicExponent}`)
  const modulus = modulusOf(publicKey)
  if (modulus % 2n === 0n) return weak('RSA key has an even modulus')
  if (hasRocaFingerprint(modulus)) return weak('RSA key was made by a chip with the ROCA fault')
  return undefined
}

function modulusOf(publicKey: KeyObject): bigint {
  const { n = '' } = publicKey.export({ format: 'jwk' })
  return BigInt(`0x0${Buffer.from(n, 'base64url').toString('hex')}`)
}

// CVE-2017-15361: the primes of the faulty library are powers of 65537 modulo many small primes, and
// so is their product. An honest modulus passes as one by chance once in 10^8 (detector of CRoCS).
const ROCA_PRIMES = [
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
] as const

function hasRocaFingerprint(modulus: bigint): boolean {
  return ROCA_PRIMES.every(prime => isPowerOf65537(modulus % prime, prime))
}

function isPowerOf65537(residue: bigint, prime: bigint): boolean {
  let power = 1n
  for (let exponent = 0n; exponent < prime; exponent++) {
    if (power === residue) return true
    power = (power * 65537n) % prime
  }
  return false
}

function weak(message: string): PkiReason {
  return { code: 'weak-key', message }
}

function pemText(key: KeyObject, type: 'pkcs8' | 'spki'): string {
  return key.export({ type, format: 'pem' }).toString()
}
