// `tlsfleet-controller restore`: a data directory from a backup. Everything is prepared under other
// names; the database gets its own last, so that a restore that was killed has restored nothing.

import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import { spkiPin } from '../../shared/pki/pin.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Store } from '../store/store.ts'
import { type Header, openArchive } from './archive.ts'
import { extract, inspect, openBackedUp } from './check.ts'
import { beginNewEpoch, type NewEpoch } from './new-epoch.ts'
import { syncPath } from './synced-file.ts'

export interface RestoreOptions {
  readonly from: string
  /** Absent or empty; what a restore that was killed left in it is removed. */
  readonly dataDir: string
  /** That the CA keys were sealed with: a controller could do nothing without it. */
  readonly passphrase: Secret
  /** See NewEpochOptions. */
  readonly aboveEpoch?: number
  readonly nowMs: number
}

export interface Restored extends NewEpoch {
  readonly header: Header
  /** Of the identity root, as it was. */
  readonly pin: string
}

const SUFFIX = '.restoring'

/** Throws `data-directory-not-empty`, `wrong-passphrase` and what `checkBackup` throws; the directory is then as it was. */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { from, nowMs } = options
  const dataDir = resolve(options.dataDir)
  const archive = openArchive(from)
  prepareDirectory(dataDir)
  try {
    await extract(archive, dataDir, SUFFIX)
    const database = join(dataDir, `controller.db${SUFFIX}`)
    const store = await openBackedUp(from, database)
    const restored = await change(store, archive.header, options).finally(() => store.close())
    syncPath(database)
    // The database is what makes it a data directory.
    const names = archive.header.members.map(({ name }) => name)
    for (const name of names.toSorted((a, b) => rank(a) - rank(b))) {
      giveToOwner(dataDir, join(dataDir, `${name}${SUFFIX}`))
      renameSync(join(dataDir, `${name}${SUFFIX}`), join(dataDir, name))
    }
    removeLeftovers(dataDir)
    syncPath(dataDir)
    syncPath(dirname(dataDir))
    return restored
  } catch (error) {
    removeLeftovers(dataDir)
    throw error instanceof OperationalError ? error : unusable(dataDir, error)
  }

  async function change(store: Store, header: Header, given: RestoreOptions): Promise<Restored> {
    await inspect(from, header, store, given.passphrase)
    return store.transaction(async tx => {
      const { createdAtMs: backupAtMs } = header
      const begun = await beginNewEpoch(tx, {
        backupAtMs,
        aboveEpoch: given.aboveEpoch ?? 0,
        nowMs,
      })
      const root = (await tx.authorities.active('identity'))?.rootCertificate ?? ''
      return { ...begun, header, pin: spkiPin(root) }
    })
  }
}

// Of a directory that was made ready for the controller's user, root must not lock that user out.
function giveToOwner(dataDir: string, path: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(dataDir)
  chownSync(path, uid, gid)
}

function rank(name: string): number {
  return name === 'controller.db' ? 1 : 0
}

function prepareDirectory(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    mkdirSync(path, { recursive: true, mode: 0o700 })
    removeLeftovers(path)
    const [first] = readdirSync(path)
    if (first !== undefined)
      throw new OperationalError('data-directory-not-empty', `${path} is not empty: ${first}`, {
        hint: 'Name a new directory. One that holds a controller is moved away by hand, not replaced.',
      })
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
  } catch (cause) {
    throw cause instanceof OperationalError ? cause : unusable(path, cause)
  }
}

function removeLeftovers(path: string): void {
  for (const name of readdirSync(path)) {
    if (/^controller\.(db|toml)\.restoring/.test(name)) rmSync(join(path, name))
  }
}

function unusable(path: string, cause: unknown): OperationalError {
  return new OperationalError('data-directory-unusable', `could not restore to ${path}`, { cause })
}
