// What every store must do with operators, and with the search of the audit log.

import type { OperatorRecord } from '../../controller/store/operators-store.ts'
import { T0 } from './samples.ts'
import type { Check } from './store.ts'

const ADA: OperatorRecord = {
  name: 'ada',
  role: 'operator',
  certificateNames: ['ada@corp.example', 'spiffe://corp.example/operator/ada'],
  isDisabled: false,
  createdAtMs: T0,
  createdBy: 'admin',
}
const BOB: OperatorRecord = { ...ADA, name: 'bob', role: 'approver', certificateNames: [] }

export function checkOperators(check: Check): void {
  check(
    'operators come back as they went in, and names of certificates are theirs alone',
    async (t, store) => {
      await store.transaction(async tx => {
        await tx.operators.insert(BOB)
        await tx.operators.insert(ADA)
      })
      const taken = { ...BOB, certificateNames: ['ada@corp.example'] }
      await t.rejects(
        store.transaction(tx => tx.operators.insert(ADA)),
        { code: 'already-exists' },
      )
      await t.rejects(
        store.transaction(tx => tx.operators.update(taken)),
        { code: 'already-exists' },
      )

      await store.transaction(async tx => {
        t.same(await tx.operators.list(), [ADA, BOB])
        t.same(await tx.operators.findByCertificateNames(ADA.certificateNames), [ADA])
        t.same(await tx.operators.findByCertificateNames([]), [])
        const changed = { ...ADA, isDisabled: true, certificateNames: ['x@corp.example'] }
        t.equal(await tx.operators.update(changed), true)
        t.same(await tx.operators.get('ada'), changed)
        t.same(await tx.operators.findByCertificateNames(ADA.certificateNames), [])
        t.equal(await tx.operators.update({ ...ADA, name: 'eve' }), false)
      })
    },
  )

  check('an operator goes with its tokens, and what was denied stays denied', async (t, store) => {
    await store.transaction(async tx => {
      await tx.operators.insert(ADA)
      const known = { role: 'viewer', secretHash: '', createdAtMs: T0, createdBy: 'admin' } as const
      await tx.credentials.insert({ id: 'a', name: 'ada', expiresAtMs: T0 + 1, ...known })
      const denial = { serial: 'a01', operator: 'ada', atMs: T0, by: 'admin' }
      await tx.operators.denySerial(denial)
      await tx.operators.denySerial({ ...denial, atMs: T0 + 9 })
      t.same(await tx.operators.deniedSerials('ada'), [denial], 'the first time counts')
      t.equal(await tx.operators.remove('ada'), true)
      t.equal(await tx.operators.remove('ada'), false)
      t.equal(await tx.credentials.get('a'), undefined)
      t.equal(await tx.operators.isSerialDenied('a01'), true)
      t.equal(await tx.operators.isSerialDenied('a02'), false)
    })
  })

  check('the audit log is searched from both ends', async (t, store) => {
    await store.transaction(async tx => {
      for (const [index, subject] of ['r7', 'r7/n1', 'r70', 'r7.x', 'r8'].entries())
        await tx.audit.append({ atMs: T0 + index, actor: 'ada', action: 'act', subject })
      const numbers = async (...given: Parameters<typeof tx.audit.find>) =>
        (await tx.audit.find(...given)).map(({ sequence }) => sequence)

      t.same(await numbers({}, { limit: 2 }), [5, 4])
      t.same(await numbers({}, { limit: 2, after: 0 }), [1, 2])
      t.same(await numbers({}, { limit: 9, before: 3 }), [2, 1])
      t.same(await numbers({ target: 'r7' }, { limit: 9 }), [2, 1], 'and what is below it')
      t.same(await numbers({ sinceMs: T0 + 1, untilMs: T0 + 3 }, { limit: 9 }), [3, 2])
      t.same(await numbers({ actor: 'bob' }, { limit: 9 }), [])
      t.match(await tx.audit.get(5), { subject: 'r8' })
      t.equal(await tx.audit.get(6), undefined)
    })
  })
}
