// Private keys at rest: AES-256-GCM under a key that scrypt derives from a passphrase. The
// passphrase comes from a credential of the service manager, never from the database beside it.

import { createCipheriv, createDecipheriv, scryptSync, timingSafeEqual } from 'node:crypto'
import { canonicalJson } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'

/** Holds one passphrase, and the keys derived from it: deriving one costs 60 ms and 32 MiB. */
export interface Sealing {
  /** A JSON envelope. `purpose` says which key this is; it opens under no other purpose. */
  seal(secret: Secret, options: { readonly purpose: string; readonly random: RandomBytes }): string
  /** Throws `sealed-key-malformed`, `wrong-passphrase`, `sealed-key-tampered`. */
  open(envelope: string, options: { readonly purpose: string }): Secret
}

const SCRYPT = { N: 2 ** 15, r: 8, p: 1 } as const
// scrypt needs 128 * N * r bytes and a little; Node's default limit is exactly below that.
const SCRYPT_MEMORY_MAX = 64 * 1024 * 1024
const CIPHER = 'aes-256-gcm'
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32
const CHECK_BYTES = 16
const ENVELOPE_LENGTH_MAX = 64 * 1024

interface DerivedKey {
  readonly salt: Buffer
  readonly key: Buffer
  /** Tells a wrong passphrase from a damaged envelope; as public as the tag is. */
  readonly check: Buffer
}

interface Envelope {
  readonly salt: Buffer
  readonly check: Buffer
  readonly nonce: Buffer
  readonly tag: Buffer
  readonly ciphertext: Buffer
}

export function createSealing(passphrase: Secret): Sealing {
  const derived = new Map<string, DerivedKey>()

  const derive = (salt: Buffer): DerivedKey => {
    const name = salt.toString('hex')
    const known = derived.get(name)
    if (known !== undefined) return known
    const bytes = scryptSync(passphrase.reveal().normalize('NFC'), salt, KEY_BYTES + CHECK_BYTES, {
      ...SCRYPT,
      maxmem: SCRYPT_MEMORY_MAX,
    })
    const key = { salt, key: bytes.subarray(0, KEY_BYTES), check: bytes.subarray(KEY_BYTES) }
    derived.set(name, key)
    return key
  }

  return {
    seal(secret, { purpose, random }) {
      // One salt for all keys of a passphrase; the nonce is what is new for every envelope.
      const [known] = derived.values()
      return encrypt(known ?? derive(Buffer.from(random(SALT_BYTES))), secret, purpose, random)
    },
    open(text, { purpose }) {
      const envelope = parseEnvelope(text)
      const key = derive(envelope.salt)
      if (!timingSafeEqual(key.check, envelope.check))
        throw new OperationalError('wrong-passphrase', `could not open sealed key for ${purpose}`, {
          hint: 'The passphrase is not the one that the key was sealed with.',
        })
      return decrypt(key, envelope, purpose)
    },
  }
}

/** The same secret for the same purpose, sealed by another. Throws as `open` does. */
export function reseal(
  envelope: string,
  by: { readonly from: Sealing; readonly to: Sealing; readonly random: RandomBytes },
): string {
  // Which one it says; opening finds out whether that is true.
  const { purpose } = parseObject(envelope)
  if (typeof purpose !== 'string') throw malformed('a part is missing')
  return by.to.seal(by.from.open(envelope, { purpose }), { purpose, random: by.random })
}

function encrypt(
  derived: DerivedKey,
  secret: Secret,
  purpose: string,
  random: RandomBytes,
): string {
  const nonce = Buffer.from(random(NONCE_BYTES))
  const cipher = createCipheriv(CIPHER, derived.key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(additionalData(purpose))
  const ciphertext = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()])
  return canonicalJson({
    version: VERSION,
    purpose,
    kdf: { name: 'scrypt', ...SCRYPT, salt: derived.salt.toString('base64') },
    check: derived.check.toString('base64'),
    cipher: CIPHER,
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    ciphertext: ciphertext.toString('base64'),
  })
}

const VERSION = 1

function decrypt(derived: DerivedKey, envelope: Envelope, purpose: string): Secret {
  const decipher = createDecipheriv(CIPHER, derived.key, envelope.nonce, {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(additionalData(purpose))
  decipher.setAuthTag(envelope.tag)
  try {
    const plain = Buffer.concat([decipher.update(envelope.ciphertext), decipher.final()])
    return new Secret(plain.toString('utf8'))
  } catch (cause) {
    throw new OperationalError('sealed-key-tampered', `could not open sealed key for ${purpose}`, {
      cause,
      hint: 'The envelope was changed, or it holds the key for another purpose.',
    })
  }
}

function additionalData(purpose: string): Buffer {
  return Buffer.from(`tlsfleet sealed key v${VERSION}\n${purpose}`)
}

function parseEnvelope(text: string): Envelope {
  const { version, kdf, cipher, check, nonce, tag, ciphertext } = parseObject(text)
  const { name, N, r, p, salt } = isObject(kdf) ? kdf : {}
  // The cost is fixed by the version: an envelope cannot ask for gigabytes, nor for a weak key.
  const isKnown = version === VERSION && cipher === CIPHER && name === 'scrypt'
  if (!isKnown || N !== SCRYPT.N || r !== SCRYPT.r || p !== SCRYPT.p)
    throw malformed('it has an unknown version or unknown parameters')
  return {
    salt: bytesOf(salt, SALT_BYTES),
    check: bytesOf(check, CHECK_BYTES),
    nonce: bytesOf(nonce, NONCE_BYTES),
    tag: bytesOf(tag, TAG_BYTES),
    ciphertext: bytesOf(ciphertext),
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  if (text.length > ENVELOPE_LENGTH_MAX) throw malformed('it is too large')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw malformed('it is not JSON', cause)
  }
  if (!isObject(value)) throw malformed('it is not an object')
  return value
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bytesOf(value: unknown, length?: number): Buffer {
  if (typeof value !== 'string') throw malformed('a part is missing')
  const bytes = Buffer.from(value, 'base64')
  if (bytes.toString('base64') !== value) throw malformed('a part is not base64')
  if (length !== undefined && bytes.length !== length) throw malformed('a part has a wrong length')
  return bytes
}

function malformed(what: string, cause?: unknown): OperationalError {
  return new OperationalError('sealed-key-malformed', `could not read sealed key: ${what}`, {
    cause,
  })
}
