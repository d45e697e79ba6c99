// A member of a cluster restarts: the cluster is told before and after, the controller knows of it first,
// and what could not be taken back is taken back later, by this process, the next one, or another node.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { type Absences, createAbsences } from '../../agent/absences.ts'
import type { Handshake, HandshakeTarget, Host, HttpAnswer } from '../../agent/host.ts'
import { serveListeners } from '../../agent/listeners.ts'
import type { NodeFacts, ServiceObservation } from '../../agent/observation.ts'
import type { DebtNews } from '../../shared/contract/debts.ts'
import { prepareState } from '../../agent/standalone.ts'
import { OperationalError } from '../../shared/errors.ts'
import { silentLog } from '../../shared/log.ts'
import { newNode, STATE } from '../support/memory-fleet.ts'
import { elasticsearchOn, intent } from './services/elasticsearch-node.ts'
import { compiledOn } from './services/fake-node.ts'

const ENABLE = 'cluster.routing.allocation.enable'
const tls = intent({ trust: [] })
const compiled = compiledOn(tls, elasticsearchOn('xpack.security.enabled: true\n'))
const FACTS: NodeFacts = {
  owner: { uid: 1, gid: 1 },
  material: {
    directory: undefined,
    releasesDirectory: undefined,
    current: undefined,
    link: undefined,
    releases: [],
    incomplete: [],
    requests: [],
  },
  files: {},
  missingDirectories: [],
  keystores: {},
  storePassword: undefined,
  issuerTrust: [],
  source: undefined,
  served: [],
  upstreamNotices: [],
  isOffline: false,
  inputsChangedAtMs: 0,
}

interface FakeCluster {
  persistent: Record<string, string>
  size: number
  health: string
  /** Status of every answer to those who may ask; undefined: as it should be. */
  refuses: number | undefined
  speaks: 'tls' | 'plaintext' | 'nothing'
  readonly writes: string[]
}

interface Scene {
  readonly cluster: FakeCluster
  readonly told: (DebtNews & { readonly writesBefore: number })[]
  /** What happens at each second that is waited. */
  onSecond: (second: number) => void
  hears: boolean
  /** The node cannot be looked at. */
  isBlind: boolean
  readonly absences: Absences
  /** A process that begins anew on the same disk. */
  readonly again: () => Promise<Absences>
}

async function scene({
  overPlaintext = false,
  hasController = true,
  hasCredentials = true,
} = {}): Promise<Scene> {
  const { host: memory, files } = newNode()
  files.put('/etc/key', 'VuaCfGcBCdbkQm-e5aOx\n')
  await prepareState(memory, STATE)
  const cluster: FakeCluster = {
    persistent: {},
    size: 3,
    health: 'green',
    refuses: undefined,
    speaks: 'tls',
    writes: [],
  }
  let nowMs = 0
  const host: Host = {
    ...memory,
    random: bytes => randomBytes(bytes),
    network: { handshake: async target => handshake(cluster, target) },
    clock: {
      now: () => 1_700_000_000_000 + nowMs,
      monotonic: () => nowMs,
      async sleep(delayMs) {
        nowMs += delayMs
        found.onSecond(nowMs / 1_000)
      },
    },
  }
  const credentials = hasCredentials
    ? { elasticsearch: { apiKeyFile: '/etc/key', overPlaintext } }
    : undefined
  const told: Scene['told'] = []
  const start = () =>
    createAbsences({
      host,
      stateDirectory: STATE,
      log: silentLog,
      credentials,
      observer: {
        async observe() {
          if (found.isBlind) throw new OperationalError('service-manager-unreachable', 'no answer')
          return observe(host, credentials)
        },
      },
      ...(hasController
        ? {
            async tell(news: DebtNews) {
              if (!found.hears) throw new OperationalError('controller-unreachable', 'nobody')
              told.push({ ...news, writesBefore: cluster.writes.length })
            },
          }
        : {}),
    })
  const found = {
    cluster,
    told,
    onSecond: (_second: number) => {},
    hears: true,
    isBlind: false,
    again: start,
  }
  return Object.assign(found, { absences: await start() })
}

async function observe(
  host: Host,
  credentials: Parameters<typeof serveListeners>[0]['credentials'],
): Promise<ServiceObservation> {
  const served = await serveListeners({ host, tls, compiled, facts: FACTS, credentials })
  const unit = await host.services.show('prometheus.service')
  if (unit === undefined) throw new Error('a unit is there')
  return {
    kind: 'observed',
    tls,
    unit,
    compilation: { kind: 'compiled', compiled },
    node: { ...FACTS, served },
  }
}

