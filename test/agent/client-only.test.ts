// Products that are only clients: no certificate, no listener. What they have loaded is known by the
// ledger, that they live by their unit.

import t from 'tap'
import { OWN } from '../../agent/state-file.ts'
import { outcomes } from '../support/memory-fleet.ts'
import {
  UPSTREAM_CA,
  guestAgent,
  guestPass,
  guestWish,
  leftovers,
  newGuestNode,
} from '../support/guest-fleet.ts'
import { CLIENT_CONF, CLIENT_TRUST } from '../support/client-product.ts'
import { createMemoryCa } from '../support/fake-controller.ts'

const ON = await guestWish({ client: 'on' })
const OFF = await guestWish({ client: 'off' })
const RESTART = 'restart telegraf.service'

await t.test('it is pointed at TLS with one restart, and is in sync by its unit alone', async t => {
  const node = newGuestNode()

  const reports = await guestPass(node, ON)

  t.strictSame(outcomes(reports), { telegraf: 'changed' })
  t.match(reports[0]?.reason.message, /a unit that stays up/)
  t.strictSame(reports[0]?.served, [])
  t.notOk(reports[0]?.renewAtMs)
  t.strictSame(node.activations, [RESTART])
  t.match(node.loaded('telegraf'), 'https://db:8086')
  t.equal(node.files.text(CLIENT_TRUST), UPSTREAM_CA)
  t.equal(node.tree.get('/etc/telegraf/tls')?.owner.mode, 0o750)
  t.equal(node.tree.get('/etc/telegraf/tls/releases'), undefined, 'no place for certificates')
  t.strictSame(leftovers(node), [])
  const changes = node.changes()
  for (let pass = 0; pass < 3; pass++)
    t.strictSame(outcomes(await guestPass(node, ON)), { telegraf: 'in-sync' })
  t.equal(node.changes(), changes, 'nothing was written')
})

await t.test(
  'what it must trust can be gone: the file goes with the key that names it',
  async t => {
    const node = newGuestNode()
    await guestPass(node, ON)

    const reports = await guestPass(node, OFF)

    t.strictSame(
      reports[0]?.changes.map(({ action, resource }) => `${action} ${resource}`),
      [`remove ${CLIENT_TRUST}`, `update ${CLIENT_CONF}`],
    )
    t.equal(node.files.text(CLIENT_TRUST), undefined)
    t.strictSame(node.activations, [RESTART, RESTART])
    t.strictSame(outcomes(await guestPass(node, OFF)), { telegraf: 'in-sync' })
  },
)

await t.test('another CA is a restart owed, by the ledger', async t => {
  const node = newGuestNode()
  await guestPass(node, ON)
  const next = await guestWish({
    client: 'on',
    upstreamTrust: [createMemoryCa(node.nowMs()).certificatePem],
  })

  const reports = await guestPass(node, next)

  t.strictSame(outcomes(reports), { telegraf: 'changed' })
  t.strictSame(node.activations, [RESTART, RESTART])
})

await t.test('one that crashes with the new state gets the old one back', async t => {
  const node = newGuestNode()
  const before = node.files.text(CLIENT_CONF)
  node.refuseStart = () => node.files.text(CLIENT_CONF)?.includes('https') === true

  const reports = await guestPass(node, ON)

  t.strictSame(outcomes(reports), { telegraf: 'restored' })
  t.equal(reports[0]?.reason.code, 'unit-failed')
  t.equal(node.files.text(CLIENT_CONF), before)
  t.equal(node.files.text(CLIENT_TRUST), undefined)
  t.equal(node.unit('telegraf').state, 'active')
})

await t.test('a crash loop is seen although nobody listens', async t => {
  const node = newGuestNode()
  const { services } = node.host
  // Active whenever it is looked at, and started anew in between.
  let restarts = 0
  const show: typeof services.show = async name => {
    const unit = await services.show(name)
    if (unit === undefined || !node.loaded('telegraf').includes('https')) return unit
    restarts += 1
    return { ...unit, restarts, invocationId: `loop-${restarts}` }
  }

  const reports = await guestPass(node, ON, {
    host: { ...node.host, services: { ...services, show } },
  })

  t.equal(reports[0]?.outcome, 'restored')
  t.equal(reports[0]?.reason.code, 'unit-crash-loop')
})

await t.test('one that has died of something else is told, not taken for well', async t => {
  const node = newGuestNode()
  await guestPass(node, ON)
  const agent = await guestAgent(node, {
    host: {
      ...node.host,
      services: {
        ...node.host.services,
        show: async name => {
          const unit = await node.host.services.show(name)
          return unit && { ...unit, activeState: 'failed', result: 'oom-kill' }
        },
      },
    },
  })

  const [report] = await agent.plan(ON)

  t.match(report, { outcome: 'failed', reason: { code: 'unit-failed', message: /oom-kill/ } })
})

await t.test('a password in its file is in no diff', async t => {
  const node = newGuestNode()
  node.files.put(CLIENT_CONF, '[outputs]\nurl = "http://db:8086"\npassword = "hunter2-in-clear"\n')

  const [report] = await guestPass(node, ON)

  const diff = report?.changes.find(({ resource }) => resource === CLIENT_CONF)?.diff
  t.match(diff, 'password = "[secret]"')
  t.match(diff, '+url = "https://db:8086"')
  t.match(node.files.text(CLIENT_CONF), 'password = "hunter2-in-clear"')
  t.ok(OWN.uid >= 0)
})

await t.test('what its upstream serves is a notice, and never holds it back', async t => {
  const node = newGuestNode()

  const [report] = await guestPass(node, ON)

  t.equal(report?.outcome, 'changed')
  t.strictSame(report?.notices, [
    {
      code: 'upstream-plaintext',
      message: 'influxdb https://db:8086 answers without TLS',
    },
  ])
})
