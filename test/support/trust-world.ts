// A fleet in virtual time: a store, the runner, the compiler and what gives certificates to clients, all
// real; and on every node in memory a real reconciler. Servers are InfluxDB with self-signed
// certificates, clients a product that reads addresses and trust when it starts.

import { X509Certificate } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import type { Report } from '../../shared/contract/report.ts'
import { silentLog } from '../../shared/log.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { type Accepted, acceptDesired } from '../../agent/desired.ts'
import type { Reconciler } from '../../agent/reconciler.ts'
import { createClaims, knownSelfSigned } from '../../controller/api/self-signed-claims.ts'
import { createTrustRefresh, type TrustRefresh } from '../../controller/api/trust-refresh.ts'
import { compileFleet } from '../../controller/fleet/compile.ts'
import { inOrder } from '../../controller/fleet/edges.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import type { Rollout } from '../../controller/rollout/rollout.ts'
import { createRunner, type Runner } from '../../controller/rollout/runner.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { NodeRecord, Store, Transaction } from '../../controller/store/store.ts'
import { CLIENT_CONF, CLIENT_TRUST, CLIENT_UNIT, clientUnit, layClient } from './client-product.ts'
import { GUESTS } from './guest-fleet.ts'
import { inputFor, newAgent, STOCK_FILES } from './memory-fleet.ts'
import { createMemoryNode, type MemoryNode } from './memory-node.ts'
import type { UnitOf } from './memory-node.ts'

const CA = { trust: [], issuedBy: '0'.repeat(64) }

export interface WorldNode {
  readonly name: string
  readonly memory: MemoryNode
  isOnline: boolean
  accepted: Accepted | undefined
  sequence: number
  /** What its client has read when it started last. */
  readonly client: { conf: string; trust: string }
}

export interface World {
  readonly store: Store
  readonly runner: Runner
  readonly trust: TrustRefresh
  readonly nodes: readonly WorldNode[]
  readonly nowMs: () => number
  node(name: string): WorldNode
  /** As an operator does it. */
  apply(): Promise<void>
  /** Time passes, and everybody does what there is to do until nobody has anything. */
  step(ms: number): Promise<void>
  rollouts(): Promise<readonly Rollout[]>
  /** Connections from each client to each server, after every single pass: those that failed. */
  readonly failures: string[]
  readonly connections: () => number
  /** Anew, as a process that was restarted: nothing is remembered. */
  restartRefresh(): void
}

export interface WorldOptions {
  readonly spec: string
  readonly servers: readonly string[]
  readonly clients: readonly string[]
}

export async function createWorld({ spec, servers, clients }: WorldOptions): Promise<World> {
  const nodes = [...servers, ...clients].map(name => createNode(name, clients.includes(name)))
  let nowMs = Math.max(...nodes.map(({ memory }) => memory.nowMs()))
  const clock: Clock = { now: () => nowMs, monotonic: () => nowMs, sleep: async () => {} }
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs })
  const isOnline = (name: string) => nodes.some(one => one.name === name && one.isOnline)
  const runner = createRunner({
    store,
    clock,
    onPublished: () => undefined,
    isOnline: member => isOnline(member.node),
    log: silentLog,
  })
  const compile = async (tx: Transaction, text: string) => {
    const parsed = parseFleetSpec(text)
    if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
    const records = await tx.nodes.list({ limit: 100 })
    const known = await knownSelfSigned(tx)
    const fleet = compileFleet(parsed.spec, records, CA, undefined, undefined, known)
    if (fleet.problems.length > 0) throw new Error(JSON.stringify(fleet.problems))
    return { ...fleet, digest: parsed.digest }
  }
  const newRefresh = () =>
    createTrustRefresh({
      store,
      clock,
      runner,
      isOnline,
      compile,
      log: silentLog,
      wakeRunner: () => undefined,
    })
  let refresh = newRefresh()
  const claims = createClaims(silentLog)
  const agents = new Map<string, Reconciler>()
  await store.transaction(async tx => {
    for (const { name } of nodes)
      await tx.nodes.insert(recordOf(name, servers.includes(name) ? 'db' : 'app', nowMs))
  })
  for (const node of nodes) agents.set(node.name, await newAgent(node.memory, { registry: GUESTS }))

  const failures: string[] = []
  let connections = 0
  const connect = () => {
    for (const client of nodes.filter(one => clients.includes(one.name)))
      for (const server of nodes.filter(one => servers.includes(one.name))) {
        connections += 1
        const failure = connection(client, server, nowMs)
        if (failure !== undefined) failures.push(`${client.name} to ${server.name}: ${failure}`)
      }
  }

  async function pass(node: WorldNode): Promise<void> {
    const agent = agents.get(node.name)
    const state = (await store.transaction(tx => tx.desired.get(node.name)))?.state
    if (agent === undefined || state === undefined || !node.isOnline) return
    node.memory.advance(Math.max(0, nowMs - node.memory.nowMs()))
    const highest = { generation: undefined, digest: undefined }
    const { accepted: current, name } = node
    const result = acceptDesired({ received: state, node: name, current, highest })
    if (result.kind === 'accepted') node.accepted = result.accepted
    const { latest, enforced } = node.accepted ?? {}
    if (latest === undefined) return
    const run = (document: typeof latest, permit: boolean) =>
      agent.pass(
        inputFor(document.content.services, {
          mode: document.mode,
          claim: async () => {
            if (!permit) return undefined
            const { generation, digest } = document
            const answer = await runner.claim(node.name, generation, digest)
            return answer.granted ? undefined : answer.reason
          },
        }),
      )
    if (latest.mode === 'stage' && enforced !== undefined) await run(enforced, false)
    const services = await run(latest, latest.permit)
    nowMs = Math.max(nowMs, node.memory.nowMs())
    const report: Report = {
      sequence: ++node.sequence,
      atMs: nowMs,
      agentVersion: 'test',
      observedGeneration: latest.generation,
      observedDigest: latest.digest,
      mode: latest.mode,
      services: [...services],
      facts: {},
    }
    const record = { node: node.name, report, receivedAtMs: nowMs }
    const isNews = await store.transaction(async tx => {
      await tx.reports.put(record)
      return claims.note(tx, record)
    })
    if (isNews) refresh.wake()
  }

  const versions = async (tx: Transaction) => {
    const rollouts = await tx.rollouts.list({ limit: 1 })
    return JSON.stringify([rollouts[0]?.id, rollouts[0]?.version, await tx.selfSigned.list()])
  }

  return {
    store,
    runner,
    nodes,
    failures,
    connections: () => connections,
    get trust() {
      return refresh
    },
    nowMs: () => nowMs,
    node(name) {
      const found = nodes.find(one => one.name === name)
      if (found === undefined) throw new Error(`no node ${name}`)
      return found
    },
    async apply() {
      const { plan, moves } = await store.transaction(async tx => {
        const fleet = await compile(tx, spec)
        const given = { digest: fleet.digest, text: spec, author: 'ada', createdAtMs: nowMs }
        const latest = await tx.revisions.latest()
        const revision = latest?.digest === fleet.digest ? latest : await tx.revisions.insert(given)
        const moved = []
        for (const { node, content, digest } of fleet.nodes) {
          const from = (await tx.desired.get(node))?.state.contentDigest
          if (from !== digest) moved.push({ node, from, to: digest, content })
        }
        const { number } = revision
        return { plan: { revision: number, author: 'ada', nodes: inOrder(moved) }, moves: moved }
      })
      if (moves.length > 0) await runner.create(plan, 'ada')
    },
    async step(ms) {
      nowMs += ms
      for (let isQuiet = false, round = 0; !isQuiet; round++) {
        if (round > 300) throw new Error('the fleet does not come to rest')
        const before = await store.transaction(versions)
        for (const node of nodes) {
          await pass(node)
          connect()
        }
        await runner.tick()
        await refresh.look()
        isQuiet = (await store.transaction(versions)) === before
      }
    },
    rollouts: () => store.transaction(tx => tx.rollouts.list({ limit: 1000 })),
    restartRefresh() {
      refresh = newRefresh()
    },
  }
}

