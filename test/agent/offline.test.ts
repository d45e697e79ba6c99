// Whole passes where nothing runs: the files of an image, which its services load when they start.

import t from 'tap'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Host } from '../../agent/host.ts'
import { journalFile } from '../../agent/journal.ts'
import {
  inputFor,
  type MemoryNode,
  newAgent,
  newNode,
  outcomes,
  passOnce,
  STATE,
  STOCK_FILES,
  untilCut,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'

function newImage(): MemoryNode {
  const node = newNode()
  node.stop('prometheus')
  node.stop('influxdb')
  return asImage(node)
}

/** Of which only the files are there: whoever asks its network, or activates, fails. */
function asImage(node: MemoryNode): MemoryNode {
  const refuse = async () => {
    throw new OperationalError('offline', 'could not do it: nothing runs here')
  }
  return withHost(node, {
    isOffline: true,
    network: { handshake: refuse },
    services: { ...node.host.services, activate: refuse, resetFailed: refuse },
  })
}

function withHost(node: MemoryNode, change: Partial<Host>): MemoryNode {
  return { ...node, host: { ...node.host, ...change } }
}

await t.test('files are switched though nothing runs, and then are as wanted', async t => {
  const node = newImage()
  const services = await wish()
  const planned = await (await newAgent(node)).plan(services)

  const reports = await passOnce(node, services)

  t.strictSame(outcomes(planned), { prometheus: 'planned', influxdb: 'planned' })
  for (const report of planned)
    t.match(report, { activation: 'none', activationReason: { code: 'offline' } })
  for (const report of reports) {
    t.match(report, { outcome: 'changed', activations: 0, served: [] })
    t.strictSame(report.reason, {
      code: 'written-offline',
      message: 'files are in place; the service loads them when it starts',
    })
    t.type(report.notAfterMs, 'number', 'the certificate is known from its file')
  }
  t.match(node.files.text(CONF), 'https-enabled = true')
  t.match(node.files.text('/etc/prometheus/web-config.yml'), /releases\/[0-9a-f]{16}\/chain\.pem/)
  t.strictSame(node.activations, [])

  const changes = node.changes()
  const again = await passOnce(node, services)
  t.equal(node.changes(), changes, 'nothing is written any more')
  for (const report of [...again, ...(await (await newAgent(node)).plan(services))])
    t.match(report, { outcome: 'in-sync', reason: { code: 'in-sync-offline' }, changes: [] })
})

await t.test('services started with these files need nothing more', async t => {
  const node = newImage()
  const services = await wish()
  await passOnce(node, services)

  node.start('prometheus')
  node.start('influxdb')

  t.match(node.served('prometheus'), /^[0-9a-f]{64}$/)
  t.match(node.served('influxdb'), /^[0-9a-f]{64}$/)
})

await t.test(
  'a file changed by hand is put right, and what is asked for is prepared only',
  async t => {
    const node = newImage()
    const services = await wish({ services: ['influxdb'] })
    await passOnce(node, services)
    const good = node.files.text(CONF) ?? ''
    node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))

    const agent = await newAgent(node)
    t.match(await agent.pass(inputFor(services, { mode: 'stage' })), [{ outcome: 'staged' }])
    t.match(node.files.text(CONF), 'https-enabled = false')
    t.match(await agent.pass(inputFor(services)), [
      { outcome: 'changed', corrective: true, reason: { code: 'written-offline' } },
    ])

    t.equal(node.files.text(CONF), good)
  },
)

await t.test('what cannot be switched is put back', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  node.fault = (operation, path) => {
    if (operation === 'rename' && path === CONF)
      throw new OperationalError('disk-full', `could not rename to ${path}`)
  }

  const reports = await passOnce(asImage(node), services)

  t.match(reports, [{ outcome: 'restored', reason: { code: 'disk-full' } }])
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
  t.equal(await node.files.readLink('/etc/influxdb/tls/current'), undefined)
})

await t.test('an image build that ends anywhere is finished by the next one', async t => {
  const services = await wish({ services: ['influxdb'] })
  const total = newImage()
  await passOnce(total, services)
  for (let changes = 1; changes < total.changes(); changes += 1) {
    const node = newImage()
    node.cutAfter(changes)
    await untilCut(() => passOnce(node, services))
    node.cutAfter(undefined)

    await passOnce(node, services)

    const reports = await passOnce(node, services)
    const isInSync = reports.every(report => report.outcome === 'in-sync')
    const isForgotten = (await journalFile(node.files, STATE).read()).value === undefined
    if (!isInSync || !isForgotten) t.fail(`not converged after a cut at ${changes}`, { reports })
  }
  t.ok(total.changes() > 20, `${total.changes()} changes were tried`)
})

await t.test('a change that was begun where services ran ends without them', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  await killedAfter(1, node, services)
  t.match((await journalFile(node.files, STATE).read()).value, { activation: 'restart' })

  const reports = await passOnce(asImage(node), services)

  t.match(reports, [{ outcome: 'in-sync', reason: { code: 'in-sync-offline' } }])
  t.strictSame(node.activations, ['restart influxdb.service'])
  t.match(node.files.text(CONF), 'https-enabled = true')
})

await t.test('a return that was begun where services ran ends without them', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  node.refuseStart = () => true
  await killedAfter(2, node, services)
  t.match((await journalFile(node.files, STATE).read()).value, { step: 'restoring' })
  const activations = node.activations.length

  const reports = await passOnce(asImage(node), services)

  t.match(reports, [{ outcome: 'restored' }])
  t.equal(node.activations.length, activations)
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
})

/** A pass of an agent that is gone right after it has asked so many times for a start. */
async function killedAfter(
  count: number,
  node: MemoryNode,
  wanted: readonly ServiceTls[],
): Promise<void> {
  const running = node.host.services
  const services: typeof running = {
    ...running,
    async activate(unit, verb) {
      await running.activate(unit, verb)
      if (node.activations.length === count) node.cutAfter(0)
    },
  }
  await untilCut(() => passOnce(withHost(node, { services }), wanted))
  node.cutAfter(undefined)
}