function handshake(cluster: FakeCluster, target: HandshakeTarget): Handshake {
  const { authorized } = target
  if (cluster.speaks === 'nothing')
    return { kind: 'unreachable', reason: { code: 'connection-refused', message: 'nobody' } }
  const mayKnow = cluster.speaks === 'tls' || authorized?.isPlainAllowed === true
  const isAuthorized = authorized !== undefined && mayKnow
  const http = isAuthorized
    ? answer(cluster, authorized.httpGet, authorized.json)
    : { status: 401, headers: {}, body: '{}' }
  const more = isAuthorized ? { isAuthorized } : {}
  if (cluster.speaks === 'plaintext') return { kind: 'plaintext', http, ...more }
  return {
    kind: 'tls',
    fingerprint: 'f'.repeat(64),
    chainPem: [],
    protocol: 'TLSv1.3',
    untrusted: undefined,
    http,
    ...more,
  }
}

function answer(cluster: FakeCluster, path: string, json: string | undefined): HttpAnswer {
  const { refuses, size, health, persistent } = cluster
  if (path.startsWith('/_cluster/health')) return body({ status: health, number_of_nodes: size })
  if (path.startsWith('/_cat/nodes'))
    return { status: 200, headers: {}, body: '* 10.0.0.1 n1\n- 10.0.0.2 n2\n- 10.0.0.3 n3\n' }
  if (!path.startsWith('/_cluster/settings')) return { status: 404, headers: {}, body: '' }
  if (refuses !== undefined) return { status: refuses, headers: {}, body: '{}' }
  if (json !== undefined) {
    cluster.writes.push(json)
    const change: { persistent: Record<string, string | null> } = JSON.parse(json)
    for (const [key, value] of Object.entries(change.persistent)) {
      if (value === null) Reflect.deleteProperty(persistent, key)
      else persistent[key] = value
    }
  }
  return body({ persistent, transient: {} })
}

function body(value: object): HttpAnswer {
  return { status: 200, headers: {}, body: JSON.stringify(value) }
}

const marks = ({ persistent }: FakeCluster) =>
  Object.keys(persistent).filter(key => key.startsWith('cluster.metadata.'))

await t.test('told before and after, by way of the controller', async t => {
  const { absences, cluster, told, again } = await scene()
  await absences.leave(tls)
  t.equal(cluster.persistent[ENABLE], 'primaries')
  t.equal(marks(cluster).length, 1)
  t.match(told, [{ owed: [{ service: 'elasticsearch' }], settled: [], writesBefore: 0 }])
  t.match(absences.noticesOf('elasticsearch'), [{ code: 'absence-owed' }])
  await (await again()).leave(tls)
  t.equal(marks(cluster).length, 1, 'who goes on after a crash owes the same')

  await absences.comeBack(tls, false)
  t.strictSame(cluster.persistent, {})
  t.match(told.at(-1), { owed: [], settled: [told[0]?.owed[0]?.debtId] })
  t.strictSame(absences.noticesOf('elasticsearch'), [])
  const { length } = told
  await absences.settle([tls])
  t.equal(told.length, length, 'nothing is owed, nothing is said')
})

await t.test('the next member waits until the cluster is as well as before', async t => {
  const found = await scene()
  const { absences, cluster } = found
  await absences.leave(tls)
  Object.assign(cluster, { size: 2, health: 'yellow' })
  let enabledAtS: number | undefined
  found.onSecond = second => {
    if (cluster.persistent[ENABLE] === undefined) enabledAtS ??= second
    if (second === 20) cluster.size = 3
    if (second === 40) cluster.health = 'green'
  }
  let waitedS = 0
  const { onSecond } = found
  found.onSecond = second => {
    waitedS = second
    onSecond(second)
  }
  await absences.comeBack(tls, false)
  t.equal(waitedS, 40)
  t.ok(enabledAtS !== undefined && enabledAtS < 20, 'copies may be built while it is waited')
})

await t.test('a cluster that does not recover is not waited for without end', async t => {
  const { absences, cluster } = await scene()
  await absences.leave(tls)
  cluster.health = 'yellow'
  await absences.comeBack(tls, false)
  t.strictSame(cluster.persistent, {})
})

await t.test('members that were all away are not waited for one by one', async t => {
  const found = await scene()
  const { absences, cluster } = found
  await absences.leave(tls)
  Object.assign(cluster, { size: 1, health: 'red' })
  let waitedS = 0
  found.onSecond = second => {
    waitedS = second
  }
  await absences.comeBack(tls, true)
  t.strictSame(cluster.persistent, {})
  t.equal(waitedS, 0)
})

