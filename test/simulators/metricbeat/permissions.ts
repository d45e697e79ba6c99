// Who may own a configuration file of a Beat, and who may write it.

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { BeatError } from './ucfg.ts'

/** Throws in the words of Beats. */
export function checkPermissions(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new BeatError(`stat ${path}: no such file or directory`)
  const me = process.geteuid?.() ?? 0
  if (stat.uid !== 0 && stat.uid !== me) {
    const rule = `must be owned by the user identifier (uid=${me}) or root`
    throw new BeatError(`config file ("${path}") ${rule}`)
  }
  if ((stat.mode & 0o022) === 0) return
  const rule = `can only be writable by the owner but the permissions are "${permissions(stat.mode)}"`
  const fix = `(to fix the permissions use: 'chmod go-w ${resolve(path)}')`
  throw new BeatError(`config file ("${path}") ${rule} ${fix}`)
}

/** `-rw-r--r--` */
export function permissions(mode: number): string {
  const bits = Array.from('rwxrwxrwx', (letter, index) => (mode & (0o400 >> index) ? letter : '-'))
  return `-${bits.join('')}`
}
