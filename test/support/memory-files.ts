// A file system in memory with the promises of the real edge: atomic renames, owners, modes,
// symlinks. It can lose power: after a given number of changes nothing works any more.

import { posix } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import type { FileStat, Files, Ownership } from '../../agent/host.ts'

type Entry = {
  readonly owner: Ownership
  readonly version: number
  readonly changedAtMs: number
} & (
  | { readonly kind: 'file'; readonly contents: Uint8Array }
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string }
)

/** Thrown by everything once the power is gone; no OperationalError, so nobody may handle it. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut'
}

export interface Power {
  /** Counts one change of the node; throws from the given one on. */
  change(): void
  /** Throws when the power is gone. */
  check(): void
  readonly changes: () => number
}

/** `cutAt` changes happen, the next one does not; undefined: never. */
export function createPower(cutAt: number | undefined): Power {
  let changes = 0
  let isOut = false
  const check = () => {
    if (isOut) throw new PowerCut('the power is gone')
  }
  return {
    check,
    changes: () => changes,
    change() {
      check()
      if (cutAt !== undefined && changes >= cutAt) {
        isOut = true
        check()
      }
      changes += 1
    },
  }
}

export type Tree = Map<string, Entry>

export interface MemoryFiles extends Files {
  readonly tree: Tree
  /** As an operator or a package would, without counting and from the outside. */
  put(path: string, contents: string | Uint8Array, owner?: Partial<Ownership>): void
  text(path: string): string | undefined
  bytes(path: string): Uint8Array | undefined
}

export const ROOT: Ownership = { mode: 0o644, uid: 0, gid: 0 }

