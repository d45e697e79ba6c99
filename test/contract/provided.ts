// What every store must do with uploaded pairs: versions of a name, the last one being the current.

import type { ProvidedRecord } from '../../controller/store/store.ts'
import { sha256 } from '../../shared/digest.ts'
import { T0 } from './samples.ts'
import type { Check } from './store.ts'

function sample(name: string, leaf: string, change: Partial<ProvidedRecord> = {}): ProvidedRecord {
  return {
    name,
    fingerprint: sha256(leaf),
    certificateChain: `chain of ${leaf}`,
    trust: '',
    keySealed: JSON.stringify({ sealed: leaf }),
    uploadedAtMs: T0,
    uploadedBy: 'ada',
    ...change,
  }
}

export function checkProvided(check: Check): void {
  check('the version of a pair that was put last is the current one', async (t, store) => {
    const [first, second] = [sample('wildcard', '1'), sample('wildcard', '2')]
    const other = sample('another', '3', { trust: 'root' })
    await store.transaction(async tx => {
      for (const record of [first, other, second]) await tx.provided.put(record)
    })
    await store.transaction(async tx => {
      t.strictSame(await tx.provided.current('wildcard'), second)
      t.equal(await tx.provided.current('unknown'), undefined)
      t.strictSame(await tx.provided.get('wildcard', first.fingerprint), first)
      t.equal(await tx.provided.get('another', first.fingerprint), undefined)
      t.strictSame(await tx.provided.list(), [other, second, first])
    })

    const again = { ...first, keySealed: '{"sealed":"anew"}', uploadedAtMs: T0 + 1 }
    await store.transaction(tx => tx.provided.put(again))
    await store.transaction(async tx => {
      t.strictSame(await tx.provided.list(), [other, again, second], 'an old one put once more')
    })
  })

  check('versions of pairs are removed one by one', async (t, store) => {
    const [first, second] = [sample('wildcard', '1'), sample('wildcard', '2')]
    await store.transaction(async tx => {
      await tx.provided.put(first)
      await tx.provided.put(second)
      t.equal(await tx.provided.remove('wildcard', second.fingerprint), true)
      t.equal(await tx.provided.remove('wildcard', second.fingerprint), false)
      t.equal(await tx.provided.remove('other', first.fingerprint), false)
      t.strictSame(await tx.provided.current('wildcard'), first)
    })
  })
}
