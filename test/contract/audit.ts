// What every store must do with the audit log: one chain, with the events of rollouts in it.

import { verifyAudit } from '../../controller/store/audit-chain.ts'
import { sampleNode, planOf, nowAt, samplePlan, T0 } from './samples.ts'
import type { Check } from './store.ts'

const samplePlanOf = (names: readonly string[]) => planOf(samplePlan(names))

export function checkAudit(check: Check): void {
  check('audit entries make a chain, each event of a rollout is one of them', async (t, store) => {
    const reason = { code: 'operator', message: 'because' }
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.audit.append({ atMs: T0, actor: 'ada', action: 'node-add', subject: 'a', reason })
      const events = [
        { kind: 'planned', ...nowAt() } as const,
        { kind: 'started', ...nowAt() } as const,
      ]
      await tx.rollouts.insert({ id: 'r1', plan: samplePlanOf(['a']), events, atMs: T0 + 1 })
      const assigned = { kind: 'node-assigned', node: 'a', generation: 1, ...nowAt() } as const
      await tx.rollouts.append('r1', 2, [assigned], T0 + 2)
    })

    const records = await store.transaction(tx => tx.audit.list({ after: 0, limit: 10 }))

    t.same(
      records.map(({ hash: _hash, ...rest }) => rest),
      [
        { sequence: 1, atMs: T0, actor: 'ada', action: 'node-add', subject: 'a', reason },
        {
          sequence: 2,
          atMs: T0 + 1,
          actor: 'ada',
          action: 'rollout-planned',
          subject: 'r1',
          reason: undefined,
        },
        {
          sequence: 3,
          atMs: T0 + 1,
          actor: 'controller',
          action: 'rollout-started',
          subject: 'r1',
          reason: undefined,
        },
        {
          sequence: 4,
          atMs: T0 + 2,
          actor: 'controller',
          action: 'rollout-node-assigned',
          subject: 'r1/a',
          reason: undefined,
        },
      ],
    )
    t.same(verifyAudit(records), { kind: 'intact' })
    const tail = await store.transaction(tx => tx.audit.list({ after: 2, limit: 10 }))
    t.same(verifyAudit(tail, records[1]), { kind: 'intact' })
    for (const [index, record] of records.entries()) {
      const forged = records.with(index, { ...record, subject: 'b' })
      t.same(verifyAudit(forged), { kind: 'broken', sequence: index + 1 })
      const removed = records.toSpliced(index, 1)
      const first = index === records.length - 1 ? 'intact' : 'broken'
      t.equal(verifyAudit(removed).kind, first)
    }
  })
}