export function createMemoryFiles(
  tree: Tree,
  now: () => number,
  power: () => Power,
  fault?: (operation: string, path: string) => void,
): MemoryFiles {
  let versions = tree.size
  const nextVersion = () => {
    versions += 1
    return versions
  }
  const set = (path: string, entry: DistributiveOmit<Entry, 'version' | 'changedAtMs'>) => {
    tree.set(path, { ...entry, version: nextVersion(), changedAtMs: now() })
  }
  const resolve = (path: string, hops = 0): string => {
    if (hops > 40) throw new OperationalError('unsafe-path', `too many symlinks at ${path}`)
    let current = '/'
    const parts = path.split('/').filter(part => part !== '')
    for (const [index, part] of parts.entries()) {
      current = posix.join(current, part)
      const entry = tree.get(current)
      if (entry?.kind === 'symlink') {
        return resolve(
          posix.resolve(posix.dirname(current), entry.target, ...parts.slice(index + 1)),
          hops + 1,
        )
      }
    }
    return current
  }
  const parentOf = (path: string) =>
    `${resolve(posix.dirname(path))}/${posix.basename(path)}`.replace('//', '/')
  const writing = (operation: string, path: string) => {
    power().check()
    fault?.(operation, path)
    const parent = posix.dirname(parentOf(path))
    if (parent !== '/' && tree.get(parent)?.kind !== 'directory') {
      throw new OperationalError(
        'write-failed',
        `could not ${operation} ${path}: no directory ${parent}`,
      )
    }
    power().change()
  }
  const statOf = (path: string): FileStat | undefined => {
    const entry = tree.get(path)
    if (entry === undefined) return undefined
    return {
      kind: entry.kind,
      ...entry.owner,
      sizeBytes: entry.kind === 'file' ? entry.contents.length : 0,
      links: 1,
      version: String(entry.version),
      changedAtMs: entry.changedAtMs,
    }
  }
  const removeTree = (path: string) => {
    for (const name of Array.from(tree.keys()))
      if (name === path || name.startsWith(`${path}/`)) tree.delete(name)
  }
  return {
    tree,
    async stat(path) {
      power().check()
      return statOf(parentOf(path))
    },
    async statFollowed(path) {
      power().check()
      return statOf(resolve(path))
    },
    async versions(paths) {
      power().check()
      const versionOf = (path: string) => {
        const stat = statOf(parentOf(path))
        if (stat?.kind !== 'symlink') return stat?.version ?? 'none'
        return `${stat.version} ${statOf(resolve(path))?.version ?? 'none'}`
      }
      return new Map(paths.map(path => [path, versionOf(path)]))
    },
    async read(path) {
      power().check()
      const entry = tree.get(resolve(path))
      if (entry === undefined) return undefined
      if (entry.kind !== 'file') throw new OperationalError('not-a-file', `could not read ${path}`)
      return entry.contents
    },
    async readLink(path) {
      power().check()
      const entry = tree.get(parentOf(path))
      return entry?.kind === 'symlink' ? entry.target : undefined
    },
    async list(path) {
      power().check()
      const directory = resolve(path)
      return [...tree.keys()]
        .filter(name => posix.dirname(name) === directory && name !== '/')
        .map(name => posix.basename(name))
        .sort()
    },
    freeBytes: async () => undefined,
    async create(path, { contents, overwrite, mode, uid, gid }) {
      writing('create', path)
      const at = parentOf(path)
      if (tree.has(at) && !overwrite)
        throw new OperationalError('write-failed', `could not create ${path}: it exists`)
      set(at, { kind: 'file', contents: Uint8Array.from(contents), owner: { mode, uid, gid } })
    },
    async rename(from, to) {
      writing('rename', to)
      const entry = tree.get(parentOf(from))
      if (entry === undefined)
        throw new OperationalError('write-failed', `could not rename ${from}: it does not exist`)
      const [source, target] = [parentOf(from), parentOf(to)]
      tree.delete(source)
      set(target, entry)
      for (const [name, below] of Array.from(tree)) {
        if (!name.startsWith(`${source}/`)) continue
        tree.delete(name)
        tree.set(`${target}${name.slice(source.length)}`, below)
      }
    },
    async switchLink(path, target) {
      writing('switchLink', path)
      set(parentOf(path), { kind: 'symlink', target, owner: { mode: 0o777, uid: 0, gid: 0 } })
    },
    async makeDirectory(path, owner) {
      writing('makeDirectory', path)
      set(parentOf(path), {
        kind: 'directory',
        owner: { mode: owner.mode, uid: owner.uid, gid: owner.gid },
      })
    },
    async setOwnership(path, owner) {
      writing('setOwnership', path)
      const at = parentOf(path)
      const entry = tree.get(at)
      if (entry === undefined)
        throw new OperationalError(
          'write-failed',
          `could not set the owner of ${path}: it does not exist`,
        )
      set(at, { ...entry, owner: { mode: owner.mode, uid: owner.uid, gid: owner.gid } })
    },
    async remove(path) {
      power().check()
      const at = parentOf(path)
      if (!tree.has(at)) return
      power().change()
      removeTree(at)
    },
    put(path, contents, owner) {
      const parts = path.split('/').filter(part => part !== '')
      for (let depth = 1; depth < parts.length; depth++) {
        const directory = `/${parts.slice(0, depth).join('/')}`
        if (!tree.has(directory))
          set(directory, { kind: 'directory', owner: { mode: 0o755, uid: 0, gid: 0 } })
      }
      set(path, { kind: 'file', contents: Buffer.from(contents), owner: { ...ROOT, ...owner } })
    },
    text(path) {
      const entry = tree.get(resolve(path))
      return entry?.kind === 'file' ? Buffer.from(entry.contents).toString('utf8') : undefined
    },
    bytes(path) {
      const entry = tree.get(resolve(path))
      return entry?.kind === 'file' ? entry.contents : undefined
    },
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** May this user read it, along the whole path? The rules of the kernel for mode bits. */
export function canRead(
  tree: Tree,
  path: string,
  user: { readonly uid: number; readonly gid: number },
): boolean {
  const allows = (entry: Entry, bit: number) => {
    const { mode, uid, gid } = entry.owner
    if (uid === user.uid) return (mode & (bit << 6)) !== 0
    if (gid === user.gid) return (mode & (bit << 3)) !== 0
    return (mode & bit) !== 0
  }
  const parts = path.split('/').filter(part => part !== '')
  let current = ''
  for (const [index, part] of parts.entries()) {
    current = `${current}/${part}`
    const entry = tree.get(current)
    if (entry === undefined) return false
    if (entry.kind === 'symlink') {
      const rest = parts.slice(index + 1)
      return canRead(tree, posix.resolve(posix.dirname(current), entry.target, ...rest), user)
    }
    if (!allows(entry, index === parts.length - 1 ? 4 : 1)) return false
  }
  return true
}
