// The store of a controller that is stopped, for commands beside it: opened for one transaction, with the
// passphrase proven before anything is done.

import { existsSync } from 'node:fs'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { openAuthority } from './authorities.ts'
import { createSealing, type Sealing } from './ca/sealed-key.ts'
import { databasePath, notInitialised } from './init.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Transaction } from './store/store.ts'

export interface OnController {
  readonly dataDir: string
  readonly passphrase: Secret
  readonly nowMs: number
  readonly random: RandomBytes
}

/** Throws `not-initialised`, `store-locked`, `wrong-passphrase`, and what `work` throws. */
export async function withStore<T>(
  { dataDir, passphrase }: OnController,
  work: (
    tx: Transaction,
    known: { readonly fleet: string; readonly sealing: Sealing },
  ) => Promise<T>,
): Promise<T> {
  const path = databasePath(dataDir)
  if (!existsSync(path)) throw notInitialised(dataDir)
  const sealing = createSealing(passphrase)
  const store = await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  try {
    return await store.transaction(async tx => {
      const fleet = await tx.settings.get('fleet')
      if (fleet === undefined) throw notInitialised(dataDir)
      // A key that is sealed with another passphrase than the rest would be lost at the next start.
      for (const kind of ['identity', 'service'] as const)
        await openAuthority(tx, { kind, fleet }, sealing)
      return work(tx, { fleet, sealing })
    })
  } finally {
    await store.close()
  }
}

const BUSY_TIMEOUT_MS = 1_000
