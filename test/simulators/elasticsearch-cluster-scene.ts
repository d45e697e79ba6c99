// Several nodes of the Elasticsearch simulator that are to find each other.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createCa, type TestCa } from './certificates.ts'
import type { Daemon } from './daemon.ts'
import type { NodeInfo } from './elasticsearch/cluster-state.ts'
import {
  createNode,
  issueForBoth,
  keyEntry,
  p12,
  type SceneNode,
  TRANSPORT,
  trustedEntry,
} from './elasticsearch-scene.ts'

const STORE = {
  [`${TRANSPORT}.keystore.secure_password`]: 'store-password',
  [`${TRANSPORT}.truststore.secure_password`]: 'store-password',
}
/** For elasticsearch.yml: TLS between nodes, with what giveTransport writes. */
export const TLS = `${TRANSPORT}:
  enabled: true
  verification_mode: certificate
  keystore.path: certs/transport.p12
  truststore.path: certs/transport.p12
`

/** A node that may lead and has data, as others know it. */
export function masterNode(id: string): NodeInfo {
  return {
    id,
    ephemeralId: id,
    name: id,
    roles: ['master', 'data'],
    version: '8.15.0',
    transportAddress: id,
    httpAddress: id,
  }
}

export interface Cluster {
  readonly nodes: readonly SceneNode[]
  readonly ca: TestCa
  named(name: string | undefined): SceneNode
  ymlOf(node: SceneNode, more: string): string
  start(node: SceneNode): Daemon
  /** While it is there, no copy of a shard is recovered. */
  readonly held: string
  stop(node: SceneNode): Promise<void>
  daemon(node: SceneNode): Daemon
}

export async function layOutCluster(
  t: Test,
  {
    names,
    yml,
    masters = names,
  }: {
    readonly names: readonly string[]
    readonly yml: string
    readonly masters?: readonly string[]
  },
): Promise<Cluster> {
  const directory = t.testdir({ ca: {}, stranger: {} })
  const ca = createCa(join(directory, 'ca'))
  const held = join(directory, 'held')
  const nodes: SceneNode[] = []
  for (const name of names) nodes.push(await createNode(t, directory, name))
  const seeds = nodes.map(({ transportPort }) => `127.0.0.1:${transportPort}`)
  const ymlOf = (_node: SceneNode, more: string) =>
    `discovery.seed_hosts: [${seeds.map(seed => `"${seed}"`).join(', ')}]\n` +
    `cluster.initial_master_nodes: [${masters.join(', ')}]\n${more}`
  for (const node of nodes) {
    giveTransport(node, ca)
    node.secrets(yml === '' ? {} : STORE)
    node.configure(ymlOf(node, yml))
  }
  const daemons = new Map<SceneNode, Daemon>()
  const daemon = (node: SceneNode) => {
    const found = daemons.get(node)
    if (found === undefined) throw new Error(`${node.name} was never started`)
    return found
  }
  return {
    nodes,
    ca,
    held,
    ymlOf,
    daemon,
    named: name => nodes.find(node => node.name === name) ?? nodes[0] ?? fail(name),
    start: node => {
      const started = node.start({ env: { SIM_RECOVERY_HELD: held } })
      daemons.set(node, started)
      return started
    },
    stop: node => daemon(node).stop(),
  }
}

function fail(name: string | undefined): never {
  throw new Error(`no node ${name}`)
}

export function giveTransport(node: SceneNode, ca: TestCa, names = 'IP:127.0.0.1'): void {
  const leaf = issueForBoth(ca, node.name, names)
  const entries = [keyEntry('transport', leaf, ca), trustedEntry('ca', ca)]
  writeFileSync(join(node.directory, 'certs/transport.p12'), p12(entries))
}
