// Reading below another root (`--root`): symlinks are resolved by hand, because an absolute one
// means a file below that root and `..` must not lead out of it.

import { lstatSync, readlinkSync } from 'node:fs'
import { OperationalError } from '../../shared/errors.ts'

// As the kernel's own limit; more is a loop.
const SYMLINKS_MAX = 40

/**
 * The real path of `path` below `root`, or undefined where there is none. The last part is resolved
 * only with `followLast`.
 */
export function resolveInside(
  root: string,
  path: string,
  { followLast }: { readonly followLast: boolean },
): string | undefined {
  const pending = partsOf(path).reverse()
  const walked: string[] = []
  let symlinks = 0
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '..') {
      walked.pop()
      continue
    }
    const real = `${root}/${[...walked, part].join('/')}`
    const isLast = pending.length === 0
    if (isLast && !followLast) return real
    const stat = lstatSync(real, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    if (!stat.isSymbolicLink()) {
      walked.push(part)
      continue
    }
    symlinks++
    if (symlinks > SYMLINKS_MAX)
      throw new OperationalError('file-unreadable', `too many symlinks on the way to ${path}`, {
        details: { path, errno: 'ELOOP' },
      })
    const target = readlinkSync(real)
    if (target.startsWith('/')) walked.length = 0
    pending.push(...partsOf(target).reverse())
  }
  return walked.length === 0 ? root : `${root}/${walked.join('/')}`
}

function partsOf(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.')
}
