// Is there room for a change? One that runs out of space half-way can be neither finished nor taken
// back, and a product that is started on a full disk may not come up again: nothing is begun there.

import { posix } from 'node:path'
import type { Reason } from '../shared/contract/schema.ts'
import type { Files } from './host.ts'
import type { Verb } from './owed.ts'

// Release, staged files, copies of the old ones, journal and ledger: some hundred KiB at the most.
const CHANGE_BYTES = 512 * 1024
// What a product writes when it starts: locks, a new segment of its log.
const START_BYTES = 4 * 1024 * 1024
const MIB = 1024 * 1024

/** Code of the reason to wait. */
export const NO_ROOM = 'disk-full'

/** Of a plan: where it writes, and what it does to the service. */
interface Wanted {
  readonly files: readonly { readonly realPath: string }[]
  readonly owed: { readonly verb: Verb }
  readonly compiled: { readonly material: { readonly directory: string } }
}

/** Undefined: there is, as far as it is known. */
export async function whyNoRoom(
  files: Pick<Files, 'freeBytes'>,
  plan: Wanted,
  stateDirectory: string,
  snapshotBytes = 0,
): Promise<Reason | undefined> {
  const neededBytes = plan.owed.verb === 'none' ? CHANGE_BYTES : START_BYTES
  const noCopy = await whyNoRoomFor(files, stateDirectory, snapshotBytes)
  if (noCopy !== undefined) return noCopy
  const directories = new Set([
    stateDirectory,
    plan.compiled.material.directory,
    ...plan.files.map(({ realPath }) => posix.dirname(realPath)),
  ])
  for (const directory of directories) {
    const reason = await whyLess(files, directory, neededBytes)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Is there room for copies of a service's directories, and what it takes to start it, beside each other? */
export async function whyNoRoomFor(
  files: Pick<Files, 'freeBytes'>,
  directory: string,
  copiedBytes: number,
): Promise<Reason | undefined> {
  if (copiedBytes === 0) return undefined
  // In whole MiB: what is copied grows all the time, and would be news all the time.
  const neededBytes = Math.ceil((copiedBytes + START_BYTES) / MIB) * MIB
  return whyLess(files, directory, neededBytes, ', which its snapshot needs')
}

async function whyLess(
  files: Pick<Files, 'freeBytes'>,
  directory: string,
  neededBytes: number,
  why = '',
): Promise<Reason | undefined> {
  const freeBytes = await files.freeBytes(directory)
  if (freeBytes === undefined || freeBytes >= neededBytes) return undefined
  // Without the number that is free: it changes all the time, and would be news all the time.
  const message = `the file system of ${directory} has less than ${neededBytes / 1024} KiB left${why}; nothing is begun before there is more`
  return { code: NO_ROOM, message }
}
