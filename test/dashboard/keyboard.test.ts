// All of it without a mouse.

import t from 'tap'
import type { Page } from 'playwright-core'
import { FreezeList } from '../../shared/contract/rollout-verbs.ts'
import { operatorOf, parsed, startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, visit } from './browser.ts'
import { fillSettled, syntheticNodes } from './synthetic-fleet.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

/** What the focus is on, in words. */
function focused(page: Page): Promise<unknown> {
  return page.evaluate(
    `(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()) || document.activeElement.tagName`,
  )
}

async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    const found = String(await focused(page))
    if (typeof name === 'string' ? found === name : name.test(found)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`the focus never came to ${String(name)}`)
}

await t.test('from signing in to a node, and a verb', options, async t => {
  const running = await startController(t)
  await fillSettled(running, syntheticNodes(90))
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  const { keyboard } = page

  await page.goto('/')
  await page.getByLabel('API token').waitFor()
  await keyboard.type(running.operatorToken)
  await keyboard.press('Enter')
  await page.getByRole('grid', { name: 'Nodes' }).waitFor()

  await t.test('the first stop leads past the navigation', async t => {
    await keyboard.press('Tab')
    t.equal(await focused(page), 'Skip to content')
    await keyboard.press('Enter')
    t.equal(await page.evaluate('document.activeElement.tagName'), 'MAIN')
  })

  await t.test('arrows choose a node, Enter opens it, and the focus is on its name', async t => {
    await tabTo(page, 'Nodes')
    await keyboard.press('ArrowDown')
    await keyboard.press('End')
    const chosen = page.locator('[role=row][aria-selected=true]')
    t.equal(await chosen.getAttribute('aria-rowindex'), '91')
    await keyboard.press('Home')
    await keyboard.press('PageDown')
    const name = (await chosen.getByRole('link').textContent()) ?? ''
    const id = await chosen.getAttribute('id')
    const grid = page.getByRole('grid', { name: 'Nodes' })
    t.equal(await grid.getAttribute('aria-activedescendant'), id)
    await keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name }).waitFor()
    t.equal(await focused(page), name)
    t.match(await page.title(), new RegExp(`^${name} · demo`))
  })

  await t.test('a slash goes to the filter, Escape empties it', async t => {
    await page.goBack()
    await page.getByRole('grid', { name: 'Nodes' }).waitFor()
    await keyboard.press('/')
    await keyboard.type('state:drifting')
    await page.getByText(/^\d of 90 nodes$/).waitFor()
    await keyboard.press('Escape')
    await page.getByText('90 nodes', { exact: true }).waitFor()
    t.equal(await page.evaluate('document.activeElement.type'), 'search')
    // As slowly as the list follows: nothing that was typed meanwhile is taken back.
    await keyboard.type('state:failed', { delay: 125 })
    t.equal(await page.evaluate('document.activeElement.value'), 'state:failed')
    await keyboard.press('Escape')
  })

  await t.test('who leaves while the list still follows what was typed has left', async t => {
    // The filter is due before the page hears of the new address.
    await page.evaluate(`(() => {
      const input = document.querySelector('input[type=search]')
      input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))
      const end = performance.now() + 20
      while (performance.now() < end);
      location.hash = '#/groups'
    })()`)
    await page.getByRole('heading', { name: 'Groups and budgets' }).waitFor()
    t.equal(await page.evaluate('location.hash'), '#/groups')
    await page.goBack()
    await page.getByRole('grid', { name: 'Nodes' }).waitFor()
  })

  await t.test('a dialog keeps the focus, Escape leaves it, Enter does it', async t => {
    await page.evaluate(`location.hash = '#/groups'`)
    await page.getByRole('heading', { name: 'Groups and budgets' }).waitFor()
    await tabTo(page, 'Freeze all')
    await keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    for (let presses = 0; presses < 8; presses++) {
      await keyboard.press('Tab')
      const isOutside = await page.evaluate(
        `document.activeElement.closest('dialog') === null && document.activeElement !== document.body`,
      )
      t.equal(isOutside, false, 'the focus does not leave the dialog')
    }
    await keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.equal(await focused(page), 'Freeze all', 'it is back where it was')

    await keyboard.press('Enter')
    await page.getByLabel(/Reason/).focus()
    await keyboard.type('moving house')
    await keyboard.press('Enter')
    await page.getByText('moving house').waitFor()
    const { freezes } = parsed(FreezeList, await operatorOf(running)('GET', '/v1/freezes'))
    t.match(freezes, [{ reason: 'moving house', actor: 'operator' }])
  })
  t.strictSame(complaints, [])
})
