// What becomes of a plan and its application, as the report says it.

import t from 'tap'
import { OWN } from '../../agent/state-file.ts'
import { parseReport, type Report } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import type { ApplyResult } from '../../agent/apply.ts'
import { EMPTY_ENTRY } from '../../agent/ledger.ts'
import { createObserver } from '../../agent/observe.ts'
import { type ActionablePlan, planService } from '../../agent/plan.ts'
import { serviceDigest } from '../../agent/reconcile.ts'
import { reportDigest, reportOfApply, reportOfPlan } from '../../agent/report.ts'
import { type MemoryNode, newNode, passOnce, wish } from '../support/memory-fleet.ts'

const [, influxdb] = await wish()
if (influxdb === undefined) throw new Error('no wish')

async function planOf(node: MemoryNode, tls: ServiceTls): Promise<ActionablePlan> {
  const plan = planService({
    observation: await createObserver(node.host, { files: {}, localCa: undefined }).observe(tls),
    entry: EMPTY_ENTRY,
    contentDigest: serviceDigest(tls),
    nowMs: node.nowMs(),
    self: OWN,
  })
  if (plan.kind !== 'actionable') throw new Error(plan.reason.message)
  return plan
}

const stock = newNode()
const before = await planOf(stock, influxdb)
const converged = newNode()
await passOnce(converged, [influxdb])
const after = await planOf(converged, influxdb)

await t.test('a plan with changes is planned, one without is in sync', async t => {
  const planned = reportOfPlan(before)
  const inSync = reportOfPlan(after)

  t.equal(planned.outcome, 'planned')
  t.match(planned, { activation: 'restart', activations: 0, version: /1\.6\.7.*OSS/ })
  t.ok(planned.changes.length > 0)
  t.equal(planned.notAfterMs, undefined, 'there is no certificate yet')
  t.match(inSync, { outcome: 'in-sync', changes: [], activation: 'none', served: [{ ok: true }] })
  t.ok((inSync.renewAtMs ?? 0) < (inSync.notAfterMs ?? 0))
})

await t.test('a stopped service waits where there is nothing to prepare', async t => {
  t.equal(reportOfPlan({ ...after, isInactive: true }).outcome, 'waiting')
  t.equal(reportOfPlan({ ...after, isInactive: true }).reason.code, 'inactive')
})

await t.test('every end of an application has its outcome and keeps its reason', async t => {
  const reason = { code: 'why', message: 'because' }
  const entry = EMPTY_ENTRY
  const results: readonly (readonly [string, ApplyResult])[] = [
    ['changed', { kind: 'changed', entry, activations: 1 }],
    ['staged', { kind: 'staged', reason }],
    ['waiting', { kind: 'waiting', reason }],
    ['failed', { kind: 'failed', reason, retryable: true }],
    ['restored', { kind: 'restored', reason, entry, activations: 2 }],
    ['failed', { kind: 'broken', reason, entry, activations: 2 }],
  ]
  for (const [outcome, result] of results) {
    const report = reportOfApply(before, result, after)
    t.equal(report.outcome, outcome)
    t.equal(report.reason.code, result.kind === 'changed' ? 'converged' : 'why')
    t.equal(report.activations, 'activations' in result ? result.activations : 0)
    t.strictSame(report.changes, before.changes, 'what was to be done')
    t.strictSame(report.served, reportOfPlan(after).served, 'what is served afterwards')
  }
})

await t.test(
  'a service that cannot be looked at any more is reported as it was before',
  async t => {
    const blocked = {
      kind: 'blocked',
      service: 'influxdb',
      outcome: 'failed',
      reason: { code: 'x', message: 'y' },
      unit: undefined,
      version: undefined,
    } as const

    t.strictSame(
      reportOfApply(before, { kind: 'changed', entry: EMPTY_ENTRY, activations: 1 }, blocked)
        .served,
      reportOfPlan(before).served,
    )
    t.match(reportOfPlan(blocked), { outcome: 'failed', reason: { code: 'x' }, changes: [] })
  },
)

const report: Report = {
  sequence: 1,
  atMs: 1,
  agentVersion: '1',
  services: [reportOfPlan(before), reportOfPlan(after)],
  facts: { a: 'b', c: 'd' },
}

await t.test('a report is valid on the wire', async t => {
  t.strictSame(parseReport(JSON.parse(JSON.stringify(report))), report)
})

await t.test('its digest is of what it says, not of its number and time', async t => {
  const digest = reportDigest(report)

  t.equal(reportDigest({ ...report, sequence: 9, atMs: 9 }), digest)
  t.equal(reportDigest({ ...report, facts: { c: 'd', a: 'b' } }), digest)
  t.not(reportDigest({ ...report, agentVersion: '2' }), digest)
  t.not(reportDigest({ ...report, services: [] }), digest)
  t.not(reportDigest({ ...report, observedGeneration: 1 }), digest)
})

await t.test('no report holds a private key', async t => {
  t.notMatch(JSON.stringify(report), /PRIVATE KEY/)
})
