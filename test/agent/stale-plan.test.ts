// What a rollout was planned with holds a node: the digest of its change is the same for as long as
// nothing on it has changed, and where it has, nothing is touched.

import t from 'tap'
import type { PassInput } from '../../agent/reconciler.ts'
import type { PlannedService } from '../../shared/contract/planned.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { PowerCut } from '../support/memory-files.ts'
import {
  type MemoryNode,
  inputFor,
  newAgent,
  newNode,
  outcomes,
  passOnce,
  wish,
} from '../support/memory-fleet.ts'
import { guestAgent, guestWish, newGuestNode } from '../support/guest-fleet.ts'
import { STORE_CONF } from '../support/store-product.ts'

const CONF = '/etc/influxdb/influxdb.conf'
const DAY_MS = 86_400_000

const plannedIn = (reports: readonly ServiceReport[]): readonly PlannedService[] =>
  reports.flatMap(({ planned }) => planned ?? [])

const preview = async (
  node: MemoryNode,
  services: readonly ServiceTls[],
): Promise<readonly PlannedService[]> => plannedIn(await (await newAgent(node)).plan(services))

const edit = (node: MemoryNode) => {
  node.advance(1000)
  node.files.put(CONF, `${node.files.text(CONF) ?? ''}\n# by hand\n`)
}

await t.test('two looks at an unchanged node give one digest, whenever they are made', async t => {
  const node = newNode()
  const services = await wish()

  const planned = await preview(node, services)
  node.advance(3 * DAY_MS)

  t.strictSame(await preview(node, services), planned)
  t.strictSame(
    planned.map(({ service, disruption }) => [service, disruption]),
    [
      ['prometheus', 'rolling'],
      ['influxdb', 'rolling'],
    ],
  )
})

await t.test(
  'what was planned is staged, enforced and kept, whatever staging has made',
  async t => {
    const node = newNode()
    const services = await wish()
    const planned = await preview(node, services)

    const staged = await passOnce(node, services, { mode: 'stage', planned })
    t.strictSame(outcomes(staged), { prometheus: 'staged', influxdb: 'staged' })
    t.strictSame(await preview(node, services), planned, 'the prepared release is no news')
    const applied = await passOnce(node, services, { planned })
    t.strictSame(outcomes(applied), { prometheus: 'changed', influxdb: 'changed' })
    const after = await passOnce(node, services, { planned })
    t.strictSame(outcomes(after), { prometheus: 'in-sync', influxdb: 'in-sync' })
  },
)

for (const mode of ['stage', 'enforce'] as const)
  await t.test(`a node that was edited since refuses to ${mode}, and touches nothing`, async t => {
    const node = newNode()
    const services = await wish()
    const planned = await preview(node, services)
    edit(node)
    const claims: string[] = []
    const agent = await newAgent(node)
    const changes = node.changes()

    const claim = async ({ service }: { readonly service: string }) => void claims.push(service)
    const reports = await agent.pass(inputFor(services, { mode, planned, claim }))

    t.strictSame(outcomes(reports), { prometheus: 'planned', influxdb: 'unsupported' })
    t.equal(reports[1]?.reason.code, 'stale-plan')
    t.match(reports[1]?.reason.message, /^plan is stale: .*influxdb\.conf has changed since/)
    t.strictSame(claims, [], 'no permit was claimed')
    t.equal(node.changes(), changes, 'nothing was written')
    t.strictSame(node.activations, [])
  })

await t.test('an edit between staging and the switch is refused as well', async t => {
  const node = newNode()
  const services = await wish()
  const planned = await preview(node, services)
  await passOnce(node, services, { mode: 'stage', planned })
  edit(node)
  const text = node.files.text(CONF)

  const reports = await passOnce(node, services, { planned })

  t.equal(reports[1]?.reason.code, 'stale-plan')
  t.equal(node.files.text(CONF), text)
  t.strictSame(node.activations, [])
  node.files.put(CONF, (text ?? '').replace('\n# by hand\n', ''))
  t.strictSame(outcomes(await passOnce(node, services, { planned })), {
    prometheus: 'changed',
    influxdb: 'changed',
  })
})

