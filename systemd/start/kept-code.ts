// What the engine has compiled of the scripts of a program, in one file: read when the program starts,
// written when it ends. The engine believes what it is given and dies of what is damaged, so nothing of
// a file is used that is not whole, or that somebody else could have written.

import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'

export interface CompiledScript {
  /** CRC-32 of the text that it was compiled from; the engine compares lengths only. */
  readonly source: number
  readonly code: Buffer
}

export type CompiledScripts = ReadonlyMap<string, CompiledScript>

/** By the name of the script: where its code is, relative to the end of the index, and `source`. */
type Index = Readonly<Record<string, readonly [offset: number, length: number, source: number]>>

/** CRC-32 of all that follows, length of the index; both little-endian. */
const HEADER_BYTES = 8
const ALIGNMENT = 8
const OTHERS_WRITE = 0o022

/** Empty when there is none, or none that can be used. `uid`: of this process. */
export function readCompiled(path: string, uid: number): CompiledScripts {
  const bytes = readOwn(path, uid)
  return bytes === undefined || !isWhole(bytes) ? new Map() : parse(bytes)
}

function isWhole(bytes: Buffer): boolean {
  return bytes.length >= HEADER_BYTES && crc32(bytes.subarray(4)) === bytes.readUInt32LE(0)
}

function parse(bytes: Buffer): CompiledScripts {
  const begin = HEADER_BYTES + bytes.readUInt32LE(4)
  const index: Index = JSON.parse(bytes.toString('latin1', HEADER_BYTES, begin))
  return new Map(
    Object.entries(index).map(([name, [offset, length, source]]) => {
      const at = begin + offset
      return [name, { source, code: bytes.subarray(at, at + length) }]
    }),
  )
}

/** Whole or not at all, also after a power failure; not at all where it cannot be written. */
export function writeCompiled(path: string, scripts: CompiledScripts): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    replace(path, serialize(scripts))
  } catch {
    // The next run compiles again, as this one did.
  }
}

function replace(path: string, bytes: Buffer): void {
  const written = `${path}.${process.pid}`
  const file = openSync(written, 'wx', 0o600)
  try {
    writeFileSync(file, bytes)
    fsyncSync(file)
    renameSync(written, path)
  } catch (error) {
    rmSync(written, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
}

export function serialize(scripts: CompiledScripts): Buffer {
  const index: Record<string, Index[string]> = {}
  const parts: Buffer[] = []
  let offset = 0
  for (const [name, { source, code }] of scripts) {
    index[name] = [offset, code.length, source]
    parts.push(code, Buffer.alloc(padding(code.length)))
    offset += code.length + padding(code.length)
  }
  const text = Buffer.from(JSON.stringify(index), 'latin1')
  const header = Buffer.alloc(HEADER_BYTES)
  const blank = Buffer.alloc(padding(text.length), ' ')
  header.writeUInt32LE(text.length + blank.length, 4)
  const bytes = Buffer.concat([header, text, blank, ...parts])
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0)
  return bytes
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT
}

function readOwn(path: string, uid: number): Buffer | undefined {
  try {
    const file = openSync(path, 'r')
    try {
      const stat = fstatSync(file)
      const isOwn = (stat.uid === 0 || stat.uid === uid) && (stat.mode & OTHERS_WRITE) === 0
      return isOwn ? readFileSync(file) : undefined
    } finally {
      closeSync(file)
    }
  } catch {
    return undefined
  }
}
