// A program that root or the controller's own user has put there, and nobody else can replace: the
// file itself and every directory on the way to it, also behind links.

import { realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { OperationalError, systemErrorCode } from '../../../shared/errors.ts'

const OTHERS_WRITE = 0o022
const STICKY = 0o1000
const EXECUTE = 0o111

/** The real path, to be started by it. Throws `dns-program-unusable`. */
export function requireOwnedProgram(path: string, uid: number): string {
  const real = realPathOf(path)
  const file = statSync(real)
  if (!file.isFile() || (file.mode & EXECUTE) === 0) throw unusable(path, 'it is not a program')
  requireOwned(path, real, file, uid)
  for (const start of new Set([path, real]))
    for (const directory of directoriesAbove(start))
      requireOwned(path, directory, statSync(directory), uid)
  return real
}

function requireOwned(path: string, part: string, { mode, uid: owner }: Stats, uid: number): void {
  const where = part === path ? 'it' : part
  if (owner !== 0 && owner !== uid)
    throw unusable(path, `${where} belongs to user ${owner}, neither root nor the controller`)
  // In a sticky directory nobody can replace what is another user's, and what is there was checked.
  const isSticky = (mode & STICKY) !== 0
  if ((mode & OTHERS_WRITE) !== 0 && !isSticky)
    throw unusable(path, `${where} can be written by others (mode ${(mode & 0o7777).toString(8)})`)
}

function directoriesAbove(path: string): readonly string[] {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...directoriesAbove(parent)]
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    throw unusable(path, systemErrorCode(cause) ?? 'it cannot be looked at', cause)
  }
}

function unusable(path: string, why: string, cause?: unknown): OperationalError {
  return new OperationalError('dns-program-unusable', `could not use ${path}: ${why}`, {
    retryable: true,
    cause,
    hint: 'The program and its directories belong to root or the controller, and are writable by nobody else.',
  })
}
