// DER as far as PKCS#12 needs it: a reader of elements, and what writes them.

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Of a constructed element; empty otherwise. */
  readonly items: readonly Element[]
  /** With tag and length. */
  readonly bytes: Buffer
}

export class DerError extends Error {
  override readonly name = 'DerError'
}

export const TAG = {
  integer: 0x02,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
  /** [0] IMPLICIT of a primitive. */
  context0Primitive: 0x80,
} as const

export function readDer(bytes: Buffer): Element {
  const [element, end] = readElement(bytes, 0)
  if (end !== bytes.length) throw new DerError('extra bytes')
  return element
}

function readElement(bytes: Buffer, start: number): readonly [Element, number] {
  const tag = bytes[start] ?? fail('ends early')
  const first = bytes[start + 1] ?? fail('ends early')
  let at = start + 2
  let length = first
  if (first === 0x80) fail('indefinite length')
  if (first > 0x80) {
    const count = first & 0x7f
    if (count > 4 || at + count > bytes.length) fail('length')
    length = bytes.readUIntBE(at, count)
    at += count
  }
  const end = at + length
  if (end > bytes.length) fail('ends early')
  const content = bytes.subarray(at, end)
  const items: Element[] = []
  if ((tag & 0x20) !== 0) {
    for (let inside = 0; inside < content.length; ) {
      const [item, next] = readElement(content, inside)
      items.push(item)
      inside = next
    }
  }
  return [{ tag, content, items, bytes: bytes.subarray(start, end) }, end]
}

function fail(what: string): never {
  throw new DerError(what)
}

/** The item at a path of places: `at(element, 0, 1)` is the second item of the first one. */
export function at(element: Element, ...path: readonly number[]): Element {
  return path.reduce((here, place) => here.items[place] ?? fail(`no item ${place}`), element)
}

export function integerOf(element: Element): number {
  if (element.tag !== TAG.integer || element.content.length > 6) fail('not a small integer')
  return element.content.readUIntBE(0, element.content.length)
}

export function oidOf(element: Element): string {
  if (element.tag !== TAG.oid) fail('not an object identifier')
  const parts: number[] = []
  let value = 0
  for (const byte of element.content) {
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) {
      if (parts.length === 0) parts.push(Math.min(2, Math.floor(value / 40)), value % 40)
      else parts.push(value)
      value = 0
    }
  }
  return parts.join('.')
}

export function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(content.length)
  const short = length.subarray(length.findIndex(byte => byte !== 0))
  return Buffer.concat([Buffer.from([tag, 0x80 | short.length]), short, content])
}

export function sequence(...items: readonly Buffer[]): Buffer {
  return der(TAG.sequence, ...items)
}

export function octets(content: Buffer): Buffer {
  return der(TAG.octets, content)
}

export function integer(value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(value, 0, 6)
  const first = bytes.findIndex(byte => byte !== 0)
  const short = first < 0 ? bytes.subarray(5) : bytes.subarray(first)
  const negative = ((short[0] ?? 0) & 0x80) !== 0
  return der(TAG.integer, ...(negative ? [Buffer.from([0])] : []), short)
}

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap(value => {
    const digits = [value % 128]
    for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
      digits.unshift((left % 128) | 0x80)
    }
    return digits
  })
  return der(TAG.oid, Buffer.from(bytes))
}
