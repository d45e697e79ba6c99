// Whole passes on a node in memory: what each kind of situation ends in.

import t from 'tap'
import {
  activeFingerprint,
  inputFor,
  newAgent,
  newNode,
  outcomes,
  passOnce,
  STOCK_FILES,
  wish,
} from '../support/memory-fleet.ts'

const DAY_MS = 86_400_000
const CONF = '/etc/influxdb/influxdb.conf'
const KEYS = '/etc/influxdb/tls/current/key.pem'

await t.test(
  'a stock node comes to TLS with one restart each, and only owned lines of its files change',
  async t => {
    const node = newNode()

    const reports = await passOnce(node, await wish())

    t.strictSame(outcomes(reports), { prometheus: 'changed', influxdb: 'changed' })
    t.strictSame(node.activations, ['restart prometheus.service', 'restart influxdb.service'])
    t.equal(node.served('influxdb'), activeFingerprint(reports, 'influxdb'))
    const added = (node.files.text(CONF) ?? '')
      .split('\n')
      .filter(line => !STOCK_FILES.influxdbConf.split('\n').includes(line))
    t.strictSame(added, [
      '  https-enabled = true',
      '  https-certificate = "/etc/influxdb/tls/current/chain.pem"',
      '  https-private-key = "/etc/influxdb/tls/current/key.pem"',
      '  min-version = "tls1.2"',
    ])
  },
)

await t.test('audit and plan touch nothing and say the same', async t => {
  const node = newNode()
  const services = await wish()
  const agent = await newAgent(node)
  const before = node.changes()

  const audited = await agent.pass(inputFor(services, { mode: 'audit' }))
  const planned = await agent.plan(services)

  t.equal(node.changes(), before)
  t.strictSame(outcomes(audited), { prometheus: 'planned', influxdb: 'planned' })
  const said = planned.map(({ planned: _held, ...rest }) => rest)
  t.strictSame(said, audited)
  t.strictSame(planned, await agent.plan(services), 'the same again')
})

await t.test(
  'stage prepares a release beside the live files, enforce uses that very release',
  async t => {
    const node = newNode()
    const services = await wish()

    const staged = await passOnce(node, services, { mode: 'stage' })
    const [prepared] = await node.files.list('/etc/influxdb/tls/releases')
    t.strictSame(outcomes(staged), { prometheus: 'staged', influxdb: 'staged' })
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    t.strictSame(node.activations, [])
    t.strictSame(
      [...node.tree.keys()].filter(name => name.includes('.tlsfleet-')),
      [],
      'no temporary files stay',
    )
    const changes = node.changes()
    t.strictSame(outcomes(await passOnce(node, services, { mode: 'stage' })), {
      prometheus: 'staged',
      influxdb: 'staged',
    })
    t.strictSame(
      await node.files.list('/etc/influxdb/tls/releases'),
      [prepared],
      'staging again makes no second key',
    )
    t.ok(node.changes() > changes)

    await passOnce(node, services)

    t.equal(await node.files.readLink('/etc/influxdb/tls/current'), `releases/${prepared}`)
  },
)

await t.test(
  'a stopped service is prepared, never started, and converges when its operator starts it',
  async t => {
    const node = newNode()
    const services = await wish({ services: ['influxdb'] })
    node.stop('influxdb')

    const reports = await passOnce(node, services)

    t.equal(reports[0]?.outcome, 'waiting')
    t.equal(reports[0]?.reason.code, 'inactive')
    t.strictSame(node.activations, [])
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    node.start('influxdb')
    t.strictSame(outcomes(await passOnce(node, services)), { influxdb: 'changed' })
  },
)

await t.test('a stopped service is prepared once, however often it is looked at', async t => {
  const node = newNode()
  const services = await wish({ services: ['influxdb'] })
  node.stop('influxdb')
  const agent = await newAgent(node)
  await agent.pass(inputFor(services))
  // The first look after it sees the release that it made.
  await agent.pass(inputFor(services))
  const changes = node.changes()

  const reports = await agent.pass(inputFor(services))

  t.strictSame(outcomes(reports), { influxdb: 'waiting' })
  t.equal(node.changes(), changes, 'nothing was written')
  node.start('influxdb')
  t.strictSame(outcomes(await agent.pass(inputFor(services))), { influxdb: 'changed' })
})

