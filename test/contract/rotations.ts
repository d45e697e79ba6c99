// What every store must do with rotations: one at a time, appended with an expected version, each
// event in the audit log.

import type { RotationEvent } from '../../controller/rotation/rotation.ts'
import type { Check } from './store.ts'
import { T0 } from './samples.ts'

const by = { atMs: T0, actor: 'alice' }
const created: RotationEvent = {
  kind: 'created',
  subject: { kind: 'service', from: 'service-1', to: 'service-2' },
  pace: 'normal',
  ...by,
}
const reason = { code: 'a-reason', message: 'because' }

export function checkRotations(check: Check): void {
  check('one rotation is open at a time, and its events are audited', async (t, store) => {
    await store.transaction(tx => tx.rotations.insert('r1', created))
    await t.rejects(
      store.transaction(tx => tx.rotations.insert('r2', created)),
      { code: 'rotation-open' },
    )
    await store.transaction(async tx => {
      const events: RotationEvent[] = [
        { kind: 'reversed', reason, ...by },
        { kind: 'ended', status: 'reversed', ...by },
      ]
      const rotation = await tx.rotations.append('r1', 1, events)
      t.match(rotation, { version: 3, status: 'reversed', endedAtMs: T0 })
      t.equal(await tx.rotations.open(), undefined)
      await tx.rotations.insert('r2', created)
      t.strictSame(
        (await tx.rotations.list({ limit: 5 })).map(({ id }) => id),
        ['r2', 'r1'],
      )
      t.strictSame(
        (await tx.audit.list({ after: 0, limit: 9 })).map(({ action, actor }) => [action, actor]),
        ['created', 'reversed', 'ended', 'created'].map(kind => [`rotation-${kind}`, 'alice']),
      )
    })
  })

  check('whoever is late with a step of a rotation is told', async (t, store) => {
    await store.transaction(async tx => {
      await tx.rotations.insert('r1', created)
      const tainted: RotationEvent = { kind: 'tainted', reason, ...by }
      await tx.rotations.append('r1', 1, [tainted])
      await t.rejects(tx.rotations.append('r1', 1, [tainted]), { code: 'version-conflict' })
      t.strictSame(await tx.rotations.events('r1'), [
        { version: 1, event: created },
        { version: 2, event: tainted },
      ])
      t.match(await tx.rotations.get('r1'), { isTainted: true, phase: 'prepare' })
      t.equal(await tx.rotations.get('r2'), undefined)
    })
  })
}
