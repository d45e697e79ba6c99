// TLS between the nodes of an Elasticsearch cluster, which no node switches alone: refused node by node,
// made by all three at once together with TLS of HTTP, renewed without a restart, and taken back by all.

import t, { type Test } from 'tap'
import { TRANSPORT } from '../simulators/elasticsearch-scene.ts'
import { createLabFleet } from '../support/lab-fleet.ts'
import {
  basic,
  ELASTIC_PASSWORD,
  ELASTICSEARCH_YML,
  installElasticsearch,
  prepareCluster,
} from './estate/elastic.ts'
import { until } from './lab.ts'
import { createRolloutScene, joinAll } from './rollout-scene.ts'
import { createRotationScene } from './rotation-scene.ts'
import { lastStopAndStart } from './unit-log.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'elasticsearch'
const HTTP_PORT = 9200
const TRANSPORT_PORT = 9300
// Before 8.0 a cluster on trial may have security without TLS between its nodes.
const VERSION = '7.17.20'
const CREDENTIALS = `[credentials.elasticsearch]
user = "elastic"
passwordFile = "/etc/tlsfleet/elastic-password"
`

const spec = (tls: 'on' | 'off', transport: 'leave' | 'manage') => `version: 1
fleet: lab
defaults:
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 90s }
services:
  - service: elasticsearch
    nodes: all
    tls: ${tls}
    options: { transport: ${transport} }
groups:
  - { name: masters, kind: master-eligible, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const { nodes } = lab
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    ...nodes.map(node =>
      installElasticsearch(lab, node, { nodes, store: 'plaintext', version: VERSION, http: '' }),
    ),
  ])
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  // The last one has none: what its node has found is not known.
  for (const node of nodes.slice(0, 2)) {
    await lab.writeFile(node, '/etc/tlsfleet/elastic-password', ELASTIC_PASSWORD)
    await lab.writeFile(node, '/etc/tlsfleet/agent.toml', CREDENTIALS)
  }
  const invocations = () => Promise.all(nodes.map(node => fleet.invocation(node, UNIT)))
  const files = () => Promise.all(nodes.map(node => lab.readFile(node, ELASTICSEARCH_YML)))
  const told = (text: string, ...argv: readonly string[]) =>
    fleet.cli(['--json', 'apply', '-f', fleet.specFile(text), '--yes', '--quiet', ...argv])
  const startTogether = async (text: string) => {
    const { stdout } = await told(
      text,
      '--detach',
      '--together',
      'masters',
      '--acknowledge-downtime',
    )
    const [line = ''] = stdout.split('\n')
    const { rollout }: { readonly rollout: { readonly id: string } } = JSON.parse(line)
    return rollout.id
  }
  const untilWhole = async (scheme: 'http' | 'https') => {
    const said = new Map<string, string>()
    const members = async (node: string) => {
      const path = '/_cat/nodes?h=master,name'
      const answer = await lab.http('ctl', `${scheme}://${node}:${HTTP_PORT}${path}`, {
        headers: { authorization: basic('elastic', ELASTIC_PASSWORD) },
        ...(scheme === 'https' ? { caFile: fleet.trustFile } : {}),
      })
      said.set(node, `${answer.status} ${answer.body}`)
      return answer.body.trim().split('\n')
    }
    for (const node of nodes)
      await until(
        async () => {
          const rows = await members(node)
          const masters = rows.filter(row => row.startsWith('*'))
          return rows.length === nodes.length && masters.length === 1
        },
        { what: `${node} sees three nodes and a master`, everyMs: 300 },
      ).catch(error => {
        throw new Error(`${String(error)}: ${JSON.stringify([...said])}`)
      })
  }
  const speaksTls = (node: string) =>
    fleet.handshake(node, TRANSPORT_PORT).catch((error: unknown) => String(error))
  let changed = ''

  await t.test('a cluster in plaintext is taken over as it is', async t => {
    await prepareCluster(lab, nodes)
    await joinAll(fleet, lab, ['role=master'])
    const [before, running] = [await files(), await invocations()]

    const applied = await fleet.apply(spec('off', 'leave'))

    t.equal(applied.code, 0, applied.stderr)
    t.strictSame(await files(), before)
    t.strictSame(await invocations(), running)
  })

  await t.test('node by node it is refused, and nothing of it is begun', async t => {
    const [before, running] = [await files(), await invocations()]
    const on = spec('on', 'manage')

    const planned = await fleet.cli(['plan', '-f', fleet.specFile(on)])
    const refused = await told(on)

    t.match(planned.stdout, /n1 \(coordinated\)/)
    t.not(refused.code, 0)
    t.match(refused.stdout + refused.stderr, /coordinated-change/)
    t.match(refused.stdout + refused.stderr, /n1, n2, n3/)
    t.match(refused.stdout + refused.stderr, /--together/)
    t.strictSame(await files(), before)
    t.strictSame(await invocations(), running)
  })

  await t.test('all three come to TLS at once, and find each other', async t => {
    changed = await startTogether(spec('on', 'manage'))

    const { status, steps } = await scene.untilEnded(changed)

    t.equal(status, 'succeeded', JSON.stringify(steps))
    await untilWhole('https')
    await neverBesideEachOther(t)
    for (const node of nodes) {
      t.equal(
        await fleet.handshake(node, TRANSPORT_PORT),
        await fleet.handshake(node, HTTP_PORT),
        `${node} shows one certificate on both ports`,
      )
      t.match(await lab.readFile(node, ELASTICSEARCH_YML), `${TRANSPORT}.enabled: true`)
    }
    const again = await fleet.cli(['plan', '-f', fleet.specFile(spec('on', 'manage'))])
    t.equal(again.code, 0, 'nothing is left to change')
    const notices = async (node: string) => JSON.stringify(await scene.node(node))
    t.notMatch(await notices('n1'), 'cluster-unseen')
    t.match(await notices('n3'), 'cluster-unseen')
  })

  await t.test('a renewal is loaded by both layers without a restart', async t => {
    const running = await invocations()
    const before = await fleet.handshake('n2', TRANSPORT_PORT)

    await lab.output('n2', ['tlsfleet-agent', 'renew', UNIT])

    await until(async () => (await speaksTls('n2')) !== before, {
      what: 'the transport layer of n2 shows another certificate',
      everyMs: 300,
    })
    t.equal(await speaksTls('n2'), await fleet.handshake('n2', HTTP_PORT))
    t.strictSame(await invocations(), running)
    await untilWhole('https')
  })

  await t.test('the way back is taken by all three as well', async t => {
    const refused = await told(spec('off', 'leave'))
    t.match(refused.stdout + refused.stderr, /coordinated-change/)
    t.match(refused.stdout + refused.stderr, /n1, n2, n3/)

    const id = await scene.follow(changed, 'rollback')

    const { status, steps } = await scene.untilEnded(id)
    t.equal(status, 'succeeded', JSON.stringify(steps))
    const kinds = scene.log.events(id).map(({ kind }) => kind)
    for (const kind of ['downtime-acknowledged', 'section-moved']) t.ok(kinds.includes(kind), kind)
    await untilWhole('http')
    await neverBesideEachOther(t)
    for (const node of nodes) {
      t.match(await speaksTls(node), /Error/, `${node} has no TLS between nodes`)
      t.match(await lab.readFile(node, ELASTICSEARCH_YML), `${TRANSPORT}.enabled: false`)
    }
    t.strictSame(scene.log.leases(), [])
  })

  await t.test('where HTTP has TLS, members prove that the whole cluster is back', async t => {
    const http = await fleet.apply(spec('on', 'leave'))
    t.equal(http.code, 0, http.stderr)
    for (const node of nodes) t.match(await speaksTls(node), /Error/, `${node}: HTTP alone`)

    const id = await startTogether(spec('on', 'manage'))

    const { status, steps } = await scene.untilEnded(id)
    t.equal(status, 'succeeded', JSON.stringify(steps))
    await neverBesideEachOther(t)
    await untilWhole('https')
    const gates = await fleet.cliJson(['rollout', 'gates', id])
    t.match(JSON.stringify(gates), /cluster-as-before/)
    for (const node of nodes)
      t.equal(await speaksTls(node), await fleet.handshake(node, HTTP_PORT), node)
  })

  await t.test('the CA is replaced without a restart, and no node is lost on the way', async t => {
    const rotation = createRotationScene(fleet)
    const running = await invocations()
    const before = await Promise.all(nodes.map(speaksTls))

    const id = await rotation.rotate()
    const odd = await oddLooksUntil(rotation.finish(id))

    t.strictSame(odd, [], 'every look has found all of them')
    t.equal(await rotation.learnTrust(), 1)
    t.strictSame(await invocations(), running)
    for (const [index, node] of nodes.entries())
      t.not(await fleet.handshake(node, TRANSPORT_PORT), before[index], node)
    // Whoever is started now has nothing but the new CA to find the others by.
    await lab.output('n1', ['systemctl', 'restart', UNIT])
    await untilWhole('https')
  })

  /** Looks that have not counted all of them, and why. That a busy machine took too long is none. */
  async function oddLooksUntil(end: Promise<void>): Promise<readonly string[]> {
    const odd = new Set<string>()
    let [isOver, good] = [false, 0]
    const over = end.finally(() => (isOver = true))
    const looks = async () => {
      while (!isOver)
        for (const node of nodes) {
          const { status, body, error } = await healthOf(node)
          if (body.includes(`"number_of_nodes":${nodes.length},`)) good++
          else if (!error.includes('curl: (28)')) odd.add(`${node} ${status} ${error} ${body}`)
        }
    }
    await Promise.all([over, looks()])
    if (good === 0) odd.add('no look has counted all of them')
    return [...odd]
  }

  function healthOf(node: string) {
    return lab.http(node, `https://127.0.0.1:${HTTP_PORT}/_cluster/health`, {
      headers: { authorization: basic('elastic', ELASTIC_PASSWORD) },
      caFile: '/etc/elasticsearch/tlsfleet/ca.pem',
    })
  }

  async function neverBesideEachOther(test: Test): Promise<void> {
    const times = await Promise.all(nodes.map(node => lastStopAndStart(lab, node, UNIT)))
    const lastStopped = Math.max(...times.map(({ stoppedUs }) => stoppedUs))
    const firstStarted = Math.min(...times.map(({ startedUs }) => startedUs))
    test.ok(lastStopped > 0 && lastStopped < firstStarted, `${lastStopped} < ${firstStarted}`)
  }
})
