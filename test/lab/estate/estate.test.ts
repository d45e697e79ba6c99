// Three guides at once: every product on hosts of its own with real systemd, from plaintext to TLS from
// one fleet.yaml and back, while a client writes and reads. What must not be lost is not lost, and what
// is interrupted is what the plan announced.

import t, { type Test } from 'tap'
import { createLabFleet } from '../../support/lab-fleet.ts'
import { until } from '../lab.ts'
import { withLab } from '../with-lab.ts'
import { type Clients, startClients } from './clients.ts'
import { ELASTICSEARCH_YML } from './elastic.ts'
import { buildEstate, configurationOf, enrollAll, PORTS, stateOf } from './estate.ts'
import { eventsArrive, noEventIsLost, nothingIsLost } from './losses.ts'
import { hostsOf, MEMBERS, membersOf } from './members.ts'
import { estateSpec } from './spec.ts'
import { applySpec, describeGap, type Switching, TOGETHER, unannounced } from './switching.ts'

const WINDOWS = [
  'window-influxdb-telegraf',
  'window-influxdb-meta-influxdb-meta',
  'window-influxdb-meta-influxdb',
  'window-elasticsearch-kibana',
  'window-elasticsearch-metricbeat',
  'window-kibana-metricbeat',
  'window-node-exporter-prometheus',
  'window-alertmanager-prometheus',
  'window-influxdb-cluster',
  'window-elasticsearch-copies',
]
const WINDOWS_TOGETHER = [
  ...WINDOWS.filter(
    code => !['window-influxdb-meta-influxdb-meta', 'window-influxdb-cluster'].includes(code),
  ),
  'window-group-influxdb-meta',
  'window-group-influxdb-data',
]
const TO_TLS = [
  'telegraf',
  'influxdb-meta',
  'influxdb',
  'metricbeat',
  'elasticsearch',
  'kibana',
  'monitoring',
] as const
const TO_PLAINTEXT = [
  'monitoring',
  'kibana',
  'metricbeat',
  'elasticsearch',
  'telegraf',
  'influxdb-meta',
  'influxdb',
] as const

// One by one on the way there, all at once on the way back.
const ROLLING = { schemeChange: 'rolling' } as const

// Lines as they were: hosts without a scheme have one now, and links in alerts an address.
const CHANGED_FOR_GOOD = [
  '  hosts: ["n7:9200","n8:9200","n9:9200"]',
  'ARGS=""',
  'ARGS="--cluster.listen-address="',
]

