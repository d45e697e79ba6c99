// What is left to an operator when a node fails: to take its lease, and to try again.

import t from 'tap'
import { RolloutView } from '../../shared/contract/operator-api.ts'
import { LeaseList } from '../../shared/contract/rollout-verbs.ts'
import { until } from '../lab/until.ts'
import { startFakeAgent } from '../controller/api/fake-agent.ts'
import {
  addNode,
  joinFleet,
  operatorOf,
  parsed,
  startController,
} from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, confirm, openBrowser, signIn, tryVerb, visit } from './browser.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

const SPEC = `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all }
groups:
  - { name: watchers, kind: pool, percent: 70, nodes: all }
# The clock is put ahead below; no progress meanwhile must not pause it.
rollout: { maxFailures: 1, waitForOffline: 1h, progressDeadline: 1h }
`

await t.test('a node that fails is released and tried again', options, async t => {
  const running = await startController(t)
  const admin = operatorOf(running)
  const agents = [
    startFakeAgent(await joinFleet(running, admin, 'n1'), { outcome: 'failed' }),
    startFakeAgent(await joinFleet(running, admin, 'n2')),
  ]
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
  // It was never there: the rollout waits for it.
  await addNode(admin, 'n3')
  const { id } = parsed(RolloutView, await admin('POST', '/v1/rollouts', { spec: SPEC }))
  const rollout = async () => parsed(RolloutView, await admin('GET', `/v1/rollouts/${id}`))
  const stateOf = async (node: string) =>
    (await rollout()).steps.find(step => step.node === node)?.state
  await until(async () => (await stateOf('n1')) === 'broken', {
    what: 'nobody knows how n1 is',
    timeoutMs: 120_000,
  })
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  await signIn(page, running.adminToken, `/#/rollouts/${id}`)
  const link = page.getByRole('link', { name: 'n1', exact: true })
  const row = page.getByRole('row').filter({ has: link })
  const release = row.getByRole('button', { name: 'Force release' })

  await t.test('its lease is not taken while it may be at work', async t => {
    t.match(await tryVerb(page, release, 'in a hurry'), /Not done: .*may still be at work/)
    t.match((await leases()).leases, [{ node: 'n1', group: 'watchers' }])
  })

  await t.test(
    'its lease is taken when an operator says so, and who did is in the log',
    async t => {
      await running.controller.context.store.transaction(async tx => {
        const { version, timeMs } = await tx.controllerTime.get()
        await tx.controllerTime.advance(version, timeMs + 12 * 60_000)
      })
      t.equal(await tryVerb(page, release, 'its disk is gone'), undefined)
      await until(async () => (await leases()).leases.every(({ node }) => node !== 'n1'), {
        what: 'the lease is free',
      })
      await page
        .getByRole('list', { name: /^Events/ })
        .getByText('lease forced')
        .waitFor()
    },
  )

  await t.test('what did not get there is tried again in a rollout of its own', async t => {
    await admin('POST', `/v1/rollouts/${id}/nodes/n3/skip`, {})
    await until(async () => (await rollout()).endedAtMs !== undefined, { what: 'it has ended' })
    await confirm(page, 'Retry', 'a new disk')
    await until(async () => !page.url().includes(id), { what: 'the page shows the new one' })
    const child = page.url().split('/').at(-1) ?? ''
    const { steps } = parsed(RolloutView, await admin('GET', `/v1/rollouts/${child}`))
    t.ok(steps.some(({ node }) => node === 'n1'))
    t.notOk(
      steps.some(({ node }) => node === 'n2'),
      'who is done is left alone',
    )
  })
  t.strictSame(complaints, [])

  async function leases() {
    return parsed(LeaseList, await admin('GET', '/v1/leases'))
  }
})