for (const [what, options, change] of [
  ['without credentials', { hasCredentials: false }, {}],
  ['without TLS, unless its operator says so', {}, { speaks: 'plaintext' }],
  ['alone in its cluster', {}, { size: 1 }],
  ['where an operator has set it otherwise', {}, { persistent: { [ENABLE]: 'none' } }],
  ['where its credentials are not enough', {}, { refuses: 403 }],
  ['where it does not answer', {}, { speaks: 'nothing' }],
] as const)
  await t.test(`nobody is told: ${what}`, async t => {
    const { absences, cluster, told } = await scene(options)
    Object.assign(cluster, change)
    await absences.leave(tls)
    await absences.comeBack(tls, false)
    t.strictSame(cluster.writes, [])
    t.strictSame(told, [])
  })

await t.test('nothing is owed that the controller does not know of', async t => {
  const found = await scene()
  found.hears = false
  await found.absences.leave(tls)
  t.strictSame(found.cluster.writes, [])
  found.hears = true
  await found.absences.settle([tls])
  t.match(found.told, [{ owed: [], settled: [/^[0-9a-f]{16}$/] }], 'it may have heard all the same')
})

await t.test('without a controller its own disk has to do', async t => {
  const { absences, cluster, again } = await scene({ hasController: false })
  await absences.leave(tls)
  t.equal(cluster.persistent[ENABLE], 'primaries')
  await (await again()).settle([tls])
  t.strictSame(cluster.persistent, {})
})

await t.test('over plaintext where its operator allows it', async t => {
  const { absences, cluster } = await scene({ overPlaintext: true })
  cluster.speaks = 'plaintext'
  await absences.leave(tls)
  t.equal(cluster.persistent[ENABLE], 'primaries')
  cluster.speaks = 'tls'
  await absences.comeBack(tls, false)
  t.strictSame(cluster.persistent, {})
})

await t.test('what cannot be taken back now is taken back by a later pass', async t => {
  const { absences, cluster, again, told } = await scene()
  await absences.leave(tls)
  cluster.speaks = 'nothing'
  await absences.comeBack(tls, false)
  t.equal(cluster.persistent[ENABLE], 'primaries')
  const next = await again()
  t.match(next.noticesOf('elasticsearch'), [{ code: 'absence-owed' }])
  await next.settle([tls])
  t.equal(cluster.persistent[ENABLE], 'primaries')
  cluster.speaks = 'tls'
  await next.settle([tls])
  t.strictSame(cluster.persistent, {})
  t.match(told.at(-1), { owed: [], settled: [told[0]?.owed[0]?.debtId] })
})

await t.test('a node that cannot be looked at ends neither a pass nor the agent', async t => {
  const found = await scene()
  const { absences, cluster, told } = found
  await absences.leave(tls)
  const [debt] = told[0]?.owed ?? []
  if (debt === undefined) throw new Error('it owes')
  found.isBlind = true
  await absences.leave(tls)
  await absences.comeBack(tls, false)
  await absences.settle([tls])
  await absences.settleOthers([tls], [debt])
  t.equal(cluster.persistent[ENABLE], 'primaries')
  t.match(absences.noticesOf('elasticsearch'), [{ code: 'absence-owed' }])
  found.isBlind = false
  await absences.settle([tls])
  t.strictSame(cluster.persistent, {})
})

await t.test('another member pays for one that cannot', async t => {
  const dead = await scene()
  await dead.absences.leave(tls)
  const [debt] = dead.told[0]?.owed ?? []
  if (debt === undefined) throw new Error('it owes')
  const other = await scene()
  other.cluster.persistent = dead.cluster.persistent
  other.cluster.refuses = 503
  await other.absences.settleOthers([tls], [debt])
  t.strictSame(other.told, [], 'not while the cluster has no master')
  other.cluster.refuses = undefined
  await other.absences.settleOthers([tls], [debt])
  t.strictSame(other.cluster.persistent, {})
  t.match(other.told, [{ owed: [], settled: [debt.debtId] }])
  await other.absences.settleOthers([tls], [debt])
  t.equal(
    other.told.length,
    1,
    'where its mark is not, it says nothing: that may be another cluster',
  )
  await other.absences.settleOthers([], [debt])
  t.equal(other.told.length, 1, 'a product that it has not is not its business')
})
