// A new file, complete or not at all. Everything goes through one descriptor, so what was checked
// is what was written.

import { closeSync, constants, fchmodSync, fchownSync, fstatSync, fsync } from 'node:fs'
import { openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { OperationalError } from '../../shared/errors.ts'
import type { NewFile, Ownership } from '../host.ts'
import { unsafePath, writeError } from './file-errors.ts'
import type { SafeDirectory } from './safe-directory.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants

/** The one slow call, so the one that leaves the loop free. */
export const flush = promisify(fsync)

/** Writes a file that does not exist yet, with its directory entry on disk. Leaves nothing behind when it fails. */
export async function writeNewFile(
  parent: SafeDirectory,
  name: string,
  path: string,
  file: NewFile,
): Promise<void> {
  // Nobody but the owner until owner and group are right: a key must not be readable by a group
  // that it was not meant for, not even for an instant.
  const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
  let fd: number
  try {
    fd = openSync(parent.at(name), flags, file.mode & 0o600)
  } catch (error) {
    throw writeError('create file', path, error)
  }
  try {
    writeAll(fd, file.contents)
    own(fd, file)
    await flush(fd)
    verify(fd, path, file)
    await flush(parent.fd)
  } catch (error) {
    removeQuietly(parent.at(name))
    throw writeError('write file', path, error)
  } finally {
    closeSync(fd)
  }
}

/** Corrects owner and mode by descriptor; what is right already is not touched. */
export function own(fd: number, { uid, gid, mode }: Ownership): void {
  const before = fstatSync(fd)
  const chown = before.uid !== uid || before.gid !== gid
  // The order matters: chown clears bits that chmod has set.
  if (chown) fchownSync(fd, uid, gid)
  if (chown || (before.mode & 0o7777) !== mode) fchmodSync(fd, mode)
}

// On a full disk write(2) takes a part and says so by its result only; the next call then fails.
function writeAll(fd: number, contents: Uint8Array): void {
  let written = 0
  while (written < contents.length) {
    const count = writeSync(fd, contents, written, contents.length - written)
    if (count === 0) throw new Error('nothing more was written')
    written += count
  }
}

function verify(fd: number, path: string, { contents, ...wanted }: NewFile): void {
  const stat = fstatSync(fd)
  if (stat.nlink !== 1) throw unsafePath(path, `the new file has ${stat.nlink} links`)
  const owned =
    stat.uid === wanted.uid && stat.gid === wanted.gid && (stat.mode & 0o7777) === wanted.mode
  if (!owned) throw mismatch(path, 'owner or mode')
  if (stat.size !== contents.length) throw mismatch(path, 'length')
  if (!readBack(fd, contents.length).equals(contents)) throw mismatch(path, 'contents')
}

function readBack(fd: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  let filled = 0
  while (filled < bytes) {
    const count = readSync(fd, buffer, filled, bytes - filled, filled)
    if (count === 0) break
    filled += count
  }
  return buffer.subarray(0, filled)
}

function mismatch(path: string, what: string): OperationalError {
  return new OperationalError('write-failed', `${what} of ${path} differ from what was written`, {
    details: { path },
  })
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // The first error is the one to tell; a left-over of ours is overwritten by the next attempt.
  }
}
