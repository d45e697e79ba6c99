// The audit log of a running controller, page by page: others use the store in between.

import { OperationalError } from '../../shared/errors.ts'
import type { AuditRecord } from '../store/audit-store.ts'
import type { Store } from '../store/store.ts'
import type { AuditPiece } from './verify.ts'

const PAGE = 500

/** As far as it went when this began. */
export async function* storedLog(store: Store): AsyncGenerator<AuditPiece> {
  const head = await store.transaction(tx => tx.audit.head())
  let after = 0
  while (after < head) {
    const records = await page(store, after)
    if (records === undefined) return yield { kind: 'unreadable' }
    yield { kind: 'records', records }
    const last = records.at(-1)
    if (last === undefined) return
    after = last.sequence
  }
}

/** Undefined when the first one of it cannot be read. */
async function page(store: Store, after: number): Promise<readonly AuditRecord[] | undefined> {
  for (const limit of [PAGE, 1]) {
    try {
      return await store.transaction(tx => tx.audit.list({ after, limit }))
    } catch (error) {
      // Somewhere in it; with the pages of one record each it shows where.
      if (!(error instanceof OperationalError && error.code === 'store-corrupt')) throw error
    }
  }
  return undefined
}
