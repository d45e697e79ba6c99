// `elasticsearch.keystore`, formats 3 (Elasticsearch 6.3) to 6 (8.14): a header and a checksum in the
// manner of Lucene around one block that is encrypted with AES-GCM, under an empty password unless
// the operator set one.

import { crc32 } from 'node:zlib'
import type { Secret } from '../../../shared/secret.ts'
import {
  GCM_TAG_BYTES,
  type KeystoreReading,
  type Sealed,
  damaged,
  openedKeystore,
  passwordNeeded,
  readKeystore,
  unseal,
  versionUnknown,
  wrongPassword,
} from './keystore.ts'

/**
 * Never throws for a bad file. Format 6 takes 0.2 s of a processor (outside the event loop), so
 * callers remember the answer by the file's version; a node that starts may rewrite the file.
 */
export function readElasticsearchKeystore(
  bytes: Uint8Array,
  password?: Secret,
): Promise<KeystoreReading> {
  return readKeystore(bytes, async buffer => {
    const { version, hasPassword, sealed } = parseFile(buffer)
    const secret = hasPassword ? password : undefined
    if (hasPassword && (secret === undefined || secret.reveal() === '')) throw passwordNeeded()
    const plain = await unseal(sealed, secret?.reveal() ?? '')
    // The checksum was right, so it is not the file.
    if (plain === undefined) throw wrongPassword()
    return openedKeystore({ version, hasPassword }, parseEntries(plain, version))
  })
}

interface Format {
  /** Of the integers of the data block; header, footer and plain text are big-endian in all formats. */
  readonly isLittleEndian: boolean
  readonly iterations: number
}

const FORMATS: ReadonlyMap<number, Format> = new Map([
  [3, { isLittleEndian: false, iterations: 10_000 }],
  [4, { isLittleEndian: false, iterations: 10_000 }],
  // Lucene 9 turned its integers around.
  [5, { isLittleEndian: true, iterations: 10_000 }],
  [6, { isLittleEndian: true, iterations: 210_000 }],
])

const HEADER_MAGIC = 0x3fd76c17
const FOOTER_MAGIC = 0xc02893e8
const NAME = 'elasticsearch.keystore'
/** Magic, number of the algorithm, checksum. */
const FOOTER_BYTES = 16

function parseFile(buffer: Buffer) {
  const header = readFrom(buffer)
  if (header.uint32() !== HEADER_MAGIC) throw damaged('does not begin like one')
  // The length of the name is a variable-length integer, of one byte below 128.
  if (header.uint8() !== NAME.length || header.bytes(NAME.length).toString('latin1') !== NAME)
    throw damaged('is a file of another kind')
  const version = header.uint32()
  const format = FORMATS.get(version)
  if (format === undefined) throw versionUnknown(`has the format ${version}`)
  checkFooter(buffer)

  const flag = header.uint8()
  if (flag > 1) throw damaged('does not say whether it has a password')
  const data = header.sized(format)
  if (header.left() !== FOOTER_BYTES) throw damaged('has bytes that belong to nothing')
  return { version, hasPassword: flag === 1, sealed: parseData(data, format) }
}

function checkFooter(buffer: Buffer): void {
  if (buffer.length < FOOTER_BYTES) throw damaged('is truncated')
  const footer = readFrom(buffer.subarray(-FOOTER_BYTES))
  if (footer.uint32() !== FOOTER_MAGIC || footer.uint32() !== 0) throw damaged('has no checksum')
  // The checksum is a 64-bit integer of which CRC-32 fills one half.
  if (footer.uint32() !== 0 || footer.uint32() !== crc32(buffer.subarray(0, -8)))
    throw damaged('does not agree with its checksum')
}

function parseData(data: Buffer, format: Format): Sealed {
  const block = readFrom(data)
  const salt = block.sized(format)
  const iv = block.sized(format)
  const encrypted = block.sized(format)
  if (block.left() > 0 || encrypted.length < GCM_TAG_BYTES || iv.length === 0)
    throw damaged('has a malformed data block')
  return {
    cipher: 'aes-128-gcm',
    iterations: format.iterations,
    salt,
    iv,
    text: encrypted.subarray(0, -GCM_TAG_BYTES),
    tag: encrypted.subarray(-GCM_TAG_BYTES),
    associated: salt,
  }
}

function* parseEntries(plain: Buffer, version: number): Generator<[string, string | undefined]> {
  const reader = readFrom(plain)
  const count = reader.uint32()
  for (let i = 0; i < count; i++) {
    const name = reader.bytes(reader.uint16()).toString('utf8')
    // STRING or FILE; later formats do not tell them apart.
    if (version === 3) reader.bytes(reader.uint16())
    yield [name, textOf(reader.bytes(reader.uint32()))]
  }
  if (reader.left() > 0) throw damaged('has bytes behind its last entry')
}

function textOf(value: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
  } catch {
    // A file that is no text.
    return undefined
  }
}

/** Big-endian unless said otherwise; refuses to read beyond the end. */
function readFrom(buffer: Buffer) {
  let position = 0
  const bytes = (count: number): Buffer => {
    if (count > buffer.length - position) throw damaged('is truncated')
    position += count
    return buffer.subarray(position - count, position)
  }
  return {
    bytes,
    uint8: () => bytes(1).readUInt8(),
    uint16: () => bytes(2).readUInt16BE(),
    uint32: () => bytes(4).readUInt32BE(),
    /** Bytes after their number. */
    sized: ({ isLittleEndian }: Format) => {
      const size = bytes(4)
      return bytes(isLittleEndian ? size.readUInt32LE() : size.readUInt32BE())
    },
    left: () => buffer.length - position,
  }
}
