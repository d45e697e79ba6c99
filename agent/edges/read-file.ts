// What is on the disk, as it is, without ever waiting for it: regular files of a bearable size.

import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { readdirSync, readlinkSync, readSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { FILE_BYTES_MAX, type FileKind, type FileStat } from '../host.ts'
import { isMissing, readError } from './file-errors.ts'

const { O_NONBLOCK, O_RDONLY } = constants

/** The real path of a logical one; undefined where it is known that there is none. */
export type Locate = (path: string, followLast: boolean) => string | undefined

export function statAt(path: string, locate: Locate, followLast: boolean): FileStat | undefined {
  const stat = lookAt(path, locate, followLast)
  return stat === undefined ? undefined : describe(stat)
}

function lookAt(path: string, locate: Locate, followLast: boolean): BigIntStats | undefined {
  try {
    const real = locate(path, followLast)
    if (real === undefined) return undefined
    return followLast ? statSync(real, OPTIONS) : lstatSync(real, OPTIONS)
  } catch (error) {
    // A ring of symlinks leads to nothing, as a dangling one does.
    if (isMissing(error) || systemErrorCode(error) === 'ELOOP') return undefined
    throw readError('look at', path, error)
  }
}

const OPTIONS = { bigint: true, throwIfNoEntry: false } as const

/** See Files.versions. */
export function versionAt(path: string, locate: Locate): string {
  const stat = lookAt(path, locate, false)
  if (stat?.isSymbolicLink() !== true) return versionOf(stat)
  return `${versionOf(stat)} ${versionOf(lookAt(path, locate, true))}`
}

function versionOf(stat: BigIntStats | undefined): string {
  if (stat === undefined) return 'none'
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
}

function describe(stat: BigIntStats): FileStat {
  return {
    kind: kindOf(stat),
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: Number(stat.size),
    links: Number(stat.nlink),
    version: versionOf(stat),
    // mtime can be set by anyone who owns the file; ctime moves with every change, and only then.
    changedAtMs: Number(stat.ctimeNs / 1_000_000n),
  }
}

function kindOf(stat: Pick<BigIntStats, 'isFile' | 'isDirectory' | 'isSymbolicLink'>): FileKind {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'directory'
  return stat.isSymbolicLink() ? 'symlink' : 'other'
}

export function readAt(path: string, locate: Locate): Uint8Array | undefined {
  try {
    const real = locate(path, true)
    if (real === undefined) return undefined
    // Looked at before it is opened: opening a device can have effects.
    const stat = statSync(real, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    refuseOddFile(stat, path)
    const fd = openSync(real, O_RDONLY | O_NONBLOCK)
    try {
      return readWhole(fd, path)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw readError('read', path, error)
  }
}

// The size is only a first guess: the file may grow while it is read.
function readWhole(fd: number, path: string): Uint8Array {
  const stat = fstatSync(fd)
  refuseOddFile(stat, path)
  let buffer = Buffer.allocUnsafe(stat.size + 1)
  let filled = 0
  for (;;) {
    const count = readSync(fd, buffer, filled, buffer.length - filled, null)
    if (count === 0) return buffer.subarray(0, filled)
    filled += count
    if (filled > FILE_BYTES_MAX) throw tooLarge(path, filled)
    if (filled === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2)
  }
}

function refuseOddFile(stat: { isFile(): boolean; readonly size: number }, path: string): void {
  if (!stat.isFile())
    throw new OperationalError('not-a-file', `could not read ${path}: it is no regular file`, {
      details: { path },
    })
  if (stat.size > FILE_BYTES_MAX) throw tooLarge(path, stat.size)
}

function tooLarge(path: string, sizeBytes: number): OperationalError {
  return new OperationalError('file-too-large', `could not read ${path}: it is too large`, {
    details: { path, sizeBytes, bytesMax: FILE_BYTES_MAX },
  })
}

export function readLinkAt(path: string, locate: Locate): string | undefined {
  try {
    const real = locate(path, false)
    return real === undefined ? undefined : readlinkSync(real)
  } catch (error) {
    // EINVAL: it is there and is no symlink.
    if (isMissing(error) || systemErrorCode(error) === 'EINVAL') return undefined
    throw readError('read the link', path, error)
  }
}

export function listAt(path: string, locate: Locate): readonly string[] {
  try {
    const real = locate(path, true)
    return real === undefined ? [] : readdirSync(real).toSorted()
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw readError('list', path, error)
  }
}

/** Of the file system of a directory, or of the next one above it that is there; for others than root. */
export function freeBytesAt(path: string, locate: Locate): number | undefined {
  for (let directory = path; ; directory = dirname(directory)) {
    const freeBytes = freeBytesOf(directory, locate)
    if (freeBytes !== 'missing') return freeBytes
    if (directory === dirname(directory)) return undefined
  }
}

function freeBytesOf(directory: string, locate: Locate): number | 'missing' | undefined {
  try {
    const real = locate(directory, true)
    if (real === undefined) return 'missing'
    const { bavail, bsize, blocks } = statfsSync(real)
    // A file system without a size of its own says that it has no blocks.
    return blocks === 0 ? undefined : bavail * bsize
  } catch (error) {
    // Not to know it is no reason to change nothing.
    return isMissing(error) ? 'missing' : undefined
  }
}
