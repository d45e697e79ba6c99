// A rotation as it goes, and every verb: what the page does is what the API then says.

import t from 'tap'
import { RotationSummary, RotationView } from '../../shared/contract/rotations.ts'
import { until } from '../lab/until.ts'
import { operatorOf, parsed, startController } from '../controller/api/support.ts'
import { CHROMIUM_UNAVAILABLE, confirm, openBrowser, signIn, visit } from './browser.ts'

t.setTimeout(900_000)
const options = { skip: CHROMIUM_UNAVAILABLE, timeout: 850_000 }
const ALONE = 'version: 1\nfleet: demo\nservices: []\n'

await t.test('an admin takes CAs from one to the next', options, async t => {
  const running = await startController(t)
  const admin = operatorOf(running)
  const { context } = running.controller
  const begin = async (pace: string) =>
    parsed(RotationSummary, await admin('POST', '/v1/rotations', { kind: 'service', pace })).id
  const look = async (id: string) => parsed(RotationView, await admin('GET', `/v1/rotations/${id}`))
  const is = (id: string, holds: (view: RotationView) => boolean, what: string) =>
    until(
      async () => {
        context.wakeRotations()
        return holds(await look(id))
      },
      { what, timeoutMs: 120_000 },
    )
  const browser = await openBrowser(t)
  const { page, complaints } = await visit(t, browser, running)
  const main = page.getByRole('main')
  const id = await begin('step')
  await signIn(page, running.adminToken, `/#/rotations/${id}`)

  await t.test('it is advanced from phase to phase, with the reason in its history', async t => {
    await main.getByText('It waits for somebody to confirm the next phase.').waitFor()
    await confirm(page, 'Advance', 'the new CA is known')
    await is(id, ({ phase }) => phase === 'distribute', 'it has gone on')
    await main.getByText('by admin: the new CA is known').waitFor()
    t.match((await look(id)).history, [{}, { kind: 'confirmed', actor: 'admin' }, {}])
  })

  await t.test('one that has stopped is resumed', async t => {
    await context.store.transaction(async tx => {
      const rotation = await tx.rotations.get(id)
      const reason = { code: 'rollout-stopped', message: 'rollout x is failed' }
      const stopped = { kind: 'stopped', reason, atMs: Date.now(), actor: 'controller' } as const
      await tx.rotations.append(id, rotation?.version ?? 0, [stopped])
    })
    await main.getByText('rollout x is failed').first().waitFor()
    await confirm(page, 'Resume', 'settled')
    t.equal((await look(id)).stopped, undefined)
    await page.getByRole('button', { name: 'Resume', exact: true }).waitFor({ state: 'detached' })
  })

  await t.test('it is taken back, and then nothing more can be done with it', async t => {
    await confirm(page, 'Take back', 'not this week')
    await is(id, ({ status }) => status === 'reversed', 'it is taken back')
    await main.getByText('Reversed').first().waitFor()
    await page.getByRole('group', { name: 'What to do with it' }).waitFor({ state: 'detached' })
    t.equal((await look(id)).direction, 'reverse')
  })

  await t.test('of a compromised CA, no phase waits for a confirmation', async t => {
    const next = await begin('step')
    await page.evaluate(`location.hash = '#/rotations/${next}'`)
    await confirm(page, 'Compromised', 'the disk was copied')
    await is(next, ({ status }) => status === 'completed', 'it is completed')
    await main.getByText('Tainted').first().waitFor()
    t.notOk((await look(next)).history.some(({ kind }) => kind === 'confirmed'))
  })

  await t.test('where others are asked for, its author is told who is waited for', async t => {
    const text = `${ALONE}rollout: { approvals: 1 }\n`
    await context.store.transaction(tx =>
      tx.revisions.insert({ digest: 'sha256:x', text, author: 'ada', createdAtMs: 1 }),
    )
    const next = await begin('auto')
    await is(next, ({ waitsFor }) => waitsFor === 'advance', 'it waits')
    await page.evaluate(`location.hash = '#/rotations/${next}'`)
    await main.getByText('It waits for 1 operator other than admin').waitFor()
    const advance = page.getByRole('button', { name: 'Advance', exact: true })
    t.equal(await advance.getAttribute('aria-disabled'), 'true')
    t.match(await advance.getAttribute('title'), /^you have begun it/)

    const other = await visit(t, browser, running)
    await signIn(other.page, running.approverToken, `/#/rotations/${next}`)
    await confirm(other.page, 'Advance', 'I looked at it')
    await is(next, ({ status }) => status === 'completed', 'it is completed')
    await main.getByText('Completed').first().waitFor()
    t.strictSame(other.complaints, [])
  })
  t.strictSame(complaints, [])
})
