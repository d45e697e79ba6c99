// Reads DER that others sent: strict, bounded in size, depth and number of values. It accepts one
// encoding per value only, so no two programs can read the same bytes differently. It decides
// nothing about signatures; those are verified by node:crypto over the original bytes.

import { OperationalError } from '../errors.ts'

/** No certificate of a service comes near this; a certificate with 1,000 names has 30 KB. */
export const DER_BYTES_MAX = 64 * 1024
/** X.509 needs about twelve. */
export const DER_DEPTH_MAX = 32
/** 64 KiB could hold 32,768 empty values; nothing honest has that many. */
const DER_VALUES_MAX = 8192

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
  set: 0x31,
} as const

export interface DerValue {
  /** Identifier octet: class, constructed bit and number. */
  readonly tag: number
  /** The whole value, header included. */
  readonly bytes: Buffer
  readonly content: Buffer
  /** Empty for primitive values. */
  readonly children: readonly DerValue[]
}

interface Budget {
  values: number
}

/** Throws `der-malformed` for anything but exactly one DER value. */
export function readDer(bytes: Uint8Array, bytesMax = DER_BYTES_MAX): DerValue {
  if (bytes.byteLength > bytesMax) throw malformed(`is larger than ${bytesMax} bytes`)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const budget = { values: 0 }
  const value = readValue(buffer, 0, budget)
  if (value.bytes.length !== buffer.length) throw malformed('is followed by other bytes')
  return value
}

export function oidOf(value: DerValue): string {
  expectTag(value, TAG.oid)
  const arcs: number[] = []
  let arc = 0
  for (const [index, byte] of value.content.entries()) {
    if (arc === 0 && byte === 0x80) throw malformed('has an object identifier with padding')
    arc = arc * 128 + (byte & 0x7f)
    if (arc > ARC_MAX) throw malformed('has an object identifier that is too large')
    if (byte < 0x80) {
      arcs.push(arc)
      arc = 0
    } else if (index === value.content.length - 1)
      throw malformed('has a truncated object identifier')
  }
  const [first = 0, ...rest] = arcs
  const root = Math.min(Math.floor(first / 40), 2)
  return [root, first - root * 40, ...rest].join('.')
}

// The arcs of registered identifiers are far smaller; above 2^53 numbers lose digits, and two
// different identifiers would read the same.
const ARC_MAX = 2 ** 40

/** A small non-negative integer, such as a version or a path length. */
export function smallIntegerOf(value: DerValue): number {
  expectTag(value, TAG.integer)
  if (value.content.length > 4 || (value.content[0] ?? 0) >= 0x80)
    throw malformed('has an integer out of range')
  return value.content.readUIntBE(0, value.content.length)
}

export function booleanOf(value: DerValue): boolean {
  expectTag(value, TAG.boolean)
  return value.content[0] === 0xff
}

/** Numbers of the bits that are set. */
export function bitsOf(value: DerValue): readonly number[] {
  expectTag(value, TAG.bitString)
  const positions: number[] = []
  for (const [index, byte] of value.content.subarray(1).entries())
    for (let position = 0; position < 8; position++)
      if ((byte & (0x80 >> position)) !== 0) positions.push(index * 8 + position)
  return positions
}

export function expectTag(value: DerValue | undefined, tag: number): DerValue {
  if (value === undefined) throw malformed('ends too early')
  if (value.tag !== tag)
    throw malformed(`has tag 0x${value.tag.toString(16)} where 0x${tag.toString(16)} belongs`)
  return value
}

export function malformed(what: string): OperationalError {
  return new OperationalError('der-malformed', `DER value ${what}`)
}

// `buffer` is what the parent holds, so a child cannot reach beyond it.
function readValue(buffer: Buffer, depth: number, budget: Budget): DerValue {
  if (depth >= DER_DEPTH_MAX) throw malformed(`is nested deeper than ${DER_DEPTH_MAX} levels`)
  budget.values++
  if (budget.values > DER_VALUES_MAX) throw malformed(`has more than ${DER_VALUES_MAX} values`)

  const tag = buffer[0]
  if (tag === undefined) throw malformed('is empty')
  const { headerBytes, contentBytes } = readLength(buffer)
  const end = headerBytes + contentBytes
  if (end > buffer.length) throw malformed('is truncated')
  const content = buffer.subarray(headerBytes, end)
  checkTag(tag, content)

  const children: DerValue[] = []
  if ((tag & CONSTRUCTED) !== 0) {
    let rest = content
    while (rest.length > 0) {
      const child = readValue(rest, depth + 1, budget)
      children.push(child)
      rest = rest.subarray(child.bytes.length)
    }
  }
  return { tag, bytes: buffer.subarray(0, end), content, children }
}

const CONSTRUCTED = 0x20

function readLength(buffer: Buffer): { headerBytes: number; contentBytes: number } {
  const first = buffer[1]
  if (first === undefined) throw malformed('has no length')
  if (first < 0x80) return { headerBytes: 2, contentBytes: first }
  const count = first & 0x7f
  if (count === 0) throw malformed('has an indefinite length')
  if (count > 3) throw malformed('has a length that is too large')
  if (buffer.length < 2 + count) throw malformed('is truncated')
  const length = buffer.readUIntBE(2, count)
  if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw malformed('has a length with padding')
  return { headerBytes: 2 + count, contentBytes: length }
}

function checkTag(tag: number, content: Buffer): void {
  const number = tag & 0x1f
  if (number === 0x1f) throw malformed('has a tag number above 30')
  if ((tag & 0xc0) !== 0) return
  const isCollection = number === 16 || number === 17
  if (number === 0 || isCollection !== ((tag & CONSTRUCTED) !== 0))
    throw malformed(`has the tag 0x${tag.toString(16)}, which DER does not allow`)
  checkPrimitive(tag, content)
}

// The rules that give each primitive value exactly one encoding.
function checkPrimitive(tag: number, content: Buffer): void {
  const [first, second] = content
  switch (tag) {
    case TAG.boolean:
      if (content.length !== 1 || (first !== 0x00 && first !== 0xff))
        throw malformed('has a boolean that is neither 0x00 nor 0xff')
      return
    case TAG.integer:
      if (first === undefined) throw malformed('has an empty integer')
      if (second === undefined) return
      if ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))
        throw malformed('has an integer with padding')
      return
    case TAG.bitString:
      checkBitString(content)
      return
    case TAG.null:
      if (content.length > 0) throw malformed('has a null with content')
      return
    case TAG.oid:
      if (content.length === 0 || (content.at(-1) ?? 0) >= 0x80)
        throw malformed('has a truncated object identifier')
      return
    default:
      return
  }
}

function checkBitString(content: Buffer): void {
  const unused = content[0]
  if (unused === undefined || unused > 7 || (unused > 0 && content.length === 1))
    throw malformed('has a bit string with a wrong count of unused bits')
  const last = content.at(-1) ?? 0
  if (unused > 0 && (last & ((1 << unused) - 1)) !== 0)
    throw malformed('has a bit string with unused bits set')
}
