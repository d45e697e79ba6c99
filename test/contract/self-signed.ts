// What every store must do with self-signed certificates and with the times of renewals.

import type { SelfSignedRecord } from '../../controller/store/self-signed-store.ts'
import { sampleNode, T0 } from './samples.ts'
import type { Check } from './store.ts'

const RECORD: SelfSignedRecord = {
  node: 'n1',
  service: 'influxdb',
  current: 'current',
  next: undefined,
  isNextGiven: false,
  changedAtMs: T0,
}

export function checkSelfSigned(check: Check): void {
  check(
    'a self-signed certificate is kept per node and service, as it was put last',
    async (t, store) => {
      const followed = { ...RECORD, next: 'next', isNextGiven: true, changedAtMs: T0 + 1 }
      const other: SelfSignedRecord = {
        ...RECORD,
        service: 'prometheus',
        current: undefined,
        next: 'n',
      }
      await store.transaction(async tx => {
        await tx.nodes.insert(sampleNode('n1'))
        for (const record of [other, RECORD, followed]) await tx.selfSigned.put(record)
      })
      await store.transaction(async tx => {
        t.strictSame(await tx.selfSigned.get('n1', 'influxdb'), followed)
        t.equal(await tx.selfSigned.get('n1', 'kibana'), undefined)
        t.strictSame(await tx.selfSigned.list(), [followed, other])
        t.equal(await tx.selfSigned.remove('n1', 'prometheus'), true)
        t.equal(await tx.selfSigned.remove('n1', 'prometheus'), false)
      })
      await t.rejects(
        store.transaction(tx => tx.selfSigned.put({ ...RECORD, node: 'unknown' })),
        { code: 'not-found' },
      )
      await store.transaction(tx => tx.nodes.remove('n1', T0))
      t.strictSame(await store.transaction(tx => tx.selfSigned.list()), [], 'gone with its node')
    },
  )

  check('renewals are counted by slot, those of the group apart', async (t, store) => {
    const at = (node: string, group: string, renewAtMs: number, service = 'influxdb' as const) => ({
      node,
      service,
      group,
      renewAtMs,
    })
    await store.transaction(async tx => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) await tx.nodes.insert(sampleNode(name))
      await tx.renewals.put(at('a', 'g', 5))
      // The newest counts.
      await tx.renewals.put(at('a', 'g', T0 + 10))
      await tx.renewals.put(at('b', 'g', T0 + 19))
      await tx.renewals.put(at('c', 'other', T0 + 11))
      await tx.renewals.put(at('d', 'g', T0 + 25))
      await tx.renewals.put(at('e', 'g', T0 + 40))
      await tx.renewals.put({ ...at('e', 'g', T0 + 10), service: 'kibana' })
    })
    const question = { service: 'influxdb', group: 'g', slotMs: 10 } as const
    const window = { fromMs: T0, untilMs: T0 + 40 }
    await store.transaction(async tx => {
      t.strictSame(await tx.renewals.loads({ ...question, ...window, node: 'd' }), [
        { slot: T0 / 10 + 1, group: 2, others: 1 },
      ])
      t.strictSame(await tx.renewals.loads({ ...question, ...window, group: 'other', node: 'a' }), [
        { slot: T0 / 10 + 1, group: 1, others: 1 },
        { slot: T0 / 10 + 2, group: 0, others: 1 },
      ])
    })
    await store.transaction(tx => tx.nodes.remove('b', T0))
    const left = await store.transaction(tx =>
      tx.renewals.loads({ ...question, ...window, node: 'd' }),
    )
    t.strictSame(left, [{ slot: T0 / 10 + 1, group: 1, others: 1 }])
  })
}
