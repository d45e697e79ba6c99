// Who becomes master: a node votes once a term at most, and for nobody who knows less than itself; whoever has
// more than half of the voters is elected.

import { randomInt } from 'node:crypto'
import { hasQuorum, isMasterEligible } from './allocation.ts'
import { type ClusterState, execute, NO_CLUSTER, type NodeInfo } from './cluster-state.ts'
import { type Stored, Vote } from './coordination-messages.ts'
import type { Log } from './log.ts'
import type { Peers } from './peers.ts'

type Votes = ReadonlyMap<string, NodeInfo>

export interface Elections {
  /** Whether these nodes are enough to decide for all. */
  isQuorum(votes: Votes): boolean
  /** Chance keeps two candidates from spoiling each other's election for ever. */
  delay(): void
  isDue(nowMs: number): boolean
  run(): Promise<void>
  /** Another node asks for a vote. */
  onVote(body: unknown): boolean
}

export interface ElectionsOptions {
  readonly self: NodeInfo
  readonly peers: Peers
  readonly log: Log
  readonly initialMasters: readonly string[]
  /** What this node has agreed to, as it stands now; `save` writes it down. */
  readonly kept: Stored
  readonly save: () => void
  readonly foreign: (clusterUuid: string) => boolean
  readonly isCandidate: () => boolean
  readonly becomeCandidate: (why: string) => void
  readonly becomeLeader: () => void
  readonly update: (what: string, change: (state: ClusterState) => ClusterState) => Promise<void>
}

const VOTE_TIMEOUT_MS = 3_000

export function createElections(options: ElectionsOptions): Elections {
  const { self, peers, log, initialMasters, kept, save, isCandidate, becomeCandidate } = options
  const eligible = isMasterEligible(self)
  let electionAtMs = 0

  function delay(): void {
    electionAtMs = Date.now() + randomInt(100, 700)
  }

  /** Of the agreed voters and of those who were to follow them; at first, of the configured names. */
  function isQuorum(votes: Votes): boolean {
    const { accepted, committed } = kept
    const ids = new Set(votes.keys())
    if (accepted.clusterUuid !== NO_CLUSTER && !hasQuorum(accepted.voting, ids)) return false
    if (committed.clusterUuid !== NO_CLUSTER) return hasQuorum(committed.voting, ids)
    if (!initialMasters.includes(self.name)) return false
    return hasQuorum(initialMasters, new Set([...votes.values()].map(({ name }) => name)))
  }

  async function askVotes(inTerm: number, really: boolean): Promise<Votes> {
    const votes = new Map([[self.id, self]])
    const body = {
      clusterUuid: kept.committed.clusterUuid,
      term: inTerm,
      acceptedTerm: kept.accepted.term,
      acceptedVersion: kept.accepted.version,
      really,
    }
    await Promise.all(
      peers.all().map(async ({ node, connection }) => {
        if (!isMasterEligible(node)) return
        try {
          const granted = await connection.request('vote', body, VOTE_TIMEOUT_MS)
          if (granted === true) votes.set(node.id, node)
        } catch {
          // No vote.
        }
      }),
    )
    return votes
  }

  async function run(): Promise<void> {
    delay()
    const next = kept.term + 1
    if (!isQuorum(await askVotes(next, false)) || !isCandidate() || kept.term >= next) return
    kept.term = next
    save()
    const votes = await askVotes(next, true)
    if (kept.term !== next || !isCandidate() || !isQuorum(votes)) return
    options.becomeLeader()
    log(
      'INFO',
      'o.e.c.s.MasterService',
      `elected-as-master ([${votes.size}] nodes joined), term: ${kept.term}`,
    )
    void options
      .update('elected-as-master', state => takeOver(state, votes))
      .catch(() => becomeCandidate('first publication failed'))
  }

  /** Who is not here now is gone for the new master; who comes later joins. */
  function takeOver(state: ClusterState, votes: Votes): ClusterState {
    const here = new Map([self, ...votes.values()].map(node => [node.id, node.ephemeralId]))
    for (const { node } of peers.all()) here.set(node.id, node.ephemeralId)
    let next = state
    for (const { id, ephemeralId } of state.nodes) {
      if (here.get(id) !== ephemeralId) {
        next = execute(next, { kind: 'leave', node: id }, Date.now())
      }
    }
    for (const node of votes.values()) next = execute(next, { kind: 'join', node }, Date.now())
    return next
  }

  function onVote(body: unknown): boolean {
    const asked = Vote.parse(body)
    // A candidate of another cluster must not unseat the master of this one.
    if (asked.clusterUuid !== NO_CLUSTER && options.foreign(asked.clusterUuid)) return false
    const { accepted } = kept
    const fresh =
      asked.acceptedTerm > accepted.term ||
      (asked.acceptedTerm === accepted.term && asked.acceptedVersion >= accepted.version)
    if (asked.term <= kept.term || !fresh) return false
    if (!asked.really) return isCandidate()
    kept.term = asked.term
    save()
    becomeCandidate(`voted in term ${kept.term}`)
    delay()
    return true
  }

  return { isQuorum, delay, isDue: nowMs => eligible && nowMs >= electionAtMs, run, onVote }
}
