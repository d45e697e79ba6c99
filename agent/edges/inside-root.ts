// Reading below another root (`--root`): symlinks are resolved by hand, because an absolute one
// means a file below that root and `..` must not lead out of it.

import { lstatSync, readlinkSync } from 'node:fs'
import { OperationalError } from '../../shared/errors.ts'

// As the kernel's own limit; more is a loop.
const SYMLINKS_MAX = 40

/** What was found on the way. */
export interface Found {
  /** By real path: a symlink's target, or that it is none. */
  readonly parts: Map<string, Part>
  /** Real paths of directories as they were asked for. */
  readonly directories: Map<string, string | undefined>
}

type Part = { readonly target: string | undefined } | 'nothing'

export function foundNothing(): Found {
  return { parts: new Map(), directories: new Map() }
}

/**
 * As resolveInside, the last part not resolved. The paths of one service are in a handful of directories,
 * and each of these is looked for once.
 */
export function resolveParent(root: string, path: string, found: Found): string | undefined {
  const [, directory = '', name = ''] = LAST_PART.exec(path) ?? []
  if (name === '' || name === '.' || name === '..')
    return resolveInside(root, path, { followLast: false, found })
  if (!found.directories.has(directory))
    found.directories.set(directory, resolveInside(root, directory, { followLast: true, found }))
  const parent = found.directories.get(directory)
  return parent === undefined ? undefined : `${parent}/${name}`
}

const LAST_PART = /^(.*)\/([^/]*)$/s

/**
 * The real path of `path` below `root`, or undefined where there is none. The last part is resolved
 * only with `followLast`. Who asks for many paths at one moment lets them share what was found.
 */
export function resolveInside(
  root: string,
  path: string,
  { followLast, found }: { readonly followLast: boolean; readonly found?: Found | undefined },
): string | undefined {
  const pending = partsOf(path).reverse()
  const above: string[] = []
  let at = root
  let symlinks = 0
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '..') {
      at = above.pop() ?? root
      continue
    }
    const real = `${at}/${part}`
    const isLast = pending.length === 0
    if (isLast && !followLast) return real
    const known = found?.parts.get(real) ?? lookAt(real)
    found?.parts.set(real, known)
    if (known === 'nothing') return undefined
    const { target } = known
    if (target === undefined) {
      above.push(at)
      at = real
      continue
    }
    symlinks++
    if (symlinks > SYMLINKS_MAX)
      throw new OperationalError('file-unreadable', `too many symlinks on the way to ${path}`, {
        details: { path, errno: 'ELOOP' },
      })
    if (target.startsWith('/')) {
      above.length = 0
      at = root
    }
    pending.push(...partsOf(target).reverse())
  }
  return at
}

function lookAt(real: string): Part {
  const stat = lstatSync(real, { throwIfNoEntry: false })
  if (stat === undefined) return 'nothing'
  return { target: stat.isSymbolicLink() ? readlinkSync(real) : undefined }
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
