// Plans of any desired state on any disk: pure, complete, and nothing in them without a reason.
// `PLAN_RUNS=2000` looks longer.

import fc from 'fast-check'
import t from 'tap'
import { OWN } from '../../agent/state-file.ts'
import { assert } from '../../shared/assert.ts'
import { ChangeSummary } from '../../shared/contract/report.ts'
import { EMPTY_ENTRY, type ServiceEntry } from '../../agent/ledger.ts'
import type { ServiceObservation } from '../../agent/observation.ts'
import { createObserver } from '../../agent/observe.ts'
import { activationOf } from '../../agent/owed.ts'
import { isConverged, planService, type ServicePlan } from '../../agent/plan.ts'
import { serviceDigest } from '../../agent/reconcile.ts'
import { reportOfPlan } from '../../agent/report.ts'
import { arbitraryDisk, arbitraryWish, layOut, recipeOf } from '../support/arbitrary-disk.ts'
import { hold } from '../support/hold.ts'
import { newNode, passOnce, wish } from '../support/memory-fleet.ts'

const numRuns = Number(process.env['PLAN_RUNS'] ?? 60)
t.setTimeout(900_000)

type Service = 'influxdb' | 'prometheus'

/** What processes may be remembered to have loaded, and where the service may be in its life. */
const scenes = fc.record({
  disk: arbitraryDisk,
  wished: arbitraryWish,
  stopped: fc.boolean(),
  entry: fc.constantFrom<ServiceEntry>(
    EMPTY_ENTRY,
    { staleInvocations: ['invocation-3', 'invocation-4'] },
    { staleInvocations: [], loaded: { invocationId: 'invocation-3', inputs: {} } },
  ),
  laterMs: fc.constantFrom(0, 3_600_000, 400 * 86_400_000),
})

/** Throws on the first write to anything in it. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    if (!ArrayBuffer.isView(value)) Object.freeze(value)
    for (const member of Object.values(value)) frozen(member)
  }
  return value
}

function check(plan: ServicePlan, observation: ServiceObservation): void {
  if (plan.kind === 'blocked') {
    assert(
      /^[a-z0-9-]+$/.test(plan.reason.code) && plan.reason.message !== '',
      'a block has a reason',
    )
    return
  }
  for (const change of plan.changes) {
    assert(ChangeSummary.safeParse(change).success, `a change fits the report: ${change.summary}`)
    assert(change.reason.message !== '' && change.summary !== '', 'a change has its reason')
  }
  const paths = plan.files.map(file => file.realPath)
  assert(new Set(paths).size === paths.length, 'no file twice')
  for (const file of plan.files) {
    assert(file.before === undefined || file.text !== undefined, 'a file has its text')
    const { before } = file
    if (before !== undefined && file.intent !== undefined)
      assert(
        JSON.stringify(before.ownership) === JSON.stringify(file.ownership),
        `${file.path} keeps its owner and mode`,
      )
    if (plan.material.kind !== 'new')
      assert(file.text?.includes('(new)') !== true, `${file.path} names a release that is there`)
  }
  if (isConverged(plan)) {
    assert(plan.files.length === 0 && plan.permissions.length === 0, 'nothing is left to write')
    assert(plan.owed.verb === 'none', 'nothing is owed')
    assert(plan.material.kind === 'keep', 'the pair in use stays')
  }
  if (activationOf(plan.owed) !== 'none') assert(plan.changes.length > 0, 'an act is a change')
  if (plan.isInactive) assert(plan.owed.verb === 'none', 'what is stopped is owed nothing')
  const unit = observation.kind === 'observed' ? observation.unit : undefined
  assert(plan.isInactive === (unit?.activeState === 'inactive'), 'stopped is stopped')
}

await t.test('a plan is pure, and everything in it has its reason', async t => {
  const tally = { actionable: 0, blocked: 0, converged: 0 }
  await hold(
    t,
    {
      values: scenes,
      runs: numRuns,
      describe: scene => JSON.stringify({ ...scene, disk: recipeOf(scene.disk) }),
    },
    async ({ disk, wished, stopped, entry, laterMs }) => {
      const node = newNode()
      layOut(node, disk)
      if (stopped) node.stop('influxdb')
      const observer = createObserver(node.host, { files: {}, localCa: undefined })
      for (const tls of await wish(wished)) {
        const observation = frozen(await observer.observe(tls))
        const input = frozen({
          observation,
          entry,
          contentDigest: serviceDigest(tls),
          nowMs: node.nowMs() + laterMs,
          self: OWN,
        })

        const plan = planService(input)

        assert(JSON.stringify(plan) === JSON.stringify(planService(input)), 'same input, same plan')
        check(plan, observation)
        const report = reportOfPlan(plan)
        assert(!JSON.stringify(report).includes('PRIVATE KEY'), `no secret: ${recipeOf(disk)}`)
        tally[plan.kind] += 1
        if (plan.kind === 'actionable' && isConverged(plan)) tally.converged += 1
      }
    },
  )

  t.comment(JSON.stringify(tally))
  t.ok(tally.actionable > tally.blocked, 'most plans can be carried out')
})

await t.test('of a converged node the plan is empty, until its certificate is due', async t => {
  const node = newNode()
  const services = await wish({ lifetime: '90d' })
  await passOnce(node, services)
  const observer = createObserver(node.host, { files: {}, localCa: undefined })
  const changesAfter = async (service: Service, days: number) => {
    const tls = services.find(one => one.service === service)
    if (tls === undefined) throw new Error('not wished for')
    const plan = planService({
      observation: await observer.observe(tls),
      entry: EMPTY_ENTRY,
      contentDigest: serviceDigest(tls),
      nowMs: node.nowMs() + days * 86_400_000,
      self: OWN,
    })
    return plan.kind === 'actionable' ? plan.changes.map(change => change.reason.code) : plan.reason
  }
  for (const service of ['influxdb', 'prometheus'] as const) {
    t.strictSame(await changesAfter(service, 0), [])
    t.strictSame(await changesAfter(service, 50), [])
    t.ok(JSON.stringify(await changesAfter(service, 70)).includes('renewal-due'))
    t.ok(JSON.stringify(await changesAfter(service, 91)).includes('expired'))
  }
})
