// Whole directories of services. Every level is opened by itself and without following symlinks, so
// that nothing outside of the tree is read, whoever renames what meanwhile. File systems that can share
// blocks copy nothing but the directory.

import { closeSync, constants, copyFile, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { readdirSync, readlinkSync, realpathSync, type Stats, symlinkSync } from 'node:fs'
import { posix } from 'node:path'
import { promisify } from 'node:util'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import type { TreeEntry, Trees } from '../host.ts'
import { isMissing, writeError } from './file-errors.ts'
import { resolveInside } from './inside-root.ts'
import { directoryOf, inParent, openBelow, type SafeDirectory } from './safe-directory.ts'
import { flush, own } from './write-file.ts'

const { COPYFILE_EXCL, COPYFILE_FICLONE, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

// What is copied is a small store; anything larger is for a program that knows it.
const ENTRIES_MAX = 10_000
const DEPTH_MAX = 8

export function createTrees({ root }: { readonly root?: string | undefined } = {}): Trees {
  const base = root === undefined || root === '/' ? '' : realpathSync(root)
  const top = base === '' ? '/' : base

  /** Where it really is; whoever has moved a service's data leaves a symlink. */
  function open(path: string): number | undefined {
    try {
      const real = base === '' ? path : resolveInside(base, path, { followLast: true })
      return real === undefined ? undefined : openSync(real, O_RDONLY | O_DIRECTORY)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw unusable(path, systemErrorCode(error) ?? 'it cannot be looked at', error)
    }
  }

  return {
    async sizeOf(path) {
      const fd = open(path)
      if (fd === undefined) return undefined
      let bytes = 0
      const visit: Visitor = {
        entered: async () => undefined,
        file: async (_, { size }) => void (bytes += size),
        symlink: async () => undefined,
      }
      try {
        await walk({ path, visit, count: 0, isLive: true }, directoryOf(fd), '.')
      } finally {
        closeSync(fd)
      }
      return bytes
    },
    async copy(path, to) {
      const fd = open(path)
      if (fd === undefined) throw unusable(path, 'it is gone')
      const entries: TreeEntry[] = []
      try {
        await inParent(
          top,
          to,
          (parent, name) => copyTo({ path, entries, to }, directoryOf(fd), parent, name),
          cause => {
            throw writeError('make directory', to, cause)
          },
        )
      } finally {
        closeSync(fd)
      }
      return entries
    },
  }
}

interface Visitor {
  /** May return what is done once all in it was visited. */
  entered(at: string, stat: Stats): Promise<(() => Promise<void>) | undefined>
  file(at: string, stat: Stats, fd: number): Promise<void>
  symlink(at: string, stat: Stats, target: string): Promise<void>
}

interface Walk {
  readonly path: string
  readonly visit: Visitor
  count: number
  /** Its service runs: what is gone by the time that it is looked at is no matter. */
  readonly isLive: boolean
}

async function walk(tree: Walk, directory: SafeDirectory, at: string, depth = 0): Promise<void> {
  const { path, visit } = tree
  if (depth > DEPTH_MAX) throw unusable(path, `it is more than ${DEPTH_MAX} levels deep`)
  const leave = await visit.entered(at, fstatSync(directory.fd))
  for (const name of readdirSync(directory.at('.')).toSorted()) {
    if (++tree.count > ENTRIES_MAX) throw unusable(path, `it has more than ${ENTRIES_MAX} entries`)
    try {
      await visitEntry(tree, directory, name, { at: posix.join(at, name), depth })
    } catch (error) {
      if (!tree.isLive || !isMissing(error)) throw error
    }
  }
  await leave?.()
}

async function visitEntry(
  tree: Walk,
  directory: SafeDirectory,
  name: string,
  { at, depth }: { readonly at: string; readonly depth: number },
): Promise<void> {
  const stat = lstatSync(directory.at(name))
  if (stat.isSymbolicLink()) {
    const target = readlinkSync(directory.at(name))
    if (leadsOut(at, target))
      throw unusable(tree.path, `${at} in it is a symlink to ${target}, which is not copied`)
    return tree.visit.symlink(at, stat, target)
  }
  // A socket is no data, and a device is none of it.
  if (!stat.isFile() && !stat.isDirectory()) return
  const fd = stat.isFile()
    ? openSync(directory.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    : openBelow(directory, name)
  try {
    if (stat.isFile()) await tree.visit.file(at, fstatSync(fd), fd)
    else await walk(tree, directoryOf(fd), at, depth + 1)
  } finally {
    closeSync(fd)
  }
}

function leadsOut(at: string, target: string): boolean {
  const place = posix.join(posix.dirname(at), target)
  return target.startsWith('/') || place === '..' || place.startsWith('../')
}

interface Copying {
  readonly path: string
  readonly to: string
  readonly entries: TreeEntry[]
}

async function copyTo(
  { path, to, entries }: Copying,
  from: SafeDirectory,
  parent: SafeDirectory,
  name: string,
): Promise<void> {
  // The open target directories, from the outermost to the one that is being filled.
  const open: { readonly at: string; readonly fd: number }[] = []
  const targetOf = (at: string): string =>
    directoryIn(open, parent).at(at === '.' ? name : posix.basename(at))
  const note = (at: string, kind: TreeEntry['kind'], stat: Stats) => {
    const { uid, gid, size } = stat
    const sizeBytes = kind === 'directory' ? 0 : size
    entries.push({ path: at, kind, mode: stat.mode & 0o7777, uid, gid, sizeBytes })
  }
  const visit: Visitor = {
    async entered(at, stat) {
      const above = directoryIn(open, parent)
      mkdirSync(targetOf(at), { mode: 0o700 })
      note(at, 'directory', stat)
      const fd = openBelow(above, at === '.' ? name : posix.basename(at))
      open.push({ at, fd })
      return async () => {
        own(fd, ours(stat))
        await flush(fd)
        closeSync(fd)
        open.pop()
      }
    },
    async file(at, stat, fd) {
      const target = targetOf(at)
      // Not that of fs/promises, whose modules would be loaded for it: 4 ms of every start.
      await promisify(copyFile)(`/proc/self/fd/${fd}`, target, COPYFILE_EXCL | COPYFILE_FICLONE)
      await settle(target, stat)
      if (fstatSync(fd).mtimeMs !== stat.mtimeMs)
        throw unusable(path, `${at} in it is being written`)
      note(at, 'file', stat)
    },
    async symlink(at, stat, target) {
      symlinkSync(target, targetOf(at))
      note(at, 'symlink', stat)
    },
  }
  try {
    await walk({ path, visit, count: 0, isLive: false }, from, '.')
    await flush(parent.fd)
  } catch (error) {
    throw writeError(`copy ${path} to`, to, error)
  } finally {
    for (const { fd } of open) closeSync(fd)
  }
}

function directoryIn(
  open: readonly { readonly fd: number }[],
  parent: SafeDirectory,
): SafeDirectory {
  const last = open.at(-1)
  return last === undefined ? parent : directoryOf(last.fd)
}

async function settle(target: string, stat: Stats): Promise<void> {
  const fd = openSync(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    own(fd, ours(stat))
    await flush(fd)
  } finally {
    closeSync(fd)
  }
}

// Nothing that is kept may be run as somebody else.
function ours({ mode }: Stats) {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
  return { mode: mode & 0o777, uid, gid }
}

function unusable(path: string, why: string, cause?: unknown): OperationalError {
  return new OperationalError('tree-unusable', `could not copy ${path}: ${why}`, { cause })
}
