// Who is master, and what state all nodes have: terms, votes and two-phase publication, so that there is
// never more than one master that can change anything, and none without more than half of the voters.

import { reroute, votingFor } from './allocation.ts'
import {
  ClusterError,
  type ClusterState,
  Command,
  emptyState,
  execute,
  NO_CLUSTER,
  type NodeInfo,
} from './cluster-state.ts'
import { Check, Committed, Join, Publication, type Stored } from './coordination-messages.ts'
import { createElections } from './elections.ts'
import { createFollowerChecks, type FollowerChecks } from './follower-checks.ts'
import type { Log } from './log.ts'
import type { Peers } from './peers.ts'

export interface CoordinatorOptions {
  readonly self: NodeInfo
  readonly peers: Peers
  readonly log: Log
  /** Written before any answer: a node that forgot its vote could give it twice. */
  readonly persist: (stored: Stored) => void
  readonly stored: Stored | undefined
  readonly seeds: readonly string[]
  /** Names of the nodes that make a new cluster; empty: this one joins another. */
  readonly initialMasters: readonly string[]
  readonly enableByDefault: string | undefined
  readonly newClusterUuid: () => string
  readonly onApplied: (state: ClusterState) => void
}

export interface Coordinator {
  /** What is committed, as far as this node knows; without a master the last one. */
  state(): ClusterState
  master(): NodeInfo | undefined
  /** Resolves when the state with it is committed; rejects after the time with `master_not_discovered`. */
  command(command: Command, timeoutMs?: number): Promise<void>
  handle(action: string, body: unknown): Promise<unknown>
  start(): void
  /** Look now who is there. */
  wake(): void
  stop(): void
}

const TICK_MS = 250
const LEADER_SILENCE_MS = 30_000
const PUBLISH_TIMEOUT_MS = 20_000
const COMMAND_TIMEOUT_MS = 30_000