function createNode(name: string, isClient: boolean): WorldNode {
  const client = { conf: '', trust: '' }
  const unit: UnitOf = {
    ...clientUnit,
    product: {
      ...clientUnit.product,
      start(files, environment) {
        const running = clientUnit.product.start(files, environment)
        if (running !== undefined) {
          client.conf = files.text(CLIENT_CONF) ?? ''
          client.trust = files.text(CLIENT_TRUST) ?? ''
        }
        return running
      },
    },
  }
  const memory = createMemoryNode(STOCK_FILES, {
    units: isClient ? { [CLIENT_UNIT]: unit } : {},
    run: () => undefined,
  })
  if (isClient) {
    layClient(memory.files)
    memory.start('telegraf')
  }
  memory.advance(60_000)
  return { name, memory, isOnline: true, accepted: undefined, sequence: 0, client }
}

function recordOf(name: string, role: string, nowMs: number): NodeRecord {
  return {
    name,
    labels: { role },
    names: { dns: [name, 'localhost'], ip: [] },
    createdAtMs: nowMs,
    enrolledAtMs: nowMs,
    seenAtMs: nowMs,
  }
}

/** Undefined: it comes about, and is verified where there is something to verify. */
function connection(client: WorldNode, server: WorldNode, nowMs: number): string | undefined {
  const isTls = client.client.conf.includes('https://')
  const chain = chainServed(server.memory)
  if (chain === undefined) return isTls ? 'it speaks plaintext' : undefined
  if (!isTls) return 'it speaks TLS'
  const [leaf, ...intermediates] = chain
  if (leaf === undefined) return 'it serves nothing'
  const trust = certificatesIn(client.client.trust)
  const [reason] = pathReasons({ leaf, intermediates, trust, purposes: ['server'], nowMs })
  if (reason !== undefined) return reason.message
  return leaf.checkHost(server.name) === undefined ? 'it is for another name' : undefined
}

// What influxd has loaded, by the fingerprint of what it serves.
function chainServed(memory: MemoryNode): readonly X509Certificate[] | undefined {
  const word = memory.served('influxdb')
  if (word === 'plaintext' || word === 'dead') return undefined
  for (const path of memory.tree.keys()) {
    const isChain = /^\/etc\/influxdb\/tls\/releases\/[^/]+\/chain\.pem$/.test(path)
    const text = isChain ? memory.files.text(path) : undefined
    const chain =
      text === undefined ? [] : splitPemCertificates(text).map(one => new X509Certificate(one))
    if (chain[0]?.fingerprint256.replaceAll(':', '').toLowerCase() === word) return chain
  }
  return []
}

const parsed = new Map<string, readonly X509Certificate[]>()

function certificatesIn(text: string): readonly X509Certificate[] {
  const found = parsed.get(text) ?? splitPemCertificates(text).map(pem => new X509Certificate(pem))
  parsed.set(text, found)
  return found
}
