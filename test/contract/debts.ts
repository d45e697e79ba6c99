// What every store must do with debts of clusters: kept until they are paid, also when their node is gone.

import type { DebtRecord } from '../../controller/store/debts-store.ts'
import { sampleNode } from './samples.ts'
import type { Check } from './store.ts'

const debt: DebtRecord = {
  debtId: '0123456789abcdef',
  node: 'a',
  service: 'elasticsearch',
  groups: ['masters', 'data'],
  sinceMs: 1_700_000_000_000,
  sinceTimeMs: 5_000,
}
const later: DebtRecord = {
  ...debt,
  debtId: 'fedcba9876543210',
  node: 'b',
  groups: [],
  sinceMs: debt.sinceMs + 1,
}

export function checkDebts(check: Check): void {
  check('a debt is there until it is paid, and is paid once', async (t, store) => {
    await store.transaction(async tx => {
      await tx.debts.owe(later)
      await tx.debts.owe(debt)
      await tx.debts.owe({ ...debt, sinceMs: 1, sinceTimeMs: 1 })
    })
    await store.transaction(async tx => {
      t.strictSame(await tx.debts.all(), [debt, later], 'since it was made first')
      t.strictSame(await tx.debts.get(debt.debtId), debt)
      t.equal(await tx.debts.settle(debt.debtId), true)
      t.equal(await tx.debts.settle(debt.debtId), false)
      t.strictSame(await tx.debts.all(), [later])
      t.equal(await tx.debts.get(debt.debtId), undefined)
    })
  })

  check('a node that is removed leaves its debts to others', async (t, store) => {
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.debts.owe(debt)
      await tx.nodes.remove('a', 0)
      t.strictSame(await tx.debts.all(), [debt])
    })
  })
}
