// The node's files. Reading follows symlinks as the services do; writing follows none and refuses
// directories that others can change. Calls are synchronous where the kernel answers from memory:
// a pass over a converged node is little but stats, and a trip through the thread pool costs ten
// times the call. Only fsync leaves the loop free.

import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { readdirSync, realpathSync, renameSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemErrorCode } from '../../shared/errors.ts'
import type { Files, Ownership } from '../host.ts'
import { unsafePath, writeError } from './file-errors.ts'
import { foundNothing, resolveInside, resolveParent } from './inside-root.ts'
import {
  freeBytesAt,
  type Locate,
  listAt,
  readAt,
  readLinkAt,
  statAt,
  versionAt,
} from './read-file.ts'
import { directoryOf, inParent, openBelow, type SafeDirectory } from './safe-directory.ts'
import { flush, own, writeNewFile } from './write-file.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** How everything that we put beside a live file for a moment begins; watchers ignore it. */
export const STAGED_PREFIX = '.tlsfleet-'

export interface FilesOptions {
  /** All paths are below it; undefined: the machine's own root. */
  readonly root?: string | undefined
}

export function createFiles({ root }: FilesOptions = {}): Files {
  const base = root === undefined || root === '/' ? '' : realpathSync(root)
  const top = base === '' ? '/' : base
  const locate: Locate = (path, followLast) =>
    base === '' ? path : resolveInside(base, path, { followLast })
  const locateTogether = (): Locate => {
    if (base === '') return locate
    const found = foundNothing()
    return (path, followLast) =>
      followLast
        ? resolveInside(base, path, { followLast, found })
        : resolveParent(base, path, found)
  }
  const look = (path: string, followLast: boolean) => statAt(path, locate, followLast)
  const within = <T>(
    attempt: string,
    path: string,
    use: (parent: SafeDirectory, name: string) => Promise<T>,
  ): Promise<T> =>
    inParent(top, path, use, cause => {
      throw writeError(attempt, path, cause)
    })

  return {
    stat: async path => look(path, false),
    statFollowed: async path => look(path, true),
    versions: async paths => {
      const locateOnce = locateTogether()
      return new Map(paths.map(path => [path, versionAt(path, locateOnce)]))
    },
    read: async path => readAt(path, locate),
    readLink: async path => readLinkAt(path, locate),
    list: async path => listAt(path, locate),
    freeBytes: async path => freeBytesAt(path, locate),

    create: (path, { overwrite, ...file }) =>
      within('write file', path, async (parent, name) => {
        if (overwrite) removeFile(parent, name, path)
        await writeNewFile(parent, name, path, file)
      }),
    rename: (from, to) =>
      within('rename', from, (source, name) =>
        within('rename', to, (target, newName) =>
          renameAt(
            { parent: source, name, path: from },
            { parent: target, name: newName, path: to },
          ),
        ),
      ),
    switchLink: (path, target) =>
      within('switch link', path, (parent, name) => switchLinkAt(parent, name, path, target)),
    makeDirectory: (path, owner) =>
      within('make directory', path, (parent, name) => makeDirectoryAt(parent, name, path, owner)),
    setOwnership: (path, owner) =>
      within('correct owner and mode of', path, (parent, name) =>
        setOwnershipAt(parent, name, path, owner),
      ),
    remove: path =>
      inParent(
        top,
        path,
        async (parent, name) => {
          try {
            if (removeTree(parent, name, path, 0)) await flush(parent.fd)
          } catch (error) {
            throw writeError('remove', path, error)
          }
        },
        () => undefined,
      ),
  }
}

interface Entry {
  readonly parent: SafeDirectory
  readonly name: string
  readonly path: string
}

async function renameAt(from: Entry, to: Entry): Promise<void> {
  try {
    renameSync(from.parent.at(from.name), to.parent.at(to.name))
    await flush(to.parent.fd)
    if (dirname(from.path) !== dirname(to.path)) await flush(from.parent.fd)
  } catch (error) {
    throw writeError(`rename ${from.path} to`, to.path, error)
  }
}

async function switchLinkAt(
  parent: SafeDirectory,
  name: string,
  path: string,
  target: string,
): Promise<void> {
  if (target === '' || target.startsWith('/'))
    throw unsafePath(path, `the target ${target} is not relative`)
  const staged = `${STAGED_PREFIX}link-${name}`
  try {
    removeFile(parent, staged, path)
    symlinkSync(target, parent.at(staged))
    try {
      renameSync(parent.at(staged), parent.at(name))
    } catch (error) {
      removeFile(parent, staged, path)
      throw error
    }
    await flush(parent.fd)
  } catch (error) {
    throw writeError('switch link', path, error)
  }
}

async function makeDirectoryAt(
  parent: SafeDirectory,
  name: string,
  path: string,
  owner: Ownership,
): Promise<void> {
  try {
    const made = makeMissing(parent.at(name))
    const fd = openBelow(parent, name)
    try {
      own(fd, owner)
      if (made) await flush(fd)
    } finally {
      closeSync(fd)
    }
    if (made) await flush(parent.fd)
  } catch (error) {
    throw writeError('make directory', path, error)
  }
}

/** Closed to others until its owner is right. False: it was there. */
function makeMissing(path: string): boolean {
  try {
    mkdirSync(path, 0o700)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false
    throw error
  }
}

async function setOwnershipAt(
  parent: SafeDirectory,
  name: string,
  path: string,
  owner: Ownership,
): Promise<void> {
  try {
    const fd = openSync(parent.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const stat = fstatSync(fd)
      if (!stat.isFile() && !stat.isDirectory())
        throw unsafePath(path, 'it is neither a file nor a directory')
      // The other name may be in a place that is not ours to change.
      if (stat.isFile() && stat.nlink !== 1) throw unsafePath(path, 'it has other hard links')
      own(fd, owner)
      await flush(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw writeError('correct owner and mode of', path, error)
  }
}

/** Unlinks a file or symlink; a directory is never taken for one. */
function removeFile(parent: SafeDirectory, name: string, path: string): void {
  try {
    unlinkSync(parent.at(name))
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return
    throw writeError('remove what is in the way at', path, error)
  }
}

// Our own trees are three levels deep, and copies of a service's directories as deep as these lie, and
// eight more; a deeper one is not ours.
const DEPTH_MAX = 32

/** Every level is opened without following symlinks, so nothing outside of the tree is reached. */
function removeTree(parent: SafeDirectory, name: string, path: string, depth: number): boolean {
  const stat = lstatSync(parent.at(name), { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (!stat.isDirectory()) {
    unlinkSync(parent.at(name))
    return true
  }
  if (depth === DEPTH_MAX) throw unsafePath(path, `it is more than ${DEPTH_MAX} levels deep`)
  const fd = openBelow(parent, name)
  try {
    const directory = directoryOf(fd)
    for (const entry of readdirSync(directory.at('.')))
      removeTree(directory, entry, path, depth + 1)
  } finally {
    closeSync(fd)
  }
  rmdirSync(parent.at(name))
  return true
}
