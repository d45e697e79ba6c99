// Three nodes of Elasticsearch in one cluster, each with an agent that may tell it of restarts: while one
// is away no copy of a shard is built anew, and at the end the cluster is as it was before.

import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceReport } from '../../shared/contract/report.ts'
import { until } from '../lab/until.ts'
import { createProductNode, type ProductNode, served, type Wish } from '../support/product-node.ts'
import { ELASTIC_PASSWORD } from './elastic.ts'
import { freePort } from './sandbox.ts'

t.setTimeout(900_000)

const ENABLE = 'cluster.routing.allocation.enable'
const AS_ELASTIC = {
  authorization: `Basic ${Buffer.from(`elastic:${ELASTIC_PASSWORD}`).toString('base64')}`,
  'content-type': 'application/json',
}
/** While it is there, a node that is started comes no further. */
const HELD = 'root/held'
const NAMES = ['es1', 'es2', 'es3'] as const
const CREDENTIALS = {
  elasticsearch: { user: 'elastic', passwordFile: '/root/password', overPlaintext: true },
}

interface Member {
  readonly name: string
  readonly port: number
  readonly node: ProductNode
}

const directory = t.testdir(Object.fromEntries(NAMES.map(name => [name, {}])))
const members = await startCluster()
const [first, second, third] = members
if (first === undefined || second === undefined || third === undefined) throw new Error('three')

async function startCluster(): Promise<readonly Member[]> {
  const ports = await Promise.all(NAMES.map(async () => [await freePort(), await freePort()]))
  const seeds = ports.map(([, transport]) => `127.0.0.1:${transport}`)
  return Promise.all(
    NAMES.map(async (name, index) => {
      const [port = 0, transportPort = 0] = ports[index] ?? []
      const cluster = { nodeName: name, seeds, masters: NAMES, recoveryMs: 300 }
      const node = await createProductNode(
        t,
        [{ service: 'elasticsearch', version: '8.15.0', port, transportPort, cluster }],
        join(directory, name),
      )
      mkdirSync(node.path('root'), { recursive: true })
      writeFileSync(node.path('root/password'), `${ELASTIC_PASSWORD}\n`)
      const held = `while [ -e "${node.path(HELD)}" ]; do sleep 0.05; done`
      editProgram(node, held)
      return { name, port, node }
    }),
  )
}

/** From now on every start of the node does `line` first. */
function editProgram(node: ProductNode, line: string): void {
  const program = node.path('usr/share/elasticsearch/bin/systemd-entrypoint')
  const [head = '', ...rest] = readFileSync(program, 'utf8').split('\n')
  writeFileSync(program, [head, line, ...rest].join('\n'))
}