await t.test('an edit by hand is healed without a restart, and called corrective', async t => {
  const node = newNode()
  const services = await wish()
  await passOnce(node, services)
  await passOnce(node, services)
  const good = node.files.text(CONF) ?? ''
  const activations = node.activations.length
  node.advance(1000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))

  const reports = await passOnce(node, services)

  t.equal(node.files.text(CONF), good)
  const influxdb = reports.find(report => report.service === 'influxdb')
  t.equal(influxdb?.outcome, 'changed')
  t.equal(influxdb?.corrective, true)
  t.equal(node.activations.length, activations, 'the process still has the right state loaded')
})

await t.test(
  'a restart by an operator after a hand edit is repaired with the one restart that it takes',
  async t => {
    const node = newNode()
    const services = await wish()
    await passOnce(node, services)
    await passOnce(node, services)
    const good = node.files.text(CONF) ?? ''
    node.advance(1000)
    node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
    node.start('influxdb')
    const activations = node.activations.length

    await passOnce(node, services)

    t.strictSame(node.activations.slice(activations), ['restart influxdb.service'])
    t.match(node.served('influxdb'), /^[0-9a-f]{64}$/)
  },
)

await t.test('a restart by an operator of a converged service costs no second one', async t => {
  const node = newNode()
  const services = await wish()
  await passOnce(node, services)
  await passOnce(node, services)
  node.advance(1000)
  node.start('influxdb')
  const activations = node.activations.length

  t.strictSame(outcomes(await passOnce(node, services)), {
    prometheus: 'in-sync',
    influxdb: 'in-sync',
  })

  t.equal(node.activations.length, activations)
})

await t.test(
  'the key of the guide, root:root 0600, gets the owner that the service user needs',
  async t => {
    const node = newNode()
    const services = await wish()
    await passOnce(node, services)
    await passOnce(node, services)
    const key =
      [...node.tree.keys()].find(name => /influxdb\/tls\/releases\/.*key\.pem$/.test(name)) ?? ''
    const text = node.files.text(key) ?? ''
    node.files.put(key, text, { uid: 0, gid: 0, mode: 0o600 })
    node.start('influxdb')
    t.equal(node.unit('influxdb').state, 'failed', 'as it fails for whoever follows the guide')

    const reports = await passOnce(node, services)

    t.equal(reports.find(report => report.service === 'influxdb')?.outcome, 'changed')
    t.strictSame(
      { uid: node.tree.get(key)?.owner.uid, mode: node.tree.get(key)?.owner.mode },
      { uid: 101, mode: 0o600 },
    )
    t.equal(node.unit('influxdb').state, 'active')
  },
)

await t.test('a renewal restarts only the product that needs it, with a new key', async t => {
  const node = newNode()
  const services = await wish()
  const first = await passOnce(node, services)
  await passOnce(node, services)
  const oldKey = node.files.text(KEYS)
  const activations = node.activations.length
  node.advance(80 * DAY_MS)

  const reports = await passOnce(node, services)

  t.strictSame(outcomes(reports), { prometheus: 'changed', influxdb: 'changed' })
  t.strictSame(node.activations.slice(activations), ['restart influxdb.service'])
  t.not(activeFingerprint(reports, 'prometheus'), activeFingerprint(first, 'prometheus'))
  t.equal(node.served('prometheus'), activeFingerprint(reports, 'prometheus'))
  t.not(node.files.text(KEYS), oldKey)
  t.equal(
    reports.every(report => !report.corrective),
    true,
    'a renewal is no drift',
  )
})

await t.test('without its permit a node prepares and waits; nothing live is touched', async t => {
  const node = newNode()
  const services = await wish()
  const reason = { code: 'permit-withdrawn', message: 'not now' }

  const reports = await passOnce(node, services, { claim: async () => reason })

  t.strictSame(outcomes(reports), { prometheus: 'waiting', influxdb: 'waiting' })
  t.strictSame(reports[0]?.reason, reason)
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
  t.strictSame(node.activations, [])
})

await t.test('a clean stop before the switch leaves everything as it was', async t => {
  const node = newNode()
  const stop = new AbortController()
  stop.abort()

  const reports = await passOnce(node, await wish(), { signal: stop.signal })

  t.strictSame(outcomes(reports), { prometheus: 'waiting', influxdb: 'waiting' })
  t.equal(reports[0]?.reason.code, 'stopping')
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
})

await t.test(
  'a service without a unit and an intent that this version lacks are reported, not attempted',
  async t => {
    const node = newNode()
    const [prometheus, influxdb] = await wish()
    if (prometheus?.service !== 'prometheus' || influxdb?.service !== 'influxdb')
      throw new Error('unexpected order')

    const reports = await passOnce(node, [{ ...influxdb, minVersion: '1.3' }])

    t.equal(reports[0]?.outcome, 'unsupported')
    t.match(reports[0]?.reason.message, /1\.8/)
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
  },
)
