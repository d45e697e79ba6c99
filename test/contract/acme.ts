// What every store must do with accounts and orders at ACME directories.

import type { AcmeOrderRecord } from '../../controller/store/acme-store.ts'
import type { Check } from './store.ts'
import { T0 } from './samples.ts'

function sampleOrder(request: string, change: Partial<AcmeOrderRecord> = {}): AcmeOrderRecord {
  return {
    request,
    directory: 'corp',
    directoryUrl: 'https://ca.test/dir',
    node: 'a',
    service: 'prometheus',
    names: { dns: ['a.test'], ip: [] },
    state: 'waiting',
    orderUrl: undefined,
    orderedAtMs: undefined,
    dnsRecords: [],
    attempts: 0,
    nextAttemptAtMs: T0,
    reason: undefined,
    updatedAtMs: T0,
    ...change,
  }
}

const ORDERED = { state: 'ordered', orderUrl: 'https://ca.test/order/1', orderedAtMs: T0 } as const

export function checkAcme(check: Check): void {
  check('an account is of a directory and its URL, and is made once', async (t, store) => {
    const account = {
      directory: 'corp',
      directoryUrl: 'https://ca.test/dir',
      accountUrl: undefined,
      keySealed: 'sealed',
      createdAtMs: T0,
    }
    const moved = { ...account, directoryUrl: 'https://new.test/dir' }
    await store.transaction(async tx => {
      await tx.acme.insertAccount(account)
      await tx.acme.insertAccount(moved)
      await tx.acme.setAccountUrl('corp', account.directoryUrl, 'https://ca.test/account/1')
    })
    const again = store.transaction(tx => tx.acme.insertAccount(account))
    t.match(await again.catch((error: unknown) => error), { code: 'already-exists' })

    await store.transaction(async tx => {
      const known = { ...account, accountUrl: 'https://ca.test/account/1' }
      t.strictSame(await tx.acme.account('corp', account.directoryUrl), known)
      t.equal(await tx.acme.account('other', account.directoryUrl), undefined)
      t.strictSame(await tx.acme.accounts(), [known, moved])
      await tx.acme.setAccountUrl('corp', account.directoryUrl, undefined)
      t.strictSame(await tx.acme.account('corp', account.directoryUrl), account)
    })
  })

  check(
    'an order is found again as it was, until it has ended and left nothing',
    async (t, store) => {
      const records = [{ fqdn: '_acme-challenge.a.test.', value: 'x' }]
      const reason = { code: 'slow', message: 'not yet' }
      const late = sampleOrder('late', { ...ORDERED, reason, attempts: 3, nextAttemptAtMs: T0 + 9 })
      const gone = sampleOrder('gone', { state: 'ended', updatedAtMs: T0 + 1 })
      const untidy = sampleOrder('untidy', { ...ORDERED, state: 'ended', dnsRecords: records })
      await store.transaction(async tx => {
        for (const order of [late, gone, untidy, sampleOrder('soon')]) await tx.acme.putOrder(order)
        await tx.acme.putOrder(sampleOrder('soon', { nextAttemptAtMs: T0 - 1 }))

        t.strictSame(await tx.acme.order('late'), late)
        t.equal(await tx.acme.order('none'), undefined)
        const open = await tx.acme.openOrders()
        t.strictSame(open, [sampleOrder('soon', { nextAttemptAtMs: T0 - 1 }), untidy, late])

        const pages = [
          await tx.acme.listOrders({ limit: 2 }),
          await tx.acme.listOrders({ after: 'soon', limit: 2 }),
        ]
        t.strictSame(
          pages.map(page => page.map(({ request }) => request)),
          [['late', 'soon'], ['untidy']],
          'in pages by request',
        )

        await tx.acme.pruneOrders(T0 + 1)
        t.equal(await tx.acme.order('untidy'), undefined)
        t.ok(await tx.acme.order('gone'), 'ended later than that')
        t.ok(await tx.acme.order('soon'), 'not ended')
      })
    },
  )

  check('orders are counted by directory and time, whatever came of them', async (t, store) => {
    await store.transaction(async tx => {
      await tx.acme.putOrder(sampleOrder('a', ORDERED))
      await tx.acme.putOrder(sampleOrder('b', { ...ORDERED, state: 'ended', orderedAtMs: T0 + 5 }))
      await tx.acme.putOrder(sampleOrder('c', { ...ORDERED, directory: 'other' }))
      await tx.acme.putOrder(sampleOrder('d'))
      t.equal(await tx.acme.countOrdered('corp', T0), 2)
      t.equal(await tx.acme.countOrdered('corp', T0 + 1), 1)
      t.equal(await tx.acme.countOrdered('none', T0), 0)
    })
  })

  check('an order that is placed has a place', async (t, store) => {
    const put = store.transaction(tx => tx.acme.putOrder(sampleOrder('a', { state: 'ordered' })))
    await t.rejects(put)
  })
}
