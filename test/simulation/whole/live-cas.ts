// The CAs as all controllers of a world know them: read again whenever a rotation has moved them, as a
// controller does that was started anew.

import { type CurrentAuthorities, openAuthorities } from '../../../controller/authorities.ts'
import type { AuthorityRecord, Store } from '../../../controller/store/store.ts'
import { FLEET, type Trust } from './trust.ts'

export interface LiveCas {
  current(): CurrentAuthorities
  reload(): Promise<void>
  /** The one that follows, which is in no store yet. */
  next(): Promise<AuthorityRecord>
  /** Is there one? */
  hasNext(): boolean
}

export function createLiveCas(storeNow: () => Store, trust: Trust): LiveCas {
  let current = trust.authorities
  let used = 0
  return {
    current: () => current,
    async reload() {
      current = await storeNow().transaction(tx => openAuthorities(tx, FLEET, trust.sealing))
    },
    async next() {
      const record = trust.successors[used]
      used++
      if (record === undefined) throw new Error('no CA is left')
      return record
    },
    hasNext: () => used < trust.successors.length,
  }
}
