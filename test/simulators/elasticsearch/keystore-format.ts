// elasticsearch.keystore, formats 3 to 6: a second implementation beside the product's, so that each
// checks the other.

import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { isAtLeast } from '../version.ts'

export type KeystoreFormat = 3 | 4 | 5 | 6

export interface Keystore {
  readonly format: KeystoreFormat
  readonly entries: ReadonlyMap<string, Buffer>
}

/** Its text is what the product says. */
export class KeystoreError extends Error {
  override readonly name = 'KeystoreError'
  /** What is sealed cannot be opened; otherwise this is no keystore that the version knows. */
  readonly sealed: boolean

  constructor(message: string, { sealed }: { readonly sealed: boolean }) {
    super(message)
    this.sealed = sealed
  }
}

const NAME = 'elasticsearch.keystore'
const HEADER_MAGIC = 0x3fd76c17
const FOOTER_MAGIC = 0xc02893e8
const FOOTER_BYTES = 16
const TAG_BYTES = 16
const CORRUPT = 'Keystore has been corrupted or tampered with'

/** The newest format that a version writes; it reads the older ones. */
export function keystoreFormatOf(version: string): KeystoreFormat {
  if (isAtLeast(version, '8.14.0')) return 6
  if (isAtLeast(version, '8.0.0')) return 5
  return isAtLeast(version, '7.1.0') ? 4 : 3
}

export function hasPassword(bytes: Buffer): boolean {
  return header(bytes).password
}

export function decodeKeystore(bytes: Buffer, password: string): Keystore {
  const { format, at } = header(bytes)
  const body = bytes.subarray(0, bytes.length - FOOTER_BYTES)
  const footer = bytes.subarray(bytes.length - FOOTER_BYTES)
  const checksum = crc32(bytes.subarray(0, bytes.length - 8))
  if (
    footer.readUInt32BE(0) !== FOOTER_MAGIC ||
    footer.readUInt32BE(4) !== 0 ||
    footer.readBigUInt64BE(8) !== BigInt(checksum)
  ) {
    throw new KeystoreError(`checksum failed (hardware problem?) : [${NAME}]`, { sealed: false })
  }

  const block = reader(body.subarray(at), littleEndian(format))
  const data = reader(block.bytes(block.int()), littleEndian(format))
  block.end()
  const salt = data.bytes(data.int())
  const iv = data.bytes(data.int())
  const sealed = data.bytes(data.int())
  data.end()

  const cipher = createDecipheriv('aes-128-gcm', keyOf(password, salt, format), iv)
  cipher.setAAD(salt)
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = cipher.update(sealed.subarray(0, -TAG_BYTES))
  try {
    cipher.final()
  } catch {
    throw new KeystoreError('Provided keystore password was incorrect', { sealed: true })
  }
  return { format, entries: decodeEntries(plain, format) }
}

export interface EncodeOptions {
  readonly format: KeystoreFormat
  readonly password: string
}

/** A new salt and vector each time: the same entries never give the same bytes twice. */
export function encodeKeystore(
  entries: ReadonlyMap<string, Buffer>,
  { format, password }: EncodeOptions,
): Buffer {
  const [salt, iv] = [randomBytes(64), randomBytes(12)]
  const cipher = createCipheriv('aes-128-gcm', keyOf(password, salt, format), iv)
  cipher.setAAD(salt)
  const plain = encodeEntries(entries, format)
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])

  const int = (value: number) => intBytes(value, littleEndian(format))
  const sized = (bytes: Buffer) => Buffer.concat([int(bytes.length), bytes])
  const data = Buffer.concat([sized(salt), sized(iv), sized(sealed)])
  const start = Buffer.concat([
    intBytes(HEADER_MAGIC, false),
    Buffer.from([NAME.length]),
    Buffer.from(NAME),
    intBytes(format, false),
    Buffer.from([password === '' ? 0 : 1]),
    sized(data),
    intBytes(FOOTER_MAGIC, false),
    intBytes(0, false),
  ])
  const checksum = Buffer.alloc(8)
  checksum.writeBigUInt64BE(BigInt(crc32(start)))
  return Buffer.concat([start, checksum])
}

