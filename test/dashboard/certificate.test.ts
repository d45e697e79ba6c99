// A browser with a client certificate is in without a token, as long as the certificate is good.

import t from 'tap'
import { FreezeList } from '../../shared/contract/rollout-verbs.ts'
import { operatorOf, parsed, startController } from '../controller/api/support.ts'
import { createOperatorCa } from '../support/operator-ca.ts'
import { CHROMIUM_UNAVAILABLE, openBrowser, visit } from './browser.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }
const ADA = 'spiffe://corp.example/operator/ada'

// What is under way with a credential that is revoked is cut, as the browser says.
const CUT = /ERR_(INCOMPLETE_CHUNKED_ENCODING|CONNECTION_CLOSED|CONNECTION_RESET|EMPTY_RESPONSE)/

await t.test('a client certificate signs in', options, async t => {
  const ca = createOperatorCa(t.testdir(), 'corp')
  const running = await startController(t, { operatorCa: ca.file })
  const admin = operatorOf(running)
  await admin('POST', '/v1/operators', { name: 'ada', role: 'operator', certificateNames: [ADA] })
  const browser = await openBrowser(t)
  const certificate = ca.issue(`URI:${ADA}`)
  const { page, complaints } = await visit(t, browser, running, { certificate })

  await t.test('its operator is in, with the role of the record, and may act', async t => {
    await page.goto('/#/groups')
    await page.getByRole('navigation', { name: 'Views' }).waitFor()
    t.match(await page.getByRole('banner').textContent(), /ada\s*operator/)
    t.equal(await page.getByLabel('API token').count(), 0)
    t.equal(await page.evaluate('sessionStorage.length'), 0, 'nothing is kept')
    await page.getByRole('button', { name: 'Freeze all' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel(/Reason/).fill('nobody is here')
    await dialog.getByRole('button', { name: 'Freeze', exact: true }).click()
    await dialog.waitFor({ state: 'detached' })
    const { freezes } = parsed(FreezeList, await admin('GET', '/v1/freezes'))
    t.match(freezes, [{ actor: 'ada' }])
    await page.getByRole('main').getByText('nobody is here').waitFor()
  })

  await t.test('refused while it is in, it is out, and is told why', async t => {
    const serial = certificate.serial
    const denied = await admin('POST', '/v1/operators/ada/denied-certificates', { serial })
    t.equal(denied.status, 200)
    await page.getByLabel('API token').waitFor()
    t.match(await page.getByRole('alert').textContent(), /revoked/)
  })

  await t.test('one that names nobody is refused with the reason', async t => {
    const strange = ca.issue('URI:spiffe://corp.example/operator/eve')
    const other = await visit(t, browser, running, { certificate: strange })
    await other.page.goto('/')
    await other.page.getByLabel('API token').waitFor()
    t.match(await other.page.getByRole('alert').textContent(), /no operator/)
    t.strictSame(other.complaints, [])
  })
  t.strictSame(
    complaints.filter(text => !CUT.test(text)),
    [],
  )
})
