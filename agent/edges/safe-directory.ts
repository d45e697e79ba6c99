// The way to a file that is about to be written: every directory on it is opened by itself, without
// following symlinks, and the file is then named relative to the last descriptor. Whoever renames
// or replaces a directory meanwhile cannot lead a write elsewhere. Node has no openat(2);
// `/proc/self/fd/N/name` is the same thing.

import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { systemErrorCode } from '../../shared/errors.ts'
import { unsafePath, writeError } from './file-errors.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

export interface SafeDirectory {
  readonly fd: number
  /** Path of an entry of this directory that no symlink can redirect. */
  at(name: string): string
}

/**
 * Calls `use` with the directory that `path` is in and with the last part of the path; `absent`
 * answers where that directory does not exist. Throws `unsafe-path`.
 */
export async function inParent<T>(
  root: string,
  path: string,
  use: (parent: SafeDirectory, name: string) => Promise<T>,
  absent: (cause: unknown) => T,
): Promise<T> {
  const parts = partsOf(path)
  const name = parts.pop()
  if (name === undefined) throw unsafePath(path, 'it is the root directory')
  let fd: number
  try {
    fd = openChain(root, path, parts)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return absent(error)
    throw writeError('open the directory of', path, error)
  }
  try {
    return await use(directoryOf(fd), name)
  } finally {
    closeSync(fd)
  }
}

export function directoryOf(fd: number): SafeDirectory {
  return { fd, at: name => `/proc/self/fd/${fd}/${name}` }
}

/** A directory below an open one, symlinks refused. The caller closes it. */
export function openBelow(parent: SafeDirectory, name: string): number {
  return openSync(parent.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
}

function openChain(root: string, path: string, parts: readonly string[]): number {
  let fd = openSync(root, O_RDONLY | O_DIRECTORY)
  try {
    refuseForeignHands(fd, path, root)
    let walked = ''
    for (const part of parts) {
      walked += `/${part}`
      const next = openNext(fd, part, path, walked)
      closeSync(fd)
      fd = next
      refuseForeignHands(fd, path, walked)
    }
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openNext(fd: number, part: string, path: string, walked: string): number {
  try {
    return openBelow(directoryOf(fd), part)
  } catch (error) {
    const errno = systemErrorCode(error)
    if (errno === 'ENOTDIR' || errno === 'ELOOP')
      throw unsafePath(path, `${walked} is a symlink or no directory`)
    throw error
  }
}

// Who can write a directory can replace what is in it, and so make a root process write anywhere.
// A sticky directory is no exception: its users can still put a name in the way.
function refuseForeignHands(fd: number, path: string, walked: string): void {
  const { uid, mode } = fstatSync(fd)
  if (uid !== 0 && uid !== process.geteuid?.())
    throw unsafePath(path, `${walked} belongs to user id ${uid}`, `chown root ${walked}`)
  if ((mode & 0o022) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0')
    throw unsafePath(path, `${walked} is writable by others (${octal})`, `chmod go-w ${walked}`)
  }
}

function partsOf(path: string): string[] {
  const [first, ...parts] = path.split('/')
  const odd = parts.some(part => part === '' || part === '.' || part === '..')
  if (first !== '' || odd || path.includes('\0'))
    throw unsafePath(path, 'it is not an absolute path in its plain form')
  return parts
}