/** Lucene 9, which came with version 8.0, changed the order of bytes. */
function littleEndian(format: KeystoreFormat): boolean {
  return format >= 5
}

// A key takes a tenth of a second, and tests look into the same store again and again.
const KEYS_MAX = 64
const keys = new Map<string, Buffer>()

function keyOf(password: string, salt: Buffer, format: KeystoreFormat): Buffer {
  const name = `${format} ${salt.toString('base64')} ${password}`
  const known = keys.get(name)
  if (known !== undefined) return known
  const key = pbkdf2Sync(password, salt, format === 6 ? 210_000 : 10_000, 16, 'sha512')
  const [oldest] = keys.keys()
  if (oldest !== undefined && keys.size >= KEYS_MAX) keys.delete(oldest)
  keys.set(name, key)
  return key
}

function header(bytes: Buffer): {
  readonly format: KeystoreFormat
  readonly password: boolean
  /** Where the data block starts. */
  readonly at: number
} {
  const start = 4 + 1 + NAME.length
  const named =
    bytes.length > start + 5 + FOOTER_BYTES &&
    bytes.readUInt32BE(0) === HEADER_MAGIC &&
    bytes[4] === NAME.length &&
    bytes.toString('latin1', 5, start) === NAME
  if (!named) throw new KeystoreError(`codec header mismatch: [${NAME}]`, { sealed: false })
  const format = bytes.readInt32BE(start)
  const password = bytes[start + 4]
  const known = [3, 4, 5, 6] as const
  const found = known.find(one => one === format)
  if (found === undefined) {
    const how = format < 3 ? 'too old' : 'too new'
    throw new KeystoreError(`The Elasticsearch keystore format is ${how}.`, { sealed: false })
  }
  if (password !== 0 && password !== 1)
    throw new KeystoreError('hasPassword boolean is corrupt', { sealed: false })
  return { format: found, password: password === 1, at: start + 5 }
}

function decodeEntries(plain: Buffer, format: KeystoreFormat): ReadonlyMap<string, Buffer> {
  const data = reader(plain, false)
  const entries = new Map<string, Buffer>()
  for (let left = data.int(); left > 0; left--) {
    const name = data.utf()
    // Whether a string or a file: of no use since.
    if (format === 3) data.utf()
    entries.set(name, Buffer.from(data.bytes(data.int())))
  }
  data.end()
  return entries
}

function encodeEntries(entries: ReadonlyMap<string, Buffer>, format: KeystoreFormat): Buffer {
  const parts = [intBytes(entries.size, false)]
  for (const [name, value] of entries) {
    parts.push(utf(name))
    if (format === 3) parts.push(utf('STRING'))
    parts.push(intBytes(value.length, false), value)
  }
  return Buffer.concat(parts)
}

function reader(bytes: Buffer, little: boolean) {
  let at = 0
  const take = (length: number) => {
    if (length < 0 || at + length > bytes.length) throw new KeystoreError(CORRUPT, { sealed: true })
    at += length
    return bytes.subarray(at - length, at)
  }
  return {
    int: () => (little ? take(4).readInt32LE() : take(4).readInt32BE()),
    bytes: take,
    // Names are ASCII, of which Java's modified UTF-8 is the same.
    utf: () => take(take(2).readUInt16BE()).toString('utf8'),
    end: () => {
      if (at !== bytes.length) throw new KeystoreError(CORRUPT, { sealed: true })
    },
  }
}

function intBytes(value: number, little: boolean): Buffer {
  const bytes = Buffer.alloc(4)
  if (little) bytes.writeUInt32LE(value)
  else bytes.writeUInt32BE(value)
  return bytes
}

function utf(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}
