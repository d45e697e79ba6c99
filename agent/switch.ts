// s7 and its way back for files and the link of the certificate: each is old or new, never anything
// between. Every step can be repeated.

import { sha256 } from '../shared/digest.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Files, Host } from './host.ts'
import type { Journal, Target } from './journal.ts'

/** Those that are new already are left. */
export async function switchForward(host: Host, journal: Journal): Promise<void> {
  const { files } = host
  for (const target of journal.targets) {
    const found = await digestOf(files, target.path)
    if (found === target.after?.sha256) {
      await files.remove(target.staged)
      continue
    }
    if (found !== target.before?.sha256) {
      throw new OperationalError(
        'changed-meanwhile',
        `could not switch ${target.path}: it was changed meanwhile`,
      )
    }
    if (target.after !== undefined)
      await requireStaged(files, target.path, target.staged, target.after.sha256)
    if (isLast(journal, target)) await switchLink(files, journal)
    if (target.after === undefined) await files.remove(target.path)
    else await files.rename(target.staged, target.path)
  }
  await switchLink(files, journal)
}

async function requireStaged(
  files: Files,
  path: string,
  staged: string,
  digest: string,
): Promise<void> {
  if ((await digestOf(files, staged)) === digest) return
  throw new OperationalError(
    'staged-file-lost',
    `could not switch ${path}: the prepared file is gone`,
  )
}

// The link goes before the last file: that is the one whose rename makes a product use the release
// (files are ordered so by the driver), and by then everything that it names is there.
function isLast(journal: Journal, target: Target): boolean {
  return journal.targets.at(-1) === target
}

async function switchLink(files: Files, { link }: Journal): Promise<void> {
  if (link === undefined || (await files.readLink(link.path)) === link.after) return
  await files.switchLink(link.path, link.after)
}

/** Files first, then the link: the reverse of the way forward. */
export async function switchBack({ files }: Host, journal: Journal): Promise<void> {
  for (const target of [...journal.targets].reverse()) {
    await files.remove(target.staged)
    const found = await digestOf(files, target.path)
    // Neither ours nor gone: an operator's edit, which is not overwritten.
    if (found !== undefined && found !== target.after?.sha256) continue
    if (target.before === undefined) {
      await files.remove(target.path)
      continue
    }
    await putBack(files, target.path, target.staged, target.before)
  }
  const { link } = journal
  if (link === undefined) return
  if (link.before === undefined) await files.remove(link.path)
  else if ((await files.readLink(link.path)) !== link.before)
    await files.switchLink(link.path, link.before)
}

/** A copy, with the owner and the mode that the file had, by one rename. */
export async function putBack(
  files: Files,
  path: string,
  staged: string,
  before: NonNullable<Target['before']>,
): Promise<void> {
  const { copy, sha256: _, ...ownership } = before
  const contents = await files.read(copy)
  if (contents === undefined)
    throw new OperationalError('previous-file-lost', `could not restore ${path}: its copy is gone`)
  await files.create(staged, { contents, ...ownership, overwrite: true })
  await files.rename(staged, path)
}

export async function digestOf(files: Files, path: string): Promise<string | undefined> {
  const bytes = await files.read(path)
  return bytes === undefined ? undefined : sha256(bytes)
}
