// A rollout as it goes, and every verb: what the page does is what the API then says.

import t from 'tap'
import { AuditList } from '../../shared/contract/audit.ts'
import { RolloutView } from '../../shared/contract/operator-api.ts'
import { until } from '../lab/until.ts'
import { type FakeAgent, startFakeAgent } from '../controller/api/fake-agent.ts'
import {
  addNode,
  joinFleet,
  operatorOf,
  parsed,
  startController,
} from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, confirm, openBrowser, signIn, visit } from './browser.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

const spec = (lifetime: string) => `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all, lifetime: ${lifetime} }
groups:
  - { name: watchers, kind: pool, percent: 60, nodes: all }
rollout: { autoStart: false, waitForOffline: 1h, promote: every, approvals: 1 }
`

await t.test('an operator takes a rollout from plan to end', options, async t => {
  const running = await startController(t)
  const admin = operatorOf(running)
  const operator = operatorOf(running, running.operatorToken)
  const agents: FakeAgent[] = []
  for (const name of ['n1', 'n2', 'n3'])
    agents.push(startFakeAgent(await joinFleet(running, admin, name)))
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
  // It was never there: it is waited for, until somebody takes it out.
  await addNode(admin, 'n4')
  const { id } = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: spec('30d') }))
  const rollout = async () => parsed(RolloutView, await admin('GET', `/v1/rollouts/${id}`))
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  const main = page.getByRole('main')
  await signIn(page, running.adminToken, `/#/rollouts/${id}`)

  await t.test('approve and start, each with its reason in the audit log', async t => {
    await main.getByText('Planned').first().waitFor()
    await confirm(page, 'Approve', 'looked at it')
    await confirm(page, 'Start', 'now is the time')
    await until(async () => (await rollout()).status !== 'planned', { what: 'it has begun' })
    const { records } = parsed(AuditList, await admin('GET', `/v1/audit?target=${id}`))
    t.ok(records.some(({ action, actor }) => /approve/.test(action) && actor === 'admin'))
  })

  await t.test('a pause is seen by whoever looks, without loading the page anew', async t => {
    await page.evaluate('window.isStillTheSame = true')
    await confirm(page, 'Pause', 'lunch')
    await main.getByText('Paused: by an operator').waitFor()
    await operator('POST', `/v1/rollouts/${id}/resume`, {})
    await main.getByText('Paused: by an operator').waitFor({ state: 'detached' })
    t.equal(await page.evaluate('window.isStillTheSame'), true)
  })

  await t.test('a node that is away is skipped; budgets and events are shown', async t => {
    const link = page.getByRole('link', { name: 'n4', exact: true })
    const row = page.getByRole('row').filter({ has: link })
    await row.getByRole('button', { name: 'Skip' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Skip' }).click()
    await row.getByText('Skipped').waitFor()
    t.equal((await rollout()).steps.find(({ node }) => node === 'n4')?.state, 'skipped')
    await page.getByRole('region', { name: 'Budgets' }).getByText('watchers').waitFor()
    await page
      .getByRole('list', { name: /^Events/ })
      .getByText('node skipped')
      .waitFor()
  })

  await t.test('batches pass when they are promoted, and progress appears by itself', async t => {
    await until(
      async () => {
        const { status } = await rollout()
        if (status === 'running') await operator('POST', `/v1/rollouts/${id}/promote`, {})
        return ['partial', 'succeeded'].includes(status)
      },
      { what: 'it has ended', timeoutMs: 120_000 },
    )
    await main.getByText('Partial').first().waitFor()
    t.match(
      await page.getByRole('region', { name: 'Progress' }).textContent(),
      /3\s*of 4 nodes done/,
    )
    t.equal(await page.evaluate('window.isStillTheSame'), true)
  })

  await t.test('what the page knows no more is refused, and said', async t => {
    const second = parsed(
      RolloutView,
      await operator('POST', '/v1/rollouts', { spec: spec('20d') }),
    )
    await page.evaluate(`location.hash = '#/rollouts/${second.id}'`)
    await page.getByRole('button', { name: 'Start' }).click()
    await operator('POST', `/v1/rollouts/${second.id}/abort`, {})
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Start' }).click()
    t.match(await dialog.getByRole('alert').textContent(), /Not done/)
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await main.getByText('Aborted').first().waitFor()
  })

  await t.test('rolling back makes a rollout and leads to it', async t => {
    await page.evaluate(`location.hash = '#/rollouts/${id}'`)
    await page.getByRole('heading', { name: 'Rollout of revision 1' }).waitFor()
    await confirm(page, 'Roll back', 'it was wrong')
    await until(async () => !page.url().includes(id), { what: 'the page shows the new one' })
    const child = page.url().split('/').at(-1) ?? ''
    t.match(parsed(RolloutView, await admin('GET', `/v1/rollouts/${child}`)), { id: child })
  })
  t.strictSame(complaints, [])
})
