// Compressing the runtime costs more than a minute and gives the same bytes each time, so what was
// compressed once is kept under the digest of what it was made from.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** `fast` is for tests: larger, and done in two seconds. */
export type Compression = 'xz' | 'gz' | 'fast'

export const SUFFIX: Readonly<Record<Compression, string>> = { xz: 'xz', gz: 'gz', fast: 'gz' }

// Always two threads: the bytes then do not depend on how many cores the machine has.
const XZ = ['-6', '-T2', '--stdout']
const OUTPUT_BYTES_MAX = 1024 ** 3
const WORTH_KEEPING_BYTES = 16 * 1024 * 1024

export function compress(data: Buffer, how: Compression, cache: string): Buffer {
  return data.length < WORTH_KEEPING_BYTES
    ? compressNow(data, how)
    : kept(cache, ['compress', how, XZ.join(' '), sha256(data)], () => compressNow(data, how))
}

/** What `make` gives for `key`; made once for each cache. */
export function kept(cache: string, key: readonly string[], make: () => Buffer): Buffer {
  const path = join(cache, sha256(Buffer.from(JSON.stringify(key))))
  if (existsSync(path)) return readFileSync(path)
  const made = make()
  mkdirSync(dirname(path), { recursive: true })
  // Whole or not at all, whoever else is at it.
  writeFileSync(`${path}.${process.pid}`, made)
  renameSync(`${path}.${process.pid}`, path)
  return made
}

export function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

function compressNow(data: Buffer, how: Compression): Buffer {
  if (how !== 'xz') return gzipSync(data, { level: how === 'fast' ? 1 : 9 })
  const { status, stdout, stderr, error } = spawnSync('xz', XZ, {
    input: data,
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  if (error !== undefined) throw new Error(`run xz: ${error.message}; install xz-utils, or --fast`)
  if (status !== 0) throw new Error(`run xz: ${stderr.toString()}`)
  return stdout
}
