// Every view shows what the API says, of a fleet without machines.

import t from 'tap'
import type { Page } from 'playwright-core'
import { NodeList } from '../../shared/contract/operator-api.ts'
import { CertificateList } from '../../shared/contract/certificates.ts'
import { operatorOf, parsed, startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, signIn, visit } from './browser.ts'
import { fillSettled, syntheticNodes } from './synthetic-fleet.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

await t.test('each view shows what the API says', options, async t => {
  const running = await startController(t)
  const nodes = syntheticNodes(120)
  await fillSettled(running, nodes)
  const operator = operatorOf(running)
  const spec = `
version: 1
fleet: demo
services: [{ service: prometheus, nodes: { labels: { role: monitoring } } }]
groups: [{ name: watchers, kind: pool, percent: 25, nodes: { labels: { role: monitoring } } }]
rollout: { autoStart: false }
`
  await operator('POST', '/v1/rollouts', { spec: `${spec}# changed\n`, waitMs: 0 })
  await operator('PUT', '/v1/freezes/night', { reason: 'nobody is here', nodes: ['elsewhere'] })
  await operator('POST', '/v1/rotations', { kind: 'identity' })
  const { nodes: views } = parsed(NodeList, await operator('GET', '/v1/nodes?limit=500'))
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  const go = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
  const shows = (text: string | RegExp) => page.getByRole('main').getByText(text).first().waitFor()

  await t.test('only with a token that is good', async t => {
    await page.goto('/')
    await page.getByLabel('API token').fill('tlsf_0000000000000000_wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    t.match(await page.getByRole('alert').textContent(), /unauthenticated/)
    await signIn(page, running.adminToken)
    t.strictSame(await browser.contexts()[0]?.cookies(), [], 'no cookie is set')
  })

  await t.test(
    'the fleet: tiles count nodes, by product and by label, and filter them',
    async t => {
      await page.getByRole('grid', { name: 'Nodes' }).waitFor()
      for (const state of ['converged', 'drifting', 'failed', 'offline'] as const) {
        const expected = views.filter(one => one.state === state).length
        const tile = page.getByRole('button', { name: new RegExp(`^${state}\\s*${expected}`, 'i') })
        t.equal(await tile.count(), 1, `${expected} ${state}`)
      }
      const drifting = views.filter(one => one.state === 'drifting').length
      await page.getByRole('button', { name: /^Drifting/ }).click()
      await page.getByText(`${drifting} of 120 nodes`).waitFor()
      t.match(page.url(), /filter=state%3Adrifting/, 'the filter is part of the link')
      await page.getByRole('button', { name: /^Drifting/ }).click()
      const meta = views.filter(({ labels }) => labels['role'] === 'meta').length
      await page.getByRole('button', { name: /^meta/ }).click()
      await page.getByText(`${meta} of 120 nodes`).waitFor()
      await page.getByLabel('Filter nodes').fill('no-such-node')
      await shows('No node matches the filter.')
      await page.getByRole('button', { name: 'Show all' }).click()
      await page.getByText('120 nodes', { exact: true }).waitFor()
      t.equal(page.url().includes('filter'), false)
    },
  )

  await t.test('a node: why, what to do, the diff, what it serves, its history', async t => {
    const found = nodes.find(one => one.state === 'drifting' && one.labels['role'] === 'data')
    const name = found?.name ?? nodes.find(one => one.state === 'drifting')?.name ?? ''
    await go(`#/nodes/${name}`)
    await page.getByRole('heading', { level: 1, name }).waitFor()
    await shows('a setting was edited by hand: https-enabled')
    await shows(/In mode enforce the agent corrects this/)
    t.match(await page.getByLabel('Difference').first().textContent(), /^\+.*https-enabled = true/m)
    t.match(await page.getByLabel('Served certificates').first().textContent(), /TLSv1\.3/)
    await page.getByRole('region', { name: 'History' }).waitFor()
    t.equal(await page.getByRole('alert').count(), 0)
    await page.goBack()
    await page.getByRole('grid', { name: 'Nodes' }).waitFor()
    await go('#/nodes/no-such-node')
    t.match(await page.getByRole('alert').textContent(), /there is no node no-such-node/)
  })

  await t.test('certificates: how many, and which end first', async t => {
    const list = parsed(CertificateList, await operator('GET', '/v1/certificates?limit=500'))
    await go('#/certificates')
    await page.getByText(`${list.certificates.length} certificates`).waitFor()
    const ends = await page.getByRole('row').locator('time').first().getAttribute('datetime')
    const first = Math.min(...list.certificates.flatMap(one => one.notAfterMs ?? []))
    t.equal(Date.parse(ends ?? ''), Math.trunc(first))
    await page.getByLabel('Only what nobody renews').check()
    const lost = list.certificates.filter(one => one.unrenewed !== undefined).length
    await page.getByText(new RegExp(`^${lost} certificates?$`)).waitFor()
    await page.getByLabel('If the controller stayed away').check()
    await shows(/without the controller/)
  })

  await t.test('rollouts, groups, freezes, CAs and their rotation', async t => {
    await go('#/rollouts')
    await shows('Under way')
    await page.getByRole('link', { name: /Revision 2/ }).click()
    await shows(/of \d+ nodes done/)
    await page.getByRole('list', { name: 'Batches' }).waitFor()
    await go('#/groups')
    await shows('watchers')
    await shows('nobody is here')
    await go('#/rotations')
    await shows('identity-2')
    await page.getByRole('link', { name: /Identity CA/i }).click()
    await shows('distribute')
    await shows(/is offline|does not say|not heard|in the way|does not answer/i)
    t.equal(await page.getByRole('alert').count(), 0)
  })

  await t.test('the audit log, and that it is intact', async t => {
    await go('#/audit')
    await shows('freeze')
    await page.getByRole('button', { name: 'Verify' }).click()
    await shows('Intact')
    await page.getByLabel('Filter records').fill('action:freeze')
    await page.getByText('1 record', { exact: true }).waitFor()
    t.match(await page.getByRole('grid').textContent(), /nobody is here/)
  })

  await t.test('a page that does not exist says so, and signing out forgets the token', async t => {
    await go('#/nowhere')
    await shows('There is no page nowhere.')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('API token').waitFor()
    t.equal(await page.evaluate('sessionStorage.length'), 0)
  })

  await t.test('whoever only looks sees why a button does nothing', async t => {
    await signIn(page, running.viewerToken, '/#/groups')
    const button = page.getByRole('button', { name: 'Freeze all' })
    await button.waitFor()
    t.equal(await button.getAttribute('aria-disabled'), 'true')
    await page.reload()
    await button.click({ force: true })
    t.equal(await page.getByRole('dialog').count(), 0)
    t.match(await describedBy(page, 'Freeze all'), /your role is viewer/)
  })
  t.strictSame(complaints, [])
})

async function describedBy(page: Page, name: string): Promise<string | null> {
  const id = await page.getByRole('button', { name }).getAttribute('aria-describedby')
  return page.locator(`#${id ?? 'none'}`).textContent()
}
