// Who talks to whom on the transport port of the Elasticsearch simulator.

import { join } from 'node:path'
import t from 'tap'
import { createCa } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import { giveTransport, layOutCluster, TLS } from './elasticsearch-cluster-scene.ts'
import { type SceneNode, TRANSPORT, untilHealth, untilUp } from './elasticsearch-scene.ts'

// A busy machine takes its time to start a dozen processes.
t.setTimeout(300_000)

await t.test('nodes in TLS and in plain text do not find each other', async t => {
  const cluster = await layOutCluster(t, { names: ['n1', 'n2'], yml: TLS, masters: ['n1'] })
  const [n1, n2] = cluster.nodes
  if (n1 === undefined || n2 === undefined) throw new Error('two nodes')
  const own = (node: SceneNode, more: string) => node.configure(cluster.ymlOf(node, more))
  cluster.start(n1)
  await untilHealth(n1, 'green', { nodes: 1 })
  const refusedWith = async (more: string, by2: RegExp, by1: RegExp) => {
    own(n2, more)
    const daemon = cluster.start(n2)
    await untilUp(daemon)
    await untilPrinted(daemon, by2)
    await untilPrinted(cluster.daemon(n1), by1)
    t.equal((await n2.ask('/_cluster/health?timeout=0s')).status, 503)
    t.match((await n1.ask('/_cluster/health')).json, { number_of_nodes: 1 })
    await cluster.stop(n2)
  }

  await refusedWith(
    `${TRANSPORT}.enabled: false\n`,
    /SSL\/TLS request received but SSL\/TLS is not enabled on this node/,
    /received plaintext traffic on an encrypted channel/,
  )

  // A certificate of a CA that the other one does not know.
  const stranger = createCa(join(t.testdirName, 'stranger'), 'stranger')
  giveTransport(n2, stranger)
  const unknown = /unsuccessfully: PKIX path building failed/
  await refusedWith(TLS, unknown, unknown)
  // Who checks nobody is still checked.
  const careless = TLS.replace('certificate\n', 'none\n')
  await refusedWith(
    careless,
    /unsuccessfully: /,
    /closing connection Netty4TcpChannel.*PKIX path building failed/,
  )

  // The name in the certificate counts in the mode `full` only.
  giveTransport(n2, cluster.ca, 'DNS:elsewhere')
  own(n2, TLS)
  cluster.start(n2)
  await untilHealth(n1, 'green', { nodes: 2 })
  await cluster.stop(n2)
  await cluster.stop(n1)
  own(n1, TLS.replace('certificate\n', 'full\n'))
  cluster.start(n1)
  await untilHealth(n1, 'green', { nodes: 1 })
  cluster.start(n2)
  await untilPrinted(cluster.daemon(n1), /does not match certificate's altnames/)
  t.match((await n1.ask('/_cluster/health')).json, { number_of_nodes: 1 })
})

await t.test('a node of another cluster is not taken in', async t => {
  const cluster = await layOutCluster(t, { names: ['n1', 'n2'], yml: '', masters: [] })
  const [n1, n2] = cluster.nodes
  if (n1 === undefined || n2 === undefined) throw new Error('two nodes')
  for (const node of cluster.nodes) {
    node.configure(`cluster.initial_master_nodes: [${node.name}]\ndiscovery.seed_hosts: []\n`)
    cluster.start(node)
    await untilHealth(node, 'green', { nodes: 1 })
    await cluster.stop(node)
  }
  for (const node of cluster.nodes) {
    node.configure(cluster.ymlOf(node, ''))
    cluster.start(node)
  }
  await untilHealth(n1, 'green', { nodes: 1 })
  await untilHealth(n2, 'green', { nodes: 1 })

  await cluster.stop(n2)
  n2.configure(`${cluster.ymlOf(n2, '')}cluster.name: other\n`)
  await untilPrinted(cluster.start(n2), /remote cluster name \[elasticsearch\] does not match/)
})
