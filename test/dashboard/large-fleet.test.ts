// 2,000 nodes: what is in the document does not grow with the fleet, and a change of one node is one
// small request.

import t from 'tap'
import { until } from '../lab/until.ts'
import { startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, signIn, visit } from './browser.ts'
import { fillSettled, syntheticNodes } from './synthetic-fleet.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }
const ROWS_MAX = 60
const ELEMENTS_MAX = 2_500

await t.test('2,000 nodes are scrolled, filtered and renewed', options, async t => {
  const running = await startController(t)
  const nodes = syntheticNodes(2_000)
  await fillSettled(running, nodes)
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  await signIn(page, running.viewerToken)
  const grid = page.getByRole('grid', { name: 'Nodes' })
  await page.getByText('2,000 nodes', { exact: true }).waitFor()
  const isBounded = async (when: string) => {
    const rows = await grid.getByRole('row').count()
    t.ok(rows > 5 && rows < ROWS_MAX, `${rows} rows ${when}`)
    const elements = Number(await page.evaluate('document.querySelectorAll("*").length'))
    t.ok(elements < ELEMENTS_MAX, `${elements} elements ${when}`)
  }

  await isBounded('at the beginning')
  t.equal(await grid.getAttribute('aria-rowcount'), '2001')
  for (const part of [0.25, 0.5, 1]) {
    await page.evaluate(
      `{ const grid = document.querySelector('[role=grid]'); grid.scrollTop = grid.scrollHeight * ${part} }`,
    )
    const index = Math.floor(Math.min(part * 2_000, 1_999))
    await until(async () => (await grid.locator(`[aria-rowindex="${index + 2}"]`).count()) === 1, {
      what: `row ${index} is there`,
    })
    await isBounded(`at ${part}`)
  }

  const sought = nodes.find(({ state }) => state === 'converged')?.name ?? ''
  await page.getByLabel('Filter nodes').fill(sought)
  await grid.getByRole('link', { name: sought, exact: true }).waitFor()
  await page.getByLabel('Filter nodes').fill('role=web site=oslo')
  const expected = nodes.filter(
    ({ labels }) => labels['role'] === 'web' && labels['site'] === 'oslo',
  ).length
  await page.getByText(`${expected} of 2,000 nodes`).waitFor()
  await isBounded('when filtered')

  const asked: string[] = []
  page.on('request', request =>
    asked.push(new URL(request.url()).pathname + new URL(request.url()).search),
  )
  await page.getByLabel('Filter nodes').fill(sought)
  running.controller.context.presence.forget(sought)
  running.controller.context.presence.heard(sought)
  await until(async () => asked.some(path => path === `/v1/nodes?name=${sought}&limit=500`), {
    what: 'the node that came back is asked for',
  })
  t.equal(asked.filter(path => path.startsWith('/v1/nodes?limit')).length, 0, 'and nobody else')
  t.strictSame(complaints, [])
})
