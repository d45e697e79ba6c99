// Text has a contrast of at least 4.5 to 1 on what is behind it, in light and in dark, in each view
// (WCAG 2.2, 1.4.3); every control has a name; nothing is cut off on a small screen.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { RolloutView } from '../../shared/contract/operator-api.ts'
import { operatorOf, parsed, startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, signIn, visit } from './browser.ts'
import { fillSettled, SPEC, syntheticNodes } from './synthetic-fleet.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }

// Runs in the page: texts whose contrast is below the limit, with what it is.
const LOW_CONTRASTS = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = text => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = text
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const over = ([r, g, b, a], [x, y, z]) =>
    [r, g, b].map((one, i) => (one * a + [x, y, z][i] * (255 - a)) / 255)
  const ground = element => {
    if (element === null) return rgba(getComputedStyle(document.documentElement).backgroundColor).slice(0, 3)
    const own = rgba(getComputedStyle(element).backgroundColor)
    return own[3] === 255 ? own.slice(0, 3) : over(own, ground(element.parentElement))
  }
  const luminance = rgb => {
    const [r, g, b] = rgb.map(one => {
      const part = one / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const found = []
  let looked = 0
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(one => one.nodeType === 3).map(one => one.data).join('').trim()
    const isField = element.matches('input')
    if ((text === '' && !isField) || !element.checkVisibility({ opacityProperty: true })) continue
    if (element.closest('.unseen, noscript, title, style, script')) continue
    const style = getComputedStyle(element, isField ? '::placeholder' : null)
    const color = element.closest('svg') === null ? style.color : style.fill
    const behind = ground(element.closest('svg') === null ? element : element.closest('svg').parentElement)
    const [a, b] = [luminance(over(rgba(color), behind)), luminance(behind)]
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    looked++
    if (contrast < 4.5) found.push(contrast.toFixed(2) + ' ' + element.className + ': ' + text.slice(0, 40))
  }
  return { looked, found: [...new Set(found)] }
})()`

const NAMELESS = `[...document.querySelectorAll('a, button, input, select, [role=grid], [role=img]')]
  .filter(one => one.checkVisibility())
  .filter(one => (one.textContent + (one.getAttribute('aria-label') ?? '') + (one.labels ? [...one.labels].map(l => l.textContent).join('') : '')).trim() === '')
  .map(one => one.outerHTML.slice(0, 120))`

/** By way of a page that no other one is taken for: what is looked at then is the view, and not the one before. */
async function show(page: Page, view: string): Promise<void> {
  const go = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
  const between = page.getByText('There is no page between.')
  await go('#/between')
  await between.waitFor()
  await go(view)
  await between.waitFor({ state: 'detached' })
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.locator('.loading').first().waitFor({ state: 'detached' })
}

await t.test('every view can be read in both schemes', options, async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const nodes = syntheticNodes(110)
  await fillSettled(running, nodes)
  const { id } = parsed(
    RolloutView,
    await operator('POST', '/v1/rollouts', {
      spec: SPEC.replaceAll('service: prometheus,', 'service: prometheus, lifetime: 20d,'),
      waitMs: 0,
    }),
  )
  await operator('PUT', '/v1/freezes/night', { reason: 'nobody is here' })
  const rotation = Object((await operator('POST', '/v1/rotations', { kind: 'identity' })).body).id
  const of = (state: string) => nodes.find(one => one.state === state)?.name
  const views = [
    '#/',
    ...['drifting', 'failed', 'pending'].map(state => `#/nodes/${of(state)}`),
    '#/nodes/no-such-node',
    '#/certificates',
    '#/rollouts',
    `#/rollouts/${id}`,
    '#/rotations',
    `#/rotations/${rotation}`,
    '#/groups',
    '#/audit',
    '#/nowhere',
  ]
  const shots = mkdtempSync(join(tmpdir(), 'tlsfleet-screenshots-'))
  t.teardown(() => rmSync(shots, { recursive: true }))
  const browser = await openBrowser(t)

  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, complaints } = await visit(t, browser, running, { colorScheme })
    await page.goto('/')
    await page.getByLabel('API token').waitFor()
    const first: { found: string[] } = await page.evaluate(LOW_CONTRASTS)
    t.strictSame(first.found, [], `${colorScheme} sign in`)
    await signIn(page, running.operatorToken)
    for (const [index, view] of views.entries()) {
      await show(page, view)
      const { looked, found }: { looked: number; found: string[] } =
        await page.evaluate(LOW_CONTRASTS)
      t.ok(looked > 10, `${looked} texts`)
      t.strictSame(found, [], `${colorScheme} ${view}`)
      t.strictSame(await page.evaluate(NAMELESS), [], `every control of ${view} has a name`)
      const path = join(shots, `${colorScheme}-${index}.png`)
      await page.screenshot({ path })
      t.ok(statSync(path).size > 5_000, `a picture of ${view}`)
    }
    t.strictSame(complaints, [])
  }

  const { page } = await visit(t, browser, running, { width: 420, height: 800 })
  await signIn(page, running.viewerToken)
  for (const view of views) {
    await show(page, view)
    const width = await page.evaluate('document.documentElement.scrollWidth')
    t.ok(Number(width) <= 420, `${view} fits into a small screen: ${String(width)}`)
  }
})
