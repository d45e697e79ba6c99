// A controller that was restored from a backup does not know how far a rotation was.

import t from 'tap'
import { beginNewEpoch } from '../../../controller/backup/new-epoch.ts'
import { decide } from '../../../controller/rotation/decide.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { T0 } from '../../contract/samples.ts'

await t.test('after a restore a rotation moves nothing before an operator resumes it', async t => {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  t.teardown(() => store.close())
  const by = { atMs: T0, actor: 'alice' }
  const subject = { kind: 'service', from: 'service-1', to: 'service-2' } as const
  await store.transaction(tx =>
    tx.rotations.insert('r1', { kind: 'created', subject, pace: 'auto', ...by }),
  )

  await store.transaction(tx =>
    beginNewEpoch(tx, { backupAtMs: T0, aboveEpoch: 0, nowMs: T0 + 1_000 }),
  )

  const rotation = await store.transaction(tx => tx.rotations.open())
  t.match(rotation, { id: 'r1', stopped: { code: 'restored' } })
  const holds = { verdict: 'holds', blockers: [] } as const
  const view = { rollout: undefined, movable: 3, barrier: holds }
  t.match(rotation && decide(rotation, view, T0 + 2_000), { kind: 'nothing' })
})