/** Over whatever a node speaks now. */
async function ask({ node, port }: Member, path: string, method = 'GET', body?: object) {
  const more = {
    path,
    method,
    headers: AS_ELASTIC,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
  const answer = await node.https(port, more).catch(() => node.http(port, more))
  return answer.body
}

const healthOf = async (member: Member) => ask(member, '/_cluster/health').catch(() => '')
const settingsOf = (member: Member) => ask(member, '/_cluster/settings?flat_settings=true')

async function untilGreen(member: Member): Promise<void> {
  await until(async () => /"status":"green".*"number_of_nodes":3/.test(await healthOf(member)), {
    what: 'the cluster is green',
    timeoutMs: 60_000,
    everyMs: 100,
  })
}

/** What a member has been told by its cluster so far. */
interface Seen {
  /** Every value of the setting. */
  readonly values: Set<string>
  /** Who held copies. */
  readonly holders: Set<string>
  looks: number
}

/**
 * What `watcher` saw while `member` was changed and, after its stop, did not come back before the cluster
 * had gone on without it and `enough` was seen. How long that takes is for the machine to say.
 */
async function watching<T>(
  { watcher, member }: { readonly watcher: Member; readonly member: Member },
  work: () => Promise<T>,
  enough: (seen: Seen) => boolean = () => true,
) {
  const seen: Seen = { values: new Set(), holders: new Set(), looks: 0 }
  const controller = new AbortController()
  const watch = (async () => {
    while (!controller.signal.aborted) await look(watcher, seen)
  })()
  const held = member.node.path(HELD)
  writeFileSync(held, '')
  const letGo = async () => {
    await untilGone(watcher)
    const { looks } = seen
    await until(async () => seen.looks > looks + 1 && enough(seen), {
      what: `the cluster went on without ${member.name}`,
      timeoutMs: 60_000,
    })
  }
  const [result] = await Promise.all([work(), letGo().finally(() => rmSync(held))]).finally(() =>
    controller.abort(),
  )
  await watch
  return { result, values: seen.values, holders: [...seen.holders].toSorted() }
}

async function look(watcher: Member, seen: Seen): Promise<void> {
  const settings = await settingsOf(watcher).catch(() => '')
  seen.values.add(/"cluster.routing.allocation.enable":"(\w+)"/.exec(settings)?.[1] ?? 'unset')
  const shards = await ask(watcher, '/_cat/shards?h=prirep,state,node').catch(() => '')
  for (const line of shards.split('\n')) {
    const holder = /^[pr]\s+\w+\s+(\S+)/.exec(line)?.[1]
    if (holder !== undefined) seen.holders.add(holder)
  }
  seen.looks += 1
}

async function untilGone(watcher: Member): Promise<void> {
  await until(async () => (await healthOf(watcher)).includes('"number_of_nodes":2'), {
    what: `${watcher.name} sees two nodes`,
    timeoutMs: 60_000,
  })
}

const wish = (more: object = {}): readonly Wish[] => [
  served('elasticsearch', { tls: 'on', ...more }),
]

function outcomeOf(reports: readonly ServiceReport[]) {
  return reports.map(({ service, outcome }) => `${service} ${outcome}`)
}

async function holdersOf(member: Member): Promise<readonly string[]> {
  const shards = await ask(member, '/_cat/shards?h=prirep,state,node')
  return [...shards.matchAll(/^[pr]\s+STARTED\s+(\S+)/gm)].map(([, node = '']) => node).toSorted()
}

await t.test('the first switch to TLS, one after the other', async t => {
  await untilGreen(first)
  await ask(first, '/logs/_doc/1', 'PUT', {})
  await ask(first, '/_all/_settings', 'PUT', {
    settings: { 'index.unassigned.node_left.delayed_timeout': '0s' },
  })
  await untilGreen(first)
  const before = await holdersOf(first)
  t.equal(before.length, 2)

  for (const [member, watcher] of [
    [first, second],
    [second, third],
    [third, first],
  ] as const) {
    const { result, values, holders } = await watching({ watcher, member }, () =>
      member.node.apply(wish(), CREDENTIALS),
    )
    t.strictSame(outcomeOf(result), ['elasticsearch changed'])
    t.ok(values.has('primaries'), `${member.name} is away: ${[...values].join()}`)
    t.strictSame(holders, before, 'no other node is given a copy')
    t.match(await healthOf(watcher), /"status":"green".*"number_of_nodes":3/, 'waited for')
    t.notMatch(await settingsOf(watcher), /tlsfleet|allocation/)
  }
})

await t.test('without credentials copies are built anew: that is what is avoided', async t => {
  const before = await holdersOf(first)
  const holder = members.find(({ name }) => before.includes(name)) ?? first
  const watcher = members.find(({ name }) => name !== holder.name) ?? second
  const { holders } = await watching(
    { watcher, member: holder },
    async () => {
      await holder.node.apply(wish({ minVersion: '1.3' }))
      await untilGreen(watcher)
    },
    ({ holders }) => holders.size === 3,
  )
  t.strictSame(holders, NAMES)
})

await t.test('killed while its node is away, it pays its debt with the next pass', async t => {
  const killed = new Error('killed')
  const kill = (step: string) => {
    if (step === 's10 verify') throw killed
  }
  await t.rejects(third.node.apply(wish({ minVersion: '1.3' }), CREDENTIALS, kill), killed)
  await until(async () => (await settingsOf(first)).includes(`"${ENABLE}":"primaries"`), {
    what: 'the cluster was told',
  })
  await third.node.apply(wish({ minVersion: '1.3' }), CREDENTIALS)
  t.notMatch(await settingsOf(first), /tlsfleet|allocation/)
  await untilGreen(first)
  const times = third.node.times()
  await third.node.apply(wish({ minVersion: '1.3' }), CREDENTIALS)
  t.strictSame(third.node.times(), times, 'and then nothing is written')
})

await t.test('what does not start is put back, and the cluster is told back', async t => {
  const settingsAt = ({ node }: Member) => node.path('etc/elasticsearch/elasticsearch.yml')
  const isStrict = (one: Member) =>
    readFileSync(settingsAt(one), 'utf8').includes('supported_protocols')
  // The others have had their change above, one at random.
  const member = members.find(one => !isStrict(one)) ?? first
  const watcher = members.find(one => one !== member) ?? second
  const settings = settingsAt(member)
  const copy = `${settings}.before`
  copyFileSync(settings, copy)
  editProgram(member.node, `cmp -s "${settings}" "${copy}" || exit 1`)

  const { result, values } = await watching({ watcher, member }, () =>
    member.node.apply(wish({ minVersion: '1.3' }), CREDENTIALS),
  )
  t.strictSame(outcomeOf(result), ['elasticsearch restored'])
  t.ok(values.has('primaries'))
  t.notMatch(await settingsOf(watcher), /tlsfleet|allocation/)
  t.match(await healthOf(watcher), /"status":"green".*"number_of_nodes":3/)
})
