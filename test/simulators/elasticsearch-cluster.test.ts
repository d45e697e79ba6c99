// Several nodes of the Elasticsearch simulator: masters, and copies of shards.

import { rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { until } from '../lab/until.ts'
import { layOutCluster, masterNode, TLS } from './elasticsearch-cluster-scene.ts'
import { type SceneNode, untilHealth } from './elasticsearch-scene.ts'
import { healthOf, reroute, votingFor } from './elasticsearch/allocation.ts'
import { type ClusterState, emptyState, execute } from './elasticsearch/cluster-state.ts'

// A busy machine takes its time to start a dozen processes.
t.setTimeout(300_000)

await t.test('three nodes', async t => {
  const cluster = await layOutCluster(t, { names: ['n1', 'n2', 'n3'], yml: TLS })
  const [n1, n2, n3] = cluster.nodes
  if (n1 === undefined || n2 === undefined || n3 === undefined) throw new Error('three nodes')
  for (const node of cluster.nodes) cluster.start(node)
  await untilHealth(n1, 'green', { nodes: 3 })
  const count = async (node: SceneNode) => (await node.ask('/logs/_count')).json
  let written = 0
  const put = async (node: SceneNode) => {
    const { status } = await node.ask(`/logs/_doc/${written + 1}`, { method: 'PUT', body: {} })
    // 200: it is there of a try that was not acknowledged.
    if (status === 201 || status === 200) written++
    return status
  }
  const untilAll = async (status: 'green' | 'yellow') => {
    for (const node of cluster.nodes) await untilHealth(node, status, { nodes: 3 })
  }
  const shards = async (node: SceneNode) =>
    (await node.ask('/_cat/shards/?h=prirep,state,node')).text.trim().split('\n').toSorted()
  const masterName = async (node: SceneNode) => (await node.ask('/_cat/master?h=node')).text.trim()

  await t.test('have one master, and copies of what any of them takes', async t => {
    t.equal(await put(n1), 201)
    t.equal(await put(n2), 201)
    await untilHealth(n3, 'green')
    t.match(await count(n3), { count: 2 })
    const masters = await Promise.all(cluster.nodes.map(masterName))
    t.equal(new Set(masters).size, 1)
    t.match((await n1.ask('/_cat/nodes')).text, /^(.*\n){3}$/)
    t.match((await n1.ask('/_nodes')).json, { _nodes: { total: 3 } })
    const role = { method: 'PUT', body: { cluster: ['monitor'] } }
    await n1.ask('/_security/role/r', role)
    t.equal((await n3.ask('/_security/role/r')).status, 200, 'roles are everywhere')
  })

  await t.test('say 408 where what is waited for does not come', async t => {
    const { status, json } = await n1.ask('/_cluster/health?wait_for_nodes=4&timeout=200ms')
    t.equal(status, 408)
    t.match(json, { timed_out: true, status: 'green' })
  })

  await t.test('go on without one of them, in yellow until it is back', async t => {
    const holder = cluster.named((await shards(n1))[0]?.split(/\s+/)[2])
    const other = cluster.nodes.find(node => node !== holder) ?? n1
    t.equal(await put(n1), 201)
    await cluster.stop(holder)

    await untilHealth(other, 'yellow', { nodes: 2 })
    t.match(await count(other), { count: written }, 'the replica has it all')
    t.match((await other.ask('/_cluster/health')).json, { delayed_unassigned_shards: 1 })
    t.equal(await put(other), 201)
    t.match((await shards(other)).join('\n'), /r\s+UNASSIGNED/, 'no third copy within a minute')
    writeFileSync(cluster.held, '')
    cluster.start(holder)
    await until(
      async () => /"initializing_shards":1/.test((await other.ask('/_cluster/health')).text),
      { what: 'the copy is being recovered' },
    )
    rmSync(cluster.held)
    await untilAll('green')
    t.match(await count(holder), { count: written })
  })

  await t.test('make another copy where the node stays away for too long', async t => {
    const settings = { 'index.unassigned.node_left.delayed_timeout': '100ms' }
    t.equal((await n1.ask('/_all/_settings', { method: 'PUT', body: { settings } })).status, 200)
    const replica = (await shards(n1)).find(line => line.startsWith('r'))?.split(/\s+/)[2]
    const holder = cluster.named(replica)
    const other = cluster.nodes.find(node => node !== holder) ?? n1
    await cluster.stop(holder)
    await untilHealth(other, 'green', { nodes: 2 })
    t.notMatch((await shards(other)).join('\n'), holder.name)
    cluster.start(holder)
    await untilHealth(other, 'green', { nodes: 3 })
  })

  await t.test('keep where shards may go, and what was written, over a full restart', async t => {
    const body = { persistent: { cluster: { routing: { allocation: { enable: 'primaries' } } } } }
    t.match(await n1.ask('/_cluster/settings', { method: 'PUT', body }), {
      status: 200,
      json: { acknowledged: true, ...body },
    })
    await Promise.all(cluster.nodes.map(node => cluster.stop(node)))
    for (const node of cluster.nodes) cluster.start(node)
    await untilAll('yellow')
    t.match((await n2.ask('/_cluster/settings')).json, body)
    t.match((await shards(n1)).join('\n'), /^p\s+STARTED.*\nr\s+UNASSIGNED/)
    t.match(await count(n3), { count: written })

    const undo = { persistent: { 'cluster.routing.allocation.enable': null } }
    t.match((await n3.ask('/_cluster/settings', { method: 'PUT', body: undo })).json, {
      persistent: {},
    })
    await untilHealth(n1, 'green', { nodes: 3 })
  })

  await t.test('elect another master when theirs is gone, and none without two', async t => {
    const master = cluster.named(await masterName(n1))
    const [other = n1, last = n1] = cluster.nodes.filter(node => node !== master)
    cluster.daemon(master).signal('SIGKILL')
    const others = /^n\d$/
    await until(
      async () => {
        const name = await masterName(other)
        return others.test(name) && name !== master.name
      },
      { what: 'there is another master' },
    )
    await until(async () => [200, 201].includes(await put(other)), {
      what: 'it takes writes again',
    })
    t.match(await count(other), { count: written })

    await cluster.stop(last)
    await until(async () => (await other.ask('/_cluster/health?timeout=100ms')).status === 503, {
      what: 'there is no master',
    })
    t.match(
      (await other.ask('/new/_doc?master_timeout=200ms', { method: 'POST', body: {} })).json,
      {
        error: { type: 'master_not_discovered_exception' },
      },
    )
    t.equal((await other.ask('/_cat/nodes')).status, 503)
    cluster.start(last)
    cluster.start(master)
    await untilAll('green')
    t.match(await count(last), { count: written }, 'nothing that was acknowledged is lost')
  })
})

await t.test('who votes', t => {
  const voting = (ids: readonly string[], before: string[] = [], master = 'a') =>
    votingFor({
      ...emptyState(),
      master,
      voting: before,
      nodes: ids.map(masterNode),
    }).toSorted()

  t.same(voting(['a']), ['a'])
  t.same(voting(['a', 'b']), ['a'], 'one of two')
  t.same(voting(['a', 'b', 'c']), ['a', 'b', 'c'])
  t.same(voting(['a', 'b', 'c', 'd']).length, 3)
  t.same(voting(['a', 'b'], ['a', 'b', 'c']), ['a', 'b', 'c'], 'never fewer than three again')
  t.same(voting(['b', 'c'], ['a', 'b', 'c'], 'b'), ['a', 'b', 'c'])
  t.end()
})

await t.test('a primary is never made of a copy that may lack something', t => {
  const step = (state: ClusterState, ...commands: readonly Parameters<typeof execute>[1][]) =>
    commands.reduce((now, command) => reroute(execute(now, command, 1000), 1000, undefined), state)
  const allocationOn = (now: ClusterState, id: string) =>
    now.indices['i']?.copies.find(copy => copy.node === id)?.allocation ?? 'none'
  const started = (now: ClusterState, node: string) =>
    ({ kind: 'shard-started', index: 'i', node, allocation: allocationOn(now, node) }) as const
  const failed = (now: ClusterState, node: string, primaryTerm: number) =>
    ({ ...started(now, node), kind: 'shard-failed', primaryTerm }) as const
  const whereIs = (state: ClusterState) =>
    state.indices['i']?.copies.map(copy => `${copy.primary ? 'p' : 'r'} ${copy.node} ${copy.state}`)
  const made = step(
    emptyState(),
    { kind: 'join', node: masterNode('a') },
    { kind: 'create-index', index: 'i', settings: {} },
  )
  let state = step(made, started(made, 'a'), { kind: 'join', node: masterNode('b') })
  t.same(whereIs(state), ['p a STARTED', 'r b INITIALIZING'])

  const lost = step(state, { kind: 'leave', node: 'a' })
  t.equal(healthOf(lost, 1000).status, 'red', 'b has not recovered yet')
  t.same(whereIs(step(lost, { kind: 'join', node: masterNode('c') }))?.[0], 'p null UNASSIGNED')
  t.match(whereIs(step(lost, { kind: 'join', node: masterNode('a') })), ['p a INITIALIZING'])

  const given = step(state, failed(state, 'b', 1))
  t.same(whereIs(given), ['p a STARTED', 'r b INITIALIZING'], 'given up, and begun anew')
  const late = step(given, started(state, 'b'))
  t.same(whereIs(late), whereIs(given), 'what it had before that is not all')
  t.same(step(given, failed(state, 'b', 1)), given, 'that one is given up already')

  state = step(state, started(state, 'b'), { kind: 'leave', node: 'a' })
  t.same(whereIs(state), ['p b STARTED', 'r null UNASSIGNED'])
  t.equal(healthOf(state, 1000).delayed_unassigned_shards, 1)
  t.same(
    whereIs(step(state, { kind: 'join', node: masterNode('c') })),
    ['p b STARTED', 'r null UNASSIGNED'],
    'it waits for a',
  )
  t.same(whereIs(step(state, { kind: 'join', node: masterNode('a') })), [
    'p b STARTED',
    'r a INITIALIZING',
  ])
  t.throws(
    () => execute(state, failed(state, 'b', 1), 0),
    { message: /stale/ },
    'the old primary has no say any more',
  )
  t.end()
})