await t.test('a service that was not planned has nothing changed', async t => {
  const node = newNode()
  const services = await wish()
  const planned = (await preview(node, services)).filter(({ service }) => service === 'prometheus')

  const reports = await passOnce(node, services, { planned })

  t.strictSame(outcomes(reports), { prometheus: 'planned', influxdb: 'unsupported' })
  t.strictSame(node.activations, [])
})

await t.test('a restart that nobody was shown is refused', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  const [planned] = await preview(node, services)
  if (planned === undefined) throw new Error('nothing was planned')

  const reports = await passOnce(node, services, { planned: [{ ...planned, disruption: 'none' }] })

  t.match(reports[0]?.reason, { code: 'stale-plan', message: /needs a restart/ })
})

await t.test('a service that was stopped when it was planned may be started since', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  node.stop('influxdb')
  const planned = await preview(node, services)
  t.equal(planned[0]?.disruption, undefined)
  node.start('influxdb')

  t.strictSame(outcomes(await passOnce(node, services, { planned })), { influxdb: 'changed' })
})

await t.test('drift of what had converged is corrected, and renewals go on', async t => {
  const node = newNode()
  const services = await wish()
  const planned = await preview(node, services)
  await passOnce(node, services, { planned })
  edit(node)
  const edited = node.files.text(CONF) ?? ''
  node.files.put(CONF, edited.replace('https-enabled = true', 'https-enabled = false'))

  const healed = await passOnce(node, services, { planned })
  t.equal(healed[1]?.outcome, 'changed')
  node.advance(80 * DAY_MS)
  const renewed = await passOnce(node, services, { planned })
  t.strictSame(outcomes(renewed), { prometheus: 'changed', influxdb: 'changed' })
})

await t.test('a certificate that is renewed in between makes no plan stale', async t => {
  const node = newNode()
  const old = await wish({ externalUrl: 'leave' })
  await passOnce(node, old)
  const next = await wish({ externalUrl: 'manage' })
  const planned = await preview(node, next)
  node.advance(80 * DAY_MS)
  const renewed = await passOnce(node, old)
  t.strictSame(outcomes(renewed), { prometheus: 'changed', influxdb: 'changed' })

  t.strictSame(
    (await preview(node, next)).map(({ digest }) => digest),
    planned.map(({ digest }) => digest),
    'the names of releases are not in it',
  )
  const [applied] = await passOnce(node, next, { planned })
  t.equal(applied?.outcome, 'changed')
})

await t.test('whatever a crash leaves, the plan that was begun is finished', async t => {
  const services = await wish()
  const whole = newNode()
  const total = await changesOf(whole, services)
  for (let cut = 1; cut <= total; cut += 3) {
    const node = newNode()
    const planned = await preview(node, services)
    node.cutAfter(cut)
    await passOnce(node, services, { planned }).catch((error: unknown) => {
      if (!(error instanceof PowerCut)) throw error
    })
    node.cutAfter(undefined)
    await passOnce(node, services, { planned })
    const reports = await passOnce(node, services, { planned })

    const said = outcomes(reports)
    t.strictSame(said, { prometheus: 'in-sync', influxdb: 'in-sync' }, `cut after ${cut}`)
  }
})

await t.test('a store of secrets whose password is still to be made has one digest', async t => {
  const node = newGuestNode()
  const services = await guestWish({ store: 'on' })
  const planned = plannedIn(await (await guestAgent(node)).plan(services))
  t.equal(planned.length, 1)
  const staged = await guestPassOf(node, services, { mode: 'stage', planned })
  t.strictSame(outcomes(staged), { elasticsearch: 'staged' })
  t.strictSame(plannedIn(await (await guestAgent(node)).plan(services)), planned)
  node.files.put(STORE_CONF, `${node.files.text(STORE_CONF) ?? ''}\n# by hand\n`)

  const refused = await guestPassOf(node, services, { planned })
  t.equal(refused[0]?.reason.code, 'stale-plan')
})

async function guestPassOf(
  node: MemoryNode,
  services: readonly ServiceTls[],
  options: Partial<PassInput>,
): Promise<readonly ServiceReport[]> {
  return (await guestAgent(node)).pass(inputFor(services, options))
}

async function changesOf(node: MemoryNode, services: readonly ServiceTls[]): Promise<number> {
  const planned = await preview(node, services)
  const before = node.changes()
  await passOnce(node, services, { planned })
  return node.changes() - before
}
