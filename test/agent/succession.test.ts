// A self-signed certificate hands over to the next one only when all clients hold both.

import t from 'tap'
import type { ServiceReport } from '../../shared/contract/report.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { floorAtMs, prepareAtMs, renewAtMs } from '../../shared/pki/renewal.ts'
import { DAY_MS } from '../support/fake-controller.ts'
import {
  inputFor,
  type MemoryNode,
  newAgent,
  newNode,
  passOnce,
  untilCut,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'
const RENEW_BEFORE_MS = 30 * DAY_MS

interface Scene {
  readonly node: MemoryNode
  /** A pass of a new process, with this as what clients were given. */
  readonly pass: (trust: readonly string[], renew?: boolean) => Promise<ServiceReport>
  readonly goTo: (atMs: number) => void
}

function scene(): Scene {
  const node = newNode()
  return {
    node,
    async pass(trust, renew = false) {
      const services = await wish({ services: ['influxdb'], trust })
      const [report] = await passOnce(node, services, renew ? { renew: ['influxdb'] } : {})
      if (report === undefined) throw new Error('there is one service')
      return report
    },
    goTo: atMs => node.advance(atMs - node.nowMs()),
  }
}

function leafOf(report: ServiceReport, which: 'current' | 'next'): string {
  const pem = report.selfSigned?.[which]
  if (pem === undefined) throw new Error(`no ${which}: ${JSON.stringify(report.reason)}`)
  return pem
}

function datesOf(pem: string) {
  return { ...certificateFacts(pem), renewBeforeMs: RENEW_BEFORE_MS }
}

function fingerprint(pem: string): string {
  return certificateFacts(pem).fingerprint
}

await t.test('the next one is made early, shown, and used when clients have it', async t => {
  const { node, pass, goTo } = scene()
  const first = await pass([])
  t.equal(first.outcome, 'changed', 'plaintext to TLS waits for nobody')
  const current = leafOf(first, 'current')
  t.notOk(first.selfSigned?.next)
  const dates = datesOf(current)

  const given = await pass([current])
  t.equal(given.outcome, 'in-sync')
  t.equal(given.renewAtMs, prepareAtMs(dates), 'when there is something to do for it')

  goTo(prepareAtMs(dates) + 1)
  const restarts = node.activations.length
  const ahead = await pass([current])
  const next = leafOf(ahead, 'next')
  t.match(ahead, { outcome: 'in-sync', renewAtMs: renewAtMs(dates), notices: [] })
  t.equal(node.served('influxdb'), fingerprint(current))
  t.not(certificateFacts(next).publicKeyDigest, certificateFacts(current).publicKeyDigest)

  const known = await pass([current, next])
  t.equal(leafOf(known, 'next'), next, 'made once')
  t.equal(node.served('influxdb'), fingerprint(current), 'not before its time')
  t.equal(node.activations.length, restarts)

  goTo(renewAtMs(dates) + 1)
  await pass([current])
  const due = await pass([current])
  t.equal(due.outcome, 'in-sync')
  t.match(due.notices, [{ code: 'successor-awaited' }])
  t.equal(due.renewAtMs, floorAtMs(dates))
  t.equal(node.served('influxdb'), fingerprint(current))

  const switched = await pass([current, next])
  t.equal(switched.outcome, 'changed')
  t.equal(leafOf(switched, 'current'), next)
  t.notOk(switched.selfSigned?.next)
  t.equal(node.served('influxdb'), fingerprint(next))
  t.equal(node.activations.length, restarts + 1)
  const after = await pass([next])
  t.match(after, { outcome: 'changed', activation: 'none' }, 'the old one leaves the bundle')
})

await t.test('shortly before the end it waits no longer, and says so', async t => {
  const { node, pass, goTo } = scene()
  const current = leafOf(await pass([]), 'current')
  const dates = datesOf(current)
  goTo(renewAtMs(dates) + 1)
  const next = leafOf(await pass([current]), 'next')

  goTo(floorAtMs(dates) - 1)
  t.equal((await pass([current])).outcome, 'in-sync')
  goTo(floorAtMs(dates))
  const forced = await pass([current])

  t.equal(forced.outcome, 'changed')
  t.equal(node.served('influxdb'), fingerprint(next), 'the one that was prepared')
  t.match(forced.notices, [{ code: 'self-signed-not-given' }])
})

await t.test('without a controller, and for nobody, it renews at once', async t => {
  for (const trust of [[], 'another CA'] as const) {
    const { node, pass, goTo } = scene()
    const ca = leafOf(await scene().pass([]), 'current')
    const given = trust === 'another CA' ? [ca] : trust
    const current = leafOf(await pass(given), 'current')

    goTo(renewAtMs(datesOf(current)) + 1)
    const renewed = await pass(given)

    t.equal(renewed.outcome, 'changed')
    t.equal(node.served('influxdb'), fingerprint(leafOf(renewed, 'current')))
    t.not(leafOf(renewed, 'current'), current)
  }
})

await t.test('what an operator asks for waits for clients too, and then for nothing', async t => {
  const { node, pass } = scene()
  const current = leafOf(await pass([]), 'current')
  node.advance(60_000)

  const asked = await pass([current], true)
  const next = leafOf(asked, 'next')
  t.match(asked, { outcome: 'in-sync', notices: [{ code: 'successor-awaited' }] })
  t.equal((await pass([current, next])).outcome, 'changed', 'long before it is due')
  t.equal(node.served('influxdb'), fingerprint(next))

  // What was in use before is still good, and no successor.
  t.equal((await pass([next])).selfSigned?.next, undefined)
})

await t.test('it outlives other changes and loss of power', async t => {
  const { node, pass, goTo } = scene()
  const current = leafOf(await pass([]), 'current')
  goTo(prepareAtMs(datesOf(current)) + 1)
  let cuts = 0
  for (let writes = 0; ; writes++) {
    node.cutAfter(writes)
    const wasCut = await untilCut(() => pass([current]))
    node.cutAfter(undefined)
    if (!wasCut) break
    cuts += 1
  }
  t.ok(cuts > 3, `${cuts} cuts`)
  const next = leafOf(await pass([current]), 'next')
  t.equal(
    node.files.text('/etc/influxdb/tls/current/chain.pem'),
    current,
    'the one in use is untouched',
  )

  const text = node.files.text(CONF) ?? ''
  node.files.put(CONF, text.replace('https-enabled = true', 'https-enabled = false'))
  t.equal((await pass([current])).outcome, 'changed', 'drift')
  t.equal(leafOf(await pass([current]), 'next'), next)
  const agent = await newAgent(node)
  await agent.pass({
    ...inputFor(await wish({ services: ['influxdb'], trust: [current] })),
    mode: 'audit',
  })
  t.equal(leafOf(await pass([current]), 'next'), next)
})

await t.test('S05: a hundred renewals have a hundred keys', async t => {
  const { node, pass, goTo } = scene()
  let report = await pass([])
  const keys = new Set<string>()
  for (let turn = 0; turn < 100; turn++) {
    const current = leafOf(report, 'current')
    keys.add(certificateFacts(current).publicKeyDigest)
    goTo(renewAtMs(datesOf(current)) + 1)
    const next = leafOf(await pass([current]), 'next')
    report = await pass([current, next])
    if (node.served('influxdb') !== fingerprint(next)) throw new Error(`turn ${turn}`)
  }
  t.equal(keys.size, 100)
})
