// What a store remembers of the restore that it comes from: which identities were issued after the
// backup, and are therefore missing from it, can be told by their dates.

import * as z from 'zod/mini'
import { parser, TimeMs } from '../../shared/contract/schema.ts'
import type { Transaction } from '../store/store.ts'

const Restoration = z.strictObject({ backupAtMs: TimeMs, restoredAtMs: TimeMs })
export type Restoration = Readonly<z.infer<typeof Restoration>>
const parseRestoration = parser('restoration', Restoration, 'store-corrupt')

const SETTING = 'restoration'

export async function recordRestoration(tx: Transaction, restoration: Restoration): Promise<void> {
  await tx.settings.set(SETTING, JSON.stringify(restoration))
}

/** Undefined: the store was never restored. */
export async function lastRestoration(tx: Transaction): Promise<Restoration | undefined> {
  const text = await tx.settings.get(SETTING)
  return text === undefined ? undefined : parseRestoration(JSON.parse(text))
}
