// What every store must do with conditions that were told and with the outbox of webhooks.

import type { ConditionRecord } from '../../controller/store/notifications-store.ts'
import { T0 } from './samples.ts'
import type { Check } from './store.ts'

const REASON = { code: 'node-silent', message: 'not heard of' }
const DRIFT: ConditionRecord = {
  event: 'drift',
  subject: 'n1 influxdb',
  state: 'corrected',
  reason: REASON,
  sinceMs: T0,
  isTold: false,
}

export function checkNotifications(check: Check): void {
  check('a condition is noted once for each subject and state', async (t, store) => {
    const expiry: ConditionRecord = { ...DRIFT, event: 'expiry', state: 'ending', isTold: true }
    await store.transaction(async tx => {
      for (const one of [expiry, DRIFT]) await tx.notifications.note(one)
      await tx.notifications.note({ ...DRIFT, sinceMs: T0 + 1, isTold: true })
    })
    await store.transaction(async tx => {
      t.strictSame(await tx.notifications.conditions(), [DRIFT, expiry])
      await tx.notifications.setTold(DRIFT)
      await tx.notifications.forget(expiry)
      t.strictSame(await tx.notifications.conditions(), [{ ...DRIFT, isTold: true }])
    })
  })

  check('an outbox is kept in order for each webhook, and bounded', async (t, store) => {
    await store.transaction(async tx => {
      for (const [webhook, body] of [
        ['a', '1'],
        ['b', '2'],
        ['a', '3'],
        ['a', '4'],
      ] as const)
        await tx.notifications.enqueue({ webhook, body, createdAtMs: T0 })
    })
    await store.transaction(async tx => {
      const bodies = async () => (await tx.notifications.outbox('a', 9)).map(one => one.body)
      t.strictSame(await bodies(), ['1', '3', '4'])
      t.strictSame(
        await tx.notifications.pending(),
        new Map([
          ['a', 3],
          ['b', 1],
        ]),
      )
      t.equal(await tx.notifications.trim('a', 3), 0)
      t.equal(await tx.notifications.trim('a', 2), 1)
      t.strictSame(await bodies(), ['3', '4'], 'the oldest goes')
      const [first] = await tx.notifications.outbox('a', 1)
      t.match(first, { webhook: 'a', createdAtMs: T0 })
      await tx.notifications.remove(first?.sequence ?? 0)
      t.strictSame(await bodies(), ['4'])
      t.equal(await tx.notifications.trim('b', 0), 1)
      t.strictSame(await tx.notifications.pending(), new Map([['a', 1]]))
    })
  })

  check('the audit log knows its newest number', async (t, store) => {
    const entry = { atMs: T0, actor: 'ada', action: 'x', subject: 'y' }
    t.equal(await store.transaction(tx => tx.audit.head()), 0)
    for (const number of [1, 2]) {
      await store.transaction(tx => tx.audit.append(entry))
      t.equal(await store.transaction(tx => tx.audit.head()), number)
    }
  })
}
