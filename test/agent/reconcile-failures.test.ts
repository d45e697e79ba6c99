// Whole passes on a node in memory where something fails: the service, its files, the disk, the agent's own
// state.

import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import {
  inputFor,
  newAgent,
  newNode,
  outcomes,
  passOnce,
  STOCK_FILES,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'

await t.test(
  'a service that does not come up with the new state gets its old one back, and is left alone',
  async t => {
    const node = newNode()
    const services = await wish()
    // Whatever the file says with TLS in it, it crashes; plaintext works.
    node.refuseStart = name =>
      name === 'influxdb.service' &&
      (node.files.text(CONF) ?? '').includes('https-enabled = true\n')

    const reports = await passOnce(node, services)

    t.strictSame(outcomes(reports), { prometheus: 'changed', influxdb: 'restored' })
    t.equal(node.served('influxdb'), 'plaintext')
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    t.equal(await node.files.readLink('/etc/influxdb/tls/current'), undefined)
    const activations = node.activations.length
    t.ok(
      node.activations.filter(one => one.includes('influxdb')).length <= 2,
      'one restart forward, one back',
    )
    const again = await passOnce(node, services)
    t.strictSame(
      outcomes(again),
      { prometheus: 'in-sync', influxdb: 'restored' },
      'it says so until something new comes',
    )
    t.equal(node.activations.length, activations, 'and does not flap')

    node.refuseStart = undefined
    const agent = await newAgent(node)
    await agent.updateLedger(ledger => ({ ...ledger, services: {} }))
    t.strictSame(outcomes(await agent.pass(inputFor(services))), {
      prometheus: 'in-sync',
      influxdb: 'changed',
    })
  },
)

await t.test('where the old state does not work any more either, it says so', async t => {
  const node = newNode()
  node.refuseStart = name => name === 'influxdb.service'

  const reports = await passOnce(node, await wish({ services: ['influxdb'] }))

  t.equal(reports[0]?.outcome, 'failed')
  t.equal(reports[0]?.reason.code, 'restore-unproven')
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
})

const TRUST = '/etc/influxdb/tls/ca.pem'
for (const [how, put, outcome] of [
  ['on what was there before is broken no more', [], 'restored'],
  ['on all that is wanted is broken no more', [CONF, TRUST], 'in-sync'],
  ['on neither of both is still broken', [CONF], 'failed'],
] as const) {
  await t.test(`a broken service that somebody starts ${how}`, async t => {
    const node = newNode()
    const services = await wish({ services: ['influxdb'] })
    // What it would be changed to, as it lies there before it is tried.
    const wanted = new Map<string, string>()
    node.refuseStart = name => {
      for (const path of [CONF, TRUST])
        if (!wanted.has(path)) wanted.set(path, node.files.text(path) ?? '')
      return name === 'influxdb.service'
    }
    await passOnce(node, services)
    node.refuseStart = undefined
    if (put.length > 0) {
      const [newest] = await node.files.list('/etc/influxdb/tls/releases')
      await node.files.switchLink('/etc/influxdb/tls/current', `releases/${newest}`)
      for (const path of put) node.files.put(path, wanted.get(path) ?? '')
    }

    t.match(await passOnce(node, services), [{ outcome: 'failed' }], 'it is stopped still')
    node.start('influxdb')
    t.match(await passOnce(node, services), [{ outcome: 'failed' }], 'it may end again at once')
    node.advance(10_000)
    const activations = node.activations.length
    const reports = await passOnce(node, services)

    t.match(reports, [{ outcome }])
    t.equal(reports[0]?.broken === true, outcome === 'failed')
    t.equal(node.activations.length, activations, 'and nothing is done to it')
    const changes = node.changes()
    t.match(await passOnce(node, services), [{ outcome }])
    t.equal(node.changes(), changes, 'converged writes nothing')
  })
}

await t.test(
  'a file that does not parse is left alone and reported, and the other service converges',
  async t => {
    const broken = `${STOCK_FILES.influxdbConf}\n[http]\n  enabled = true\n`
    const node = newNode({ influxdbConf: broken })

    const reports = await passOnce(node, await wish())

    t.equal(outcomes(reports)['prometheus'], 'changed')
    t.match(outcomes(reports)['influxdb'], /unsupported|failed/)
    t.match(reports.find(report => report.service === 'influxdb')?.reason.message, /influxdb\.conf/)
    t.equal(node.files.text(CONF), broken)
  },
)

await t.test(
  'an edit made between plan and switch is not lost: the pass gives up and the next one takes it in',
  async t => {
    const node = newNode()
    const services = await wish({ services: ['influxdb'] })
    const edited = `${STOCK_FILES.influxdbConf}\n# by hand\n`
    node.fault = (operation, path) => {
      if (operation !== 'create' || !path.includes('.tlsfleet-influxdb.conf')) return
      node.fault = undefined
      node.files.put(CONF, edited)
    }

    const reports = await passOnce(node, services)

    t.equal(reports[0]?.reason.code, 'changed-meanwhile')
    t.equal(node.files.text(CONF), edited)
    t.strictSame(node.activations, [])
    await passOnce(node, services)
    t.match(node.files.text(CONF), /# by hand\n$/)
    t.match(node.served('influxdb'), /^[0-9a-f]{64}$/)
  },
)

await t.test(
  'a full disk at any write leaves the service as it was, and the next pass succeeds',
  async t => {
    const services = await wish({ services: ['influxdb'] })
    const clean = newNode()
    let writes = 0
    clean.fault = () => {
      writes += 1
    }
    await passOnce(clean, services)
    for (let at = 1; at <= writes; at++) {
      const node = newNode()
      let count = 0
      node.fault = (_, path) => {
        count += 1
        if (count === at)
          throw new OperationalError('disk-full', `could not write ${path}`, { retryable: true })
      }

      const first = await passOnce(node, services).catch(error => error)
      node.fault = undefined
      const isOld = node.served('influxdb') === 'plaintext'
      const isNew = /^[0-9a-f]{64}$/.test(node.served('influxdb'))
      if (!isOld && !isNew) t.fail(`${node.served('influxdb')} after a full disk at write ${at}`)
      const agent = await newAgent(node)
      await agent.resume(services)
      await agent.updateLedger(ledger => ({ ...ledger, services: {} }))
      const reports = await agent.pass(inputFor(services))
      if (!/^[0-9a-f]{64}$/.test(node.served('influxdb')))
        t.same({ at, first, reports }, 'converged')
      const left = [...node.tree.keys()].filter(
        name => name.includes('.tlsfleet-') && !name.startsWith('/var'),
      )
      if (left.length > 0) t.same({ at, left }, 'no left-overs')
    }
    t.ok(writes > 15, `${writes} writes were tried`)
  },
)

await t.test(
  'damaged state files are set aside and rebuilt; the node is not disturbed',
  async t => {
    const node = newNode()
    const services = await wish()
    await passOnce(node, services)
    await passOnce(node, services)
    const activations = node.activations.length
    node.files.put('/var/lib/tlsfleet/agent/ledger.json', '{"checksum":"0","body":{}}')
    node.files.put('/var/lib/tlsfleet/agent/journal.json', 'garbage')

    const reports = await passOnce(node, services)

    t.strictSame(outcomes(reports), { prometheus: 'in-sync', influxdb: 'in-sync' })
    t.equal(node.activations.length, activations)
    t.ok(node.files.text('/var/lib/tlsfleet/agent/ledger.json.damaged'))
  },
)
