// What is common to the secret stores of the Elastic products. They are read natively, because their
// own tools start a JVM or cannot show a value; they are written by the products' tools only.

import { createDecipheriv, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import type { Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { Secret } from '../../../shared/secret.ts'

/** Why a secret store is not opened. */
export const KEYSTORE_REASON_CODES = [
  'keystore-damaged',
  'keystore-version-unknown',
  'keystore-password-needed',
  'keystore-wrong-password',
] as const
export type KeystoreReasonCode = (typeof KEYSTORE_REASON_CODES)[number]

export interface OpenedKeystore {
  readonly kind: 'opened'
  /** Of the file's format. */
  readonly version: number
  /** Whether opening it took a password; an empty one is none. */
  readonly hasPassword: boolean
  /** Every entry that is text, which all passwords are. */
  readonly entries: ReadonlyMap<string, Secret>
  /** Names of the other entries: files in Elasticsearch, numbers and the like in Kibana. */
  readonly otherNames: readonly string[]
}

export type KeystoreReading =
  | OpenedKeystore
  | {
      readonly kind: 'refused'
      readonly reason: Reason & { readonly code: KeystoreReasonCode }
    }

/** A store has a few entries; one with service account files in it may have some 100 KB. */
const KEYSTORE_BYTES_MAX = 4 * 1024 * 1024

/** Turns what `open` throws into a value; a bad file is an answer, not a failure. */
export async function readKeystore(
  bytes: Uint8Array,
  open: (buffer: Buffer) => Promise<OpenedKeystore>,
): Promise<KeystoreReading> {
  try {
    if (bytes.byteLength > KEYSTORE_BYTES_MAX)
      throw damaged(`is larger than ${KEYSTORE_BYTES_MAX} bytes`)
    return await open(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const code = KEYSTORE_REASON_CODES.find(known => known === error.code)
    if (code === undefined) throw error
    return { kind: 'refused', reason: { code, message: error.message } }
  }
}

export interface Sealed {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm'
  readonly iterations: number
  readonly salt: Buffer
  readonly iv: Buffer
  readonly text: Buffer
  readonly tag: Buffer
  /** Authenticated with the text, not encrypted. */
  readonly associated?: Buffer
}

const derive = promisify(pbkdf2)

const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 } as const
export const GCM_TAG_BYTES = 16

/** The plain text, or undefined with a wrong password. Derives the key outside the event loop. */
export async function unseal(
  { cipher, iterations, salt, iv, text, tag, associated }: Sealed,
  password: string,
): Promise<Buffer | undefined> {
  const key = await derive(password, salt, iterations, KEY_BYTES[cipher], 'sha512')
  try {
    const decipher = createDecipheriv(cipher, key, iv, { authTagLength: GCM_TAG_BYTES })
    if (associated !== undefined) decipher.setAAD(associated)
    decipher.setAuthTag(tag)
    return Buffer.concat([decipher.update(text), decipher.final()])
  } catch {
    // Not authentic: OpenSSL has no more to say.
    return undefined
  }
}

/**
 * Opens a store whose file does not say whether it has a password: without one first. Throws
 * `keystore-password-needed` or `keystore-wrong-password`.
 */
export async function unsealEither(sealed: Sealed, password: Secret | undefined) {
  const open = await unseal(sealed, '')
  if (open !== undefined) return { plain: open, hasPassword: false }
  if (password === undefined || password.reveal() === '') throw passwordNeeded()
  const plain = await unseal(sealed, password.reveal())
  if (plain === undefined) throw wrongPassword()
  return { plain, hasPassword: true }
}

export function damaged(what: string): OperationalError {
  return new OperationalError('keystore-damaged', `keystore ${what}`)
}

export function versionUnknown(what: string): OperationalError {
  return new OperationalError('keystore-version-unknown', `keystore ${what}`)
}

export function passwordNeeded(): OperationalError {
  return new OperationalError('keystore-password-needed', 'keystore is protected by a password')
}

export function wrongPassword(): OperationalError {
  return new OperationalError('keystore-wrong-password', 'keystore has another password')
}

/** Sorts values into text and others; undefined is what is no text. */
export function openedKeystore(
  about: Pick<OpenedKeystore, 'version' | 'hasPassword'>,
  values: Iterable<readonly [name: string, text: string | undefined]>,
): OpenedKeystore {
  const entries = new Map<string, Secret>()
  const otherNames = new Set<string>()
  for (const [name, text] of values) {
    if (text === undefined) otherNames.add(name)
    else entries.set(name, new Secret(text))
  }
  return { kind: 'opened', ...about, entries, otherNames: [...otherNames] }
}

/** Strict: both products write one line of canonical base64. */
export function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (text === '' || bytes.toString('base64') !== text) throw damaged('is not base64')
  return bytes
}

/** The members of a JSON object. */
export function jsonMembers(plain: Buffer): readonly (readonly [string, unknown])[] {
  const value = parseJson(plain.toString('utf8'))
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged('holds no JSON object')
  return Object.entries(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message would quote secrets.
    throw damaged('holds no JSON')
  }
}
