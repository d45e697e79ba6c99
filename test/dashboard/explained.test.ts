// A code says what it means and what to do, to whoever asks by mouse or by keyboard, and one at a time.

import t from 'tap'
import { explain } from '../../shared/reasons/explain.ts'
import { operatorOf, startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, signIn, visit } from './browser.ts'
import { fillSettled, syntheticNodes } from './synthetic-fleet.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

await t.test('a code is explained where it stands', options, async t => {
  const running = await startController(t)
  const nodes = syntheticNodes(40)
  await fillSettled(running, nodes)
  const frozen = { reason: 'nobody is here', nodes: ['elsewhere'] }
  await operatorOf(running)('PUT', '/v1/freezes/night', frozen)
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  const asked: string[] = []
  page.on('request', request => {
    if (request.url().includes('/v1/reasons')) asked.push(new URL(request.url()).pathname)
  })
  const name = nodes.find(({ state }) => state === 'failed')?.name ?? ''
  await signIn(page, running.viewerToken, `/#/nodes/${name}`)
  const why = page.getByRole('region', { name: 'Why' })
  const code = why.getByRole('button', { name: 'unit-failed' })
  const dialog = page.getByRole('dialog', { name: 'unit-failed' })
  const { meaning = '', action = '' } = explain('unit-failed') ?? {}
  const plain = (text: string) => text.replaceAll('`', '')

  await t.test(
    'by keyboard: Enter opens it, Escape closes it and gives the focus back',
    async t => {
      await code.focus()
      t.strictSame(asked, [], 'nothing is asked for before somebody wants to know')
      await page.keyboard.press('Enter')
      await dialog.getByText('What it means').waitFor()
      const text = (await dialog.textContent()) ?? ''
      t.ok(text.includes(plain(meaning)) && text.includes(plain(action)), text)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
      t.equal(await page.evaluate('document.activeElement?.textContent'), 'unit-failed')
    },
  )

  await t.test('it is inside of the window, and asked for once', async t => {
    await page.setViewportSize({ width: 420, height: 600 })
    await code.click()
    await dialog.getByText('What it means').waitFor()
    const box = await dialog.boundingBox()
    t.ok(box !== null && box.x >= 0 && box.x + box.width <= 420 && box.y + box.height <= 600)
    await page.mouse.click(2, 2)
    await dialog.waitFor({ state: 'detached' })
    t.strictSame(asked, ['/v1/reasons/unit-failed'])
    await page.setViewportSize({ width: 1360, height: 900 })
  })

  await t.test('in a list, a click in the explanation does not open the row', async t => {
    await page.evaluate("location.hash = '#/audit'")
    const grid = page.getByRole('grid')
    await grid.waitFor()
    const some = grid.locator('button.code').first()
    const other = (await some.textContent()) ?? ''
    await some.click()
    const shown = page.getByRole('dialog', { name: other })
    await shown
      .getByText(/What it means|There is no more to say/)
      .first()
      .click()
    await shown.waitFor()
    t.match(page.url(), /#\/audit$/)
    await page.keyboard.press('Escape')
    await shown.waitFor({ state: 'detached' })
  })
  t.strictSame(complaints, [])
})
