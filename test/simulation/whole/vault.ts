// The store of one world: in memory, or a file of which a backup can be taken, where the world may be
// taken back to one.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beginNewEpoch } from '../../../controller/backup/new-epoch.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { Store } from '../../../controller/store/store.ts'
import { T0 } from './trust.ts'

export interface Vault {
  readonly store: Store
  /** Undefined: the store is in memory. */
  readonly backups: Backups | undefined
  close(): Promise<void>
}

export interface Backups {
  /** As of now. */
  take(nowMs: number): void
  /** Opens another store from the last one, in a new epoch. The one of before stays open. Undefined: none was taken. */
  restore(nowMs: number): Promise<{ readonly store: Store; readonly epoch: number } | undefined>
}

export async function openVault(isFile: boolean): Promise<Vault> {
  if (!isFile) {
    const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
    return { store, backups: undefined, close: () => store.close() }
  }
  // Nothing of it is to survive: a disk would only make it slow.
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const directory = mkdtempSync(join(parent, 'tlsfleet-simulation-'))
  const path = join(directory, 'controller.db')
  const first = await openSqliteStore({ path, busyTimeoutMs: 0, nowMs: T0 })
  const opened = [first]
  return {
    store: first,
    backups: backupsIn(directory, path, opened),
    async close() {
      for (const store of opened) await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function backupsIn(directory: string, path: string, opened: Store[]): Backups {
  let taken: { readonly path: string; readonly atMs: number } | undefined
  let count = 0
  return {
    take(nowMs) {
      const copy = join(directory, `backup-${++count}.db`)
      const reader = new DatabaseSync(path)
      reader.exec(`vacuum into '${copy}'`)
      reader.close()
      taken = { path: copy, atMs: nowMs }
    },
    async restore(nowMs) {
      if (taken === undefined) return undefined
      const { atMs: backupAtMs } = taken
      const store = await openSqliteStore({ path: taken.path, busyTimeoutMs: 0, nowMs })
      opened.push(store)
      taken = undefined
      const options = { backupAtMs, aboveEpoch: 0, nowMs }
      const { epoch } = await store.transaction(tx => beginNewEpoch(tx, options))
      return { store, epoch }
    },
  }
}
