// A program that root has put on the node and nobody else can replace: the file itself and every
// directory on the way to it, also behind links.

import { posix } from 'node:path'
import type { Files } from './host.ts'
import { placesOf } from './source-places.ts'
import { OWN } from './state-file.ts'

const OTHERS_WRITE = 0o022
const STICKY = 0o1000
const EXECUTE = 0o111

/** Why it is not run as root; undefined: it may be. */
export async function whyNotOwn(
  files: Pick<Files, 'stat' | 'statFollowed' | 'readLink'>,
  path: string,
): Promise<string | undefined> {
  const program = await files.statFollowed(path)
  if (program === undefined) return `there is no ${path}`
  if (program.kind !== 'file' || (program.mode & EXECUTE) === 0) return `${path} is no program`
  const places = await placesOf(files, path)
  const parts = new Set([...places, ...places.flatMap(directoriesAbove)])
  for (const part of parts) {
    const stat = await files.stat(part)
    if (stat === undefined) continue
    if (stat.uid !== 0 && stat.uid !== OWN.uid) return `${part} belongs to user id ${stat.uid}`
    // The mode of a link says nothing, and in a sticky directory nobody can replace what is root's.
    const isMeant = stat.kind !== 'symlink' && (stat.mode & STICKY) === 0
    if (isMeant && (stat.mode & OTHERS_WRITE) !== 0)
      return `${part} can be written by others (mode ${stat.mode.toString(8)})`
  }
  return undefined
}

function directoriesAbove(path: string): readonly string[] {
  const parent = posix.dirname(path)
  return parent === path ? [] : [parent, ...directoriesAbove(parent)]
}
