// Directories as a whole on a node in memory, with the promises of the real edge: no symlink out of a
// tree is followed, and each entry that is made is a change at which the power may go.

import { posix } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import type { TreeEntry, Trees } from '../../agent/host.ts'
import type { MemoryFiles } from './memory-files.ts'

export function createMemoryTrees(files: MemoryFiles): Trees {
  const { tree } = files
  const realOf = async (path: string): Promise<string> => {
    const target = await files.readLink(path)
    return target === undefined ? path : posix.resolve(posix.dirname(path), target)
  }
  const unusable = (path: string, why: string) =>
    new OperationalError('tree-unusable', `could not copy ${path}: ${why}`)

  async function entriesOf(path: string): Promise<readonly TreeEntry[] | undefined> {
    const real = await realOf(path)
    if ((await files.stat(real))?.kind !== 'directory') return undefined
    const entries: TreeEntry[] = []
    for (const name of [...tree.keys()].toSorted()) {
      const entry = tree.get(name)
      if (entry === undefined || (name !== real && !name.startsWith(`${real}/`))) continue
      const at = posix.relative(real, name) || '.'
      const leadsTo = entry.kind === 'symlink' && posix.resolve(posix.dirname(name), entry.target)
      if (entry.kind === 'symlink' && !String(leadsTo).startsWith(`${real}/`))
        throw unusable(path, `${at} in it is a symlink to ${entry.target}, which is not copied`)
      const sizeBytes = entry.kind === 'file' ? entry.contents.length : 0
      entries.push({ path: at, kind: entry.kind, ...entry.owner, sizeBytes })
    }
    return entries
  }

  return {
    async sizeOf(path) {
      return (await entriesOf(path))?.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    },
    async copy(from, to) {
      const entries = await entriesOf(from)
      if (entries === undefined) throw unusable(from, 'it is gone')
      const real = await realOf(from)
      for (const { path, kind, mode } of entries) {
        const owner = { mode, uid: 0, gid: 0 }
        const place = posix.join(to, path)
        const entry = tree.get(posix.join(real, path))
        if (kind === 'directory') await files.makeDirectory(place, owner)
        else if (entry?.kind === 'symlink') await files.switchLink(place, entry.target)
        else if (entry?.kind === 'file')
          await files.create(place, { contents: entry.contents, ...owner, overwrite: false })
      }
      return entries
    },
  }
}
