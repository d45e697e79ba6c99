// Copies of a service's directories, kept below the agent's own: each whole or not there at all, with a
// list of what was in it, the newest few of them.

import { posix } from 'node:path'
import type { ServiceName } from '../shared/contract/service.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Host, TreeEntry } from './host.ts'
import { whyNoRoomFor } from './room.ts'
import { OWN } from './state-file.ts'

const COPIES_KEPT = 3
const PRIVATE = { mode: 0o700, ...OWN }
// A name that no copy has; what a crash leaves there is overwritten.
const UNFINISHED = '.unfinished'
const NAME = /^\d{8}T\d{6}Z-(\d+)$/

export interface CopyWish {
  readonly service: ServiceName
  readonly node: string
  readonly generation: number
  readonly directories: readonly string[]
  readonly isAnew: boolean
}

export function snapshotsDirectory(stateDirectory: string, service: ServiceName): string {
  return `${stateDirectory}/snapshots/${service}`
}

export function createSnapshotCopies({
  host,
  stateDirectory,
  log,
}: {
  readonly host: Host
  readonly stateDirectory: string
  readonly log: Logger
}) {
  const { files, trees, clock } = host

  /** Bytes. Throws `snapshot-failed`. */
  async function sizeOf(service: ServiceName, directories: readonly string[]): Promise<number> {
    let bytes = 0
    for (const directory of directories)
      bytes += await asSnapshot(service, directory, async () => {
        const found = await trees.sizeOf(directory)
        if (found === undefined)
          throw new OperationalError('tree-unusable', `there is no directory ${directory}`)
        return found
      })
    return bytes
  }

  /** Throws `disk-full`, `snapshot-failed`. */
  async function requireRoom(service: ServiceName, directories: readonly string[]): Promise<void> {
    if (directories.length === 0) return
    const bytes = await sizeOf(service, directories)
    const reason = await whyNoRoomFor(files, stateDirectory, bytes)
    if (reason !== undefined)
      throw new OperationalError(reason.code, `could not copy ${service}: ${reason.message}`)
  }

  /** Where it is; undefined: that of this generation is there already. */
  async function make(wish: CopyWish): Promise<string | undefined> {
    const { service, generation, directories, isAnew } = wish
    const folder = snapshotsDirectory(stateDirectory, service)
    const names = (await files.list(folder)).filter(name => NAME.test(name))
    const isThere = names.some(name => NAME.exec(name)?.[1] === String(generation))
    if (isThere && !isAnew) return undefined
    await requireRoom(service, directories)
    const takenAt = new Date(clock.now()).toISOString()
    const name = `${takenAt.replaceAll(/[-:]|\.\d+/g, '')}-${generation}`
    const unfinished = `${folder}/${UNFINISHED}`
    const path = `${folder}/${name}`
    await files.makeDirectory(posix.dirname(folder), PRIVATE)
    await files.makeDirectory(folder, PRIVATE)
    try {
      await fill(unfinished, wish, takenAt)
      await files.remove(path)
      await files.rename(unfinished, path)
    } catch (error) {
      // What went wrong first is to be told; a left-over is overwritten by the next copy.
      if (error instanceof OperationalError) await files.remove(unfinished).catch(() => undefined)
      throw error
    }
    await prune(folder, name)
    return path
  }

  async function fill(root: string, wish: CopyWish, takenAt: string): Promise<void> {
    const { service, node, generation, directories } = wish
    await files.remove(root)
    await files.makeDirectory(root, PRIVATE)
    const listed = []
    for (const directory of directories) {
      const entries = await asSnapshot(service, directory, async () => {
        const to = `${root}/files${directory}`
        await makeAbove(root, to)
        return trees.copy(directory, to)
      })
      listed.push({ path: directory, entries: entries.map(asListed) })
    }
    const manifest = { version: 1, service, node, generation, takenAt, directories: listed }
    const contents = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
    await files.create(`${root}/manifest.json`, { contents, mode: 0o600, ...OWN, overwrite: true })
  }

  async function makeAbove(root: string, path: string): Promise<void> {
    const parts = posix.relative(root, posix.dirname(path)).split('/')
    for (const index of parts.keys())
      await files.makeDirectory(`${root}/${parts.slice(0, index + 1).join('/')}`, PRIVATE)
  }

  // One too many is no reason to take a change back.
  async function prune(folder: string, made: string): Promise<void> {
    // Whatever the clock says, what was just made is the newest.
    const others = (await files.list(folder)).filter(name => NAME.test(name) && name !== made)
    for (const name of others.toSorted().slice(0, 1 - COPIES_KEPT)) {
      try {
        await files.remove(`${folder}/${name}`)
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error
        log.warn({ path: `${folder}/${name}`, error: describeError(error) }, 'old snapshot is left')
      }
    }
  }

  return { sizeOf, requireRoom, make }
}

/** What is done to a directory, and that it was done for a snapshot. A full disk stays one. */
async function asSnapshot<T>(
  service: ServiceName,
  directory: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof OperationalError)) throw cause
    const code = cause.code === 'disk-full' ? cause.code : 'snapshot-failed'
    const message = `could not copy ${directory} of ${service}`
    throw new OperationalError(code, message, { retryable: cause.retryable, cause })
  }
}

function asListed({ path, kind, mode, uid, gid, sizeBytes }: TreeEntry) {
  return { path, kind, mode: mode.toString(8).padStart(4, '0'), uid, gid, bytes: sizeBytes }
}