type Mode =
  | { readonly kind: 'candidate' }
  | { readonly kind: 'follower'; readonly master: NodeInfo; heardMs: number }
  | { readonly kind: 'leader'; readonly followers: FollowerChecks }

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { self, peers, log, persist, onApplied } = options
  const kept: Stored = {
    term: options.stored?.term ?? 0,
    accepted: options.stored?.accepted ?? emptyState(),
    committed: options.stored?.committed ?? { clusterUuid: NO_CLUSTER, voting: [] },
  }
  let applied = emptyState()
  let mode: Mode = { kind: 'candidate' }
  let queue: Promise<unknown> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let running = false

  const save = () => persist({ ...kept })
  const elections = createElections({
    ...options,
    kept,
    save,
    foreign,
    becomeCandidate,
    update,
    isCandidate: () => mode.kind === 'candidate',
    becomeLeader: () => {
      mode = { kind: 'leader', followers: createFollowerChecks({ peers, onFailure: dropNode }) }
    },
  })

  function becomeCandidate(why: string): void {
    if (mode.kind === 'candidate') return
    log('INFO', 'o.e.c.c.Coordinator', `master node changed: becoming candidate: ${why}`)
    mode = { kind: 'candidate' }
    elections.delay()
  }

  function apply(state: ClusterState): void {
    if (state.term < applied.term) return
    if (state.term === applied.term && state.version <= applied.version) return
    applied = state
    kept.committed = { clusterUuid: state.clusterUuid, voting: state.voting }
    save()
    onApplied(state)
  }

  function masterNow(): NodeInfo | undefined {
    switch (mode.kind) {
      case 'leader':
        return self
      case 'follower':
        return mode.master
      case 'candidate':
        return undefined
    }
  }

  // Publication

  /** One change after another; every state is committed before the next one is made. */
  function update(what: string, change: (state: ClusterState) => ClusterState): Promise<void> {
    const run = async () => {
      if (mode.kind !== 'leader') throw notMaster()
      const base = kept.accepted
      const changed = reroute(change(base), Date.now(), options.enableByDefault)
      if (changed === base && base.master === self.id && base.term === kept.term) return
      const withMaster = { ...changed, master: self.id }
      await publish({
        ...withMaster,
        clusterUuid: base.clusterUuid === NO_CLUSTER ? options.newClusterUuid() : base.clusterUuid,
        voting: votingFor(withMaster),
        term: kept.term,
        version: base.version + 1,
      })
    }
    const done = queue.then(run)
    queue = done.catch(error => {
      if (!(error instanceof ClusterError))
        log('WARN', 'o.e.c.s.MasterService', `failed: ${what}: ${String(error)}`)
    })
    return done
  }

  async function publish(state: ClusterState): Promise<void> {
    kept.accepted = state
    save()
    const acks = new Map([[self.id, self]])
    const enough = () => elections.isQuorum(acks)
    const body = { term: state.term, master: self, state }
    const quorum = Promise.withResolvers<void>()
    const members = peers.all().filter(({ node }) => state.nodes.some(({ id }) => id === node.id))
    const all = Promise.all(
      members.map(async ({ node, connection }) => {
        try {
          await connection.request('publish', body, PUBLISH_TIMEOUT_MS)
          acks.set(node.id, node)
          if (enough()) quorum.resolve()
        } catch {
          // Found out by the checks.
        }
      }),
    ).then(() => quorum.resolve())
    if (enough()) quorum.resolve()
    await quorum.promise
    if (!enough() || mode.kind !== 'leader' || kept.term !== state.term) {
      becomeCandidate('publication failed: not enough nodes acknowledged')
      throw new ClusterError('failed_to_commit_cluster_state_exception', 503, 'publication failed')
    }
    apply(state)
    // Whoever asked the master can see the change everywhere, as far as the others answer.
    const commit = { term: state.term, version: state.version }
    await all
    await Promise.all(
      members.map(({ connection }) =>
        connection.request('commit', commit, PUBLISH_TIMEOUT_MS).catch(() => undefined),
      ),
    )
  }

  function onPublish(body: unknown): void {
    const { term: published, master, state } = Publication.parse(body)
    if (published < kept.term)
      throw new ClusterError('coordination_state_rejected', 500, 'old term')
    if (foreign(state.clusterUuid)) throw foreignCluster(state.clusterUuid)
    kept.term = published
    kept.accepted = state
    save()
    follow(master)
  }

  function onCommit(body: unknown): void {
    const { term: of, version } = Committed.parse(body)
    if (kept.accepted.term === of && kept.accepted.version === version) apply(kept.accepted)
  }

  function follow(master: NodeInfo): void {
    if (mode.kind !== 'follower' || mode.master.id !== master.id) {
      log(
        'INFO',
        'o.e.c.s.ClusterApplierService',
        `master node changed {current [{${master.name}}]}, term: ${kept.term}`,
      )
    }
    mode = { kind: 'follower', master, heardMs: Date.now() }
  }

  // Joining and leaving

  function foreign(clusterUuid: string): boolean {
    return kept.committed.clusterUuid !== NO_CLUSTER && kept.committed.clusterUuid !== clusterUuid
  }

  function foreignCluster(clusterUuid: string): ClusterError {
    return new ClusterError(
      'coordination_state_rejected',
      500,
      `This node previously joined a cluster with UUID [${kept.committed.clusterUuid}] and is now trying to join a different cluster with UUID [${clusterUuid}]. This is forbidden and usually indicates an incorrect discovery or cluster bootstrapping configuration.`,
    )
  }

  let refusal = ''
  const foreignMasters = new Set<string>()
  async function joinMaster(master: NodeInfo): Promise<void> {
    const peer = peers.get(master.id)
    if (peer === undefined) return
    try {
      const body = { node: self, clusterUuid: kept.committed.clusterUuid }
      await peer.connection.request('join', body, PUBLISH_TIMEOUT_MS)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (why.includes('different cluster')) foreignMasters.add(master.id)
      if (refusal === why) return
      refusal = why
      log('WARN', 'o.e.c.c.JoinHelper', `failed to join {${master.name}}: ${why}`)
    }
  }

  async function onJoin(body: unknown): Promise<void> {
    const { node, clusterUuid } = Join.parse(body)
    if (mode.kind !== 'leader') throw notMaster()
    if (clusterUuid !== NO_CLUSTER && foreign(clusterUuid)) throw foreignCluster(clusterUuid)
    // The master must reach whoever it takes in.
    await peers.connect(node.transportAddress)
    if (peers.get(node.id)?.node.ephemeralId !== node.ephemeralId) {
      throw new ClusterError(
        'coordination_state_rejected',
        503,
        `cannot connect back to [${node.name}]`,
      )
    }
    log('INFO', 'o.e.c.s.MasterService', `node-join[{${node.name}}{${node.id}}]`)
    await update('node-join', state => execute(state, { kind: 'join', node }, Date.now()))
  }

  async function dropNode({ id, name }: NodeInfo, why: string): Promise<void> {
    log('INFO', 'o.e.c.s.MasterService', `node-left[{${name}}{${id}} reason: ${why}]`)
    try {
      await update('node-left', state =>
        state.nodes.some(node => node.id === id)
          ? execute(state, { kind: 'leave', node: id }, Date.now())
          : state,
      )
    } catch {
      // Without a quorum this is no master any more.
    }
  }

  function onCheck(body: unknown): void {
    const { term: of, master } = Check.parse(body)
    if (of < kept.term) throw new ClusterError('coordination_state_rejected', 500, 'old term')
    if (mode.kind === 'follower' && mode.master.id === master.id) mode.heardMs = Date.now()
    // A node that the master counts as its own but that does not follow it is taken in again.
    else throw new ClusterError('coordination_state_rejected', 500, 'not a follower')
  }

  async function tick(): Promise<void> {
    const now = Date.now()
    if (mode.kind === 'follower') {
      const { master, heardMs } = mode
      if (peers.get(master.id) === undefined) becomeCandidate('master disconnected')
      else if (now - heardMs > LEADER_SILENCE_MS) becomeCandidate('master is silent')
    } else if (mode.kind === 'leader') {
      const others = kept.accepted.nodes.filter(({ id }) => id !== self.id)
      mode.followers.run(others, { term: kept.term, master: self })
      if (reroute(kept.accepted, Date.now(), options.enableByDefault) !== kept.accepted) {
        await update('delayed-allocation', state => state)
      }
    }
    const known = kept.accepted.nodes.map(({ transportAddress }) => transportAddress)
    const masters = await peers.discover([...options.seeds, ...known])
    if (mode.kind === 'candidate') {
      const [master] = masters.filter(({ id }) => id !== self.id && !foreignMasters.has(id))
      if (master !== undefined) await joinMaster(master)
      else if (elections.isDue(now)) await elections.run()
    }
  }

  let ticking = false
  let again = false
  function loop(): void {
    if (!running) return
    ticking = true
    again = false
    tick()
      .catch(error => log('DEBUG', 'o.e.c.c.Coordinator', String(error)))
      .finally(() => {
        ticking = false
        if (running) timer = setTimeout(loop, again ? 0 : TICK_MS)
      })
  }

  function wake(): void {
    again = true
    if (ticking || !running) return
    clearTimeout(timer)
    loop()
  }

  async function command(wanted: Command, timeoutMs = COMMAND_TIMEOUT_MS): Promise<void> {
    const endMs = Date.now() + timeoutMs
    for (;;) {
      try {
        const master = masterNow()
        if (master?.id === self.id) {
          return await update(wanted.kind, state => execute(state, wanted, Date.now()))
        }
        const peer = master === undefined ? undefined : peers.get(master.id)
        if (peer !== undefined) {
          await peer.connection.request('command', wanted, Math.max(1, endMs - Date.now()))
          return
        }
      } catch (error) {
        // What the master refuses is refused; what never reached one is tried again.
        if (error instanceof ClusterError && error.status < 500) throw error
      }
      if (Date.now() >= endMs)
        throw new ClusterError('master_not_discovered_exception', 503, 'null')
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  return {
    state: () => applied,
    master: masterNow,
    command,
    handle: async (action, body) => {
      switch (action) {
        case 'hello':
          return peers.hello(body)
        case 'peers': {
          const addresses = peers.all().map(({ node }) => node.transportAddress)
          return { addresses, master: masterNow() ?? null }
        }
        case 'vote':
          return elections.onVote(body)
        case 'publish':
          return onPublish(body)
        case 'commit':
          return onCommit(body)
        case 'check':
          return onCheck(body)
        case 'join':
          return await onJoin(body)
        case 'command':
          if (masterNow()?.id !== self.id) throw notMaster()
          return await command(Command.parse(body))
        default:
          throw new ClusterError('action_not_found_transport_exception', 500, action)
      }
    },
    wake,
    start: () => {
      running = true
      loop()
    },
    stop: () => {
      running = false
      clearTimeout(timer)
    },
  }
}

function notMaster(): ClusterError {
  return new ClusterError('not_master_exception', 503, 'no longer master')
}