await withLab(t, { nodes: MEMBERS.length }, async lab => {
  const scratch = t.testdir({})
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    buildEstate(lab, scratch),
  ])
  t.teardown(() => fleet.end())
  await enrollAll(lab, fleet)
  const clients = await startClients(lab, fleet.trustFile)
  t.teardown(() => clients.end())
  const { trustFile } = fleet
  const listeners = MEMBERS.flatMap(({ host, role }) => PORTS[role].map(port => ({ host, port })))
  const handshakes = () =>
    Promise.all(listeners.map(({ host, port }) => fleet.handshake(host, port)))
  const states = () => Promise.all(MEMBERS.map(member => stateOf(fleet, member)))
  const originals = await Promise.all(MEMBERS.map(member => configurationOf(lab, member)))
  const unitsOf = (host: string) => fleet.invocation(host, 'elasticsearch')

  await t.test('in plaintext everybody answers and everything arrives', async t => {
    const { watches } = await clients.state()

    t.strictSame(Object.keys(watches).length, 7)
    await eventsArrive(t, lab, { scheme: 'http', trustFile })
    await nothingIsLost(t, lab, clients, { scheme: 'http', trustFile })
  })

  await t.test('from plaintext to TLS, in order, as announced', async t => {
    const before = await clients.state()
    t.ok(before.documents.acknowledged > 0)

    const switching = await applySpec(fleet, estateSpec('on', ROLLING))

    t.equal(switching.code, 0, switching.text)
    t.strictSame(switching.windows, WINDOWS)
    const planned = switching.plan.nodes.map(({ node }) => node)
    t.strictSame(planned, names(TO_TLS))
    t.strictSame(leadersAside(switching.order), planned)
    t.equal(new Set(await handshakes()).size, listeners.length, 'each listener has its own')
    await asAnnounced(t, clients, switching)
    await nothingIsLost(t, lab, clients, { scheme: 'https', trustFile })
    await noEventIsLost(t, lab, { scheme: 'https', trustFile })
  })

  await t.test('a second apply changes nothing at all', async t => {
    await fleet.untilAll('converged')
    const before = await states()

    const again = await applySpec(fleet, estateSpec('on', ROLLING))

    t.equal(again.code, 0, again.text)
    t.strictSame([again.plan.changes, again.windows, again.order], [0, [], []])
    t.strictSame(await states(), before)
  })

  await t.test('Elasticsearch takes other certificates without a restart', async t => {
    const hosts = hostsOf('elasticsearch')
    const invocations = await Promise.all(hosts.map(unitsOf))
    const served = await handshakes()

    const spec = estateSpec('on', { ...ROLLING, elasticsearch: '    key: rsa-2048\n' })
    const switching = await applySpec(fleet, spec)

    t.equal(switching.code, 0, switching.text)
    t.strictSame(leadersAside(switching.order), names(['elasticsearch']))
    t.strictSame(switching.windows, [])
    t.strictSame(await Promise.all(hosts.map(unitsOf)), invocations)
    const now = await handshakes()
    const changed = listeners.filter((_, index) => now[index] !== served[index])
    t.strictSame(
      changed.map(({ host }) => host),
      hosts,
    )
    await asAnnounced(t, clients, switching)
  })

  await t.test('a hand edit is healed, without a restart', async t => {
    const [host = ''] = hostsOf('elasticsearch')
    const good = await lab.readFile(host, ELASTICSEARCH_YML)
    const invocation = await unitsOf(host)
    const on = 'xpack.security.http.ssl.enabled: true'
    t.match(good, on)

    await lab.writeFile(host, ELASTICSEARCH_YML, good.replace(on, on.replace('true', 'false')))
    await until(async () => (await lab.readFile(host, ELASTICSEARCH_YML)) === good, {
      what: `${ELASTICSEARCH_YML} is as it was`,
    })

    t.equal(await unitsOf(host), invocation)
  })

  await t.test('back to plaintext, in order, as announced', async t => {
    const refused = await fleet.cli(['apply', '-f', fleet.specFile(estateSpec('off')), '--yes'])
    t.equal(refused.code, 1)
    t.match(refused.stderr, /coordinated-change/)
    t.match(refused.stderr, /--together influxdb-meta influxdb-data/)
    for (const name of names(['influxdb-meta', 'influxdb'])) t.match(refused.stderr, name)

    const switching = await applySpec(fleet, estateSpec('off'), ...TOGETHER)

    t.equal(switching.code, 0, switching.text)
    t.strictSame(switching.windows, WINDOWS_TOGETHER)
    t.strictSame(leadersAside(startedTogether(switching.order)), names(TO_PLAINTEXT))
    await asAnnounced(t, clients, switching)
    await nothingIsLost(t, lab, clients, { scheme: 'http', trustFile })
    await noEventIsLost(t, lab, { scheme: 'http', trustFile })
    await fleet.untilAll('converged')
    const plan = await fleet.cli(['plan', '-f', fleet.specFile(estateSpec('off'))])
    t.equal(plan.code, 0, plan.stdout)
    const left = await Promise.all(MEMBERS.map(member => configurationOf(lab, member)))
    t.strictSame(
      MEMBERS.flatMap((_, index) => lostLines(originals[index] ?? {}, left[index] ?? {})),
      CHANGED_FOR_GOOD,
    )
  })
})

function names(roles: readonly (typeof TO_TLS)[number][]): readonly string[] {
  return roles.flatMap(role => membersOf(role).map(({ name }) => name))
}

/**
 * The order of the plan, if every node but one of each cluster was changed in it: the leader goes last, and who
 * leads is known when it is its turn.
 */
function leadersAside(order: readonly string[]): readonly string[] {
  const placed = [...order]
  for (const cluster of ['meta-', 'es-']) {
    const places = placed.flatMap((name, index) => (name.startsWith(cluster) ? [index] : []))
    const last = places.at(-1)
    const leader = last === undefined ? undefined : placed[last]
    if (last === undefined || leader === undefined) continue
    placed.splice(last, 1)
    const before = places.slice(0, -1).find(index => leader < (placed[index] ?? ''))
    placed.splice(before ?? last, 0, leader)
  }
  return placed
}

/** Which of those that are started at the same moment is proven first is no matter. */
function startedTogether(order: readonly string[]): readonly string[] {
  const placed = [...order]
  for (const group of ['meta-', 'data-']) {
    const places = placed.flatMap((name, index) => (name.startsWith(group) ? [index] : []))
    const sorted = places.map(index => placed[index] ?? '').toSorted()
    for (const [rank, index] of places.entries()) placed[index] = sorted[rank] ?? ''
  }
  return placed
}

async function asAnnounced(t: Test, clients: Clients, switching: Switching): Promise<void> {
  const gaps = await clients.gapsSince(switching.startMs)
  for (const [name, found] of gaps)
    for (const gap of found) t.comment(describeGap(name, gap).slice(0, 160))
  t.comment(`${switching.order.length} nodes in ${switching.endMs - switching.startMs} ms`)
  t.strictSame(unannounced(switching, gaps), [])
}

/** Lines that are not there any more. */
function lostLines(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.entries(before).flatMap(([path, text]) => {
    const lines = new Set(after[path]?.split('\n'))
    return text.split('\n').filter(line => !lines.has(line))
  })
}
