// Raft among meta nodes, as far as it shows from outside: who leads, whether anybody does, and that a
// change needs a majority. The log is one entry long, the whole state, so that a message is a snapshot.
//
// A node counts as reached only where both can dial the other: what the votes and answers of a real
// one-way connection would do over hours is not of interest here.

import * as z from 'zod/mini'
import { ClusterData } from './wire.ts'

const Entry = z.object({ term: z.number(), index: z.number(), data: ClusterData })
type Entry = Readonly<z.infer<typeof Entry>>

/** What is on disk. */
export const RaftState = z.object({
  term: z.number(),
  votedFor: z.string(),
  entry: Entry,
  committed: ClusterData,
})
export type RaftState = Readonly<z.infer<typeof RaftState>>

export const RaftMessage = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('hello'), from: z.string() }),
  z.object({
    kind: z.literal('vote'),
    from: z.string(),
    term: z.number(),
    lastTerm: z.number(),
    lastIndex: z.number(),
  }),
  z.object({
    kind: z.literal('append'),
    from: z.string(),
    term: z.number(),
    entry: Entry,
    commitIndex: z.number(),
  }),
])
export type RaftMessage = Readonly<z.infer<typeof RaftMessage>>

export const RaftReply = z.object({ term: z.number(), ok: z.boolean() })
export type RaftReply = Readonly<z.infer<typeof RaftReply>>

export interface RaftOptions {
  readonly self: string
  readonly heartbeatTimeoutMs: number
  readonly electionTimeoutMs: number
  readonly leaderLeaseTimeoutMs: number
  readonly initial: RaftState
  readonly save: (state: RaftState) => void
  /** Rejects where the peer cannot be reached. */
  readonly call: (peer: string, message: RaftMessage) => Promise<RaftReply>
  readonly nowMs: () => number
  readonly random: () => number
  readonly log: (message: string) => void
}

export interface Raft {
  /** Its address; empty where there is none, as far as this node knows. */
  leader(): string
  data(): ClusterData
  /** Of a leader: resolves when a majority has it. */
  propose(change: (data: ClusterData) => ClusterData): Promise<void>
  /** Makes the first member of a new cluster. */
  bootstrap(data: ClusterData): void
  receive(message: RaftMessage): Promise<RaftReply>
  /** To be called every few ten milliseconds. */
  tick(): void
}

/** At random between one and two of these parts, as hashicorp/raft does it. */
const HEARTBEATS_PER_TIMEOUT = 10
const PROPOSAL_TIMEOUT_MS = 20_000
/** A node that was reached is not dialled again for this long. */
const REACHED_MS = 1_000

interface Proposal {
  readonly index: number
  readonly done: () => void
  readonly fail: (why: string) => void
}

type Role = 'follower' | 'candidate' | 'leader'

export function createRaft(options: RaftOptions): Raft {
  const { self, call, nowMs, random, log, save } = options
  let state = options.initial
  let role: Role = 'follower'
  let leader = ''
  let lastTickMs = nowMs()
  let deadlineMs = nowMs() + electionDelayMs()
  let nextBeatMs = 0
  let commitIndex = 0
  const answeredMs = new Map<string, number>()
  const matchIndex = new Map<string, number>()
  const reachedMs = new Map<string, number>()
  const pending = new Set<string>()
  const waiting: Proposal[] = []

  function electionDelayMs(): number {
    const ms = role === 'candidate' ? options.electionTimeoutMs : options.heartbeatTimeoutMs
    return ms * (1 + random())
  }

  const peers = () =>
    state.entry.data.metas.map(({ raftAddr }) => raftAddr).filter(peer => peer !== self)
  const majority = () => Math.floor(state.entry.data.metas.length / 2) + 1
  const isMember = () => state.entry.data.metas.some(({ raftAddr }) => raftAddr === self)

  function keep(change: Partial<RaftState>): void {
    state = { ...state, ...change }
    save(state)
  }

  function follow(term: number, by: string): void {
    if (role === 'leader') log(`entering follower state, leader: ${by}`)
    for (const proposal of waiting.splice(0)) proposal.fail('leadership lost')
    role = 'follower'
    leader = by
    deadlineMs = nowMs() + electionDelayMs()
    if (term > state.term) keep({ term, votedFor: '' })
  }

  async function reaches(peer: string): Promise<boolean> {
    if (nowMs() - (reachedMs.get(peer) ?? Number.NEGATIVE_INFINITY) < REACHED_MS) return true
    try {
      await call(peer, { kind: 'hello', from: self })
      reachedMs.set(peer, nowMs())
      return true
    } catch {
      return false
    }
  }

  function campaign(): void {
    role = 'candidate'
    leader = ''
    keep({ term: state.term + 1, votedFor: self })
    deadlineMs = nowMs() + electionDelayMs()
    const { term } = state
    let votes = 1
    const count = () => {
      if (role === 'candidate' && state.term === term && votes >= majority()) lead()
    }
    const last = { lastTerm: state.entry.term, lastIndex: state.entry.index }
    for (const peer of peers()) {
      call(peer, { kind: 'vote', from: self, term, ...last }).then(
        reply => {
          if (reply.term > state.term) follow(reply.term, '')
          if (reply.ok) votes++
          count()
        },
        () => {},
      )
    }
    count()
  }

  function lead(): void {
    role = 'leader'
    leader = self
    log(`election won, entering leader state, term ${state.term}`)
    matchIndex.clear()
    for (const peer of peers()) answeredMs.set(peer, nowMs())
    // An entry of its own term, so that what it leads with is newer than what any other has.
    const { index, data } = state.entry
    keep({ entry: { term: state.term, index: index + 1, data } })
    broadcast()
  }

  function broadcast(): void {
    const partMs = options.heartbeatTimeoutMs / HEARTBEATS_PER_TIMEOUT
    nextBeatMs = nowMs() + partMs * (1 + random())
    commit()
    for (const peer of peers()) {
      if (pending.has(peer)) continue
      pending.add(peer)
      const { term, entry } = state
      call(peer, { kind: 'append', from: self, term, entry, commitIndex })
        .then(
          reply => {
            if (reply.term > state.term) follow(reply.term, '')
            if (!reply.ok || role !== 'leader') return
            answeredMs.set(peer, nowMs())
            matchIndex.set(peer, entry.index)
            commit()
          },
          () => {},
        )
        .finally(() => pending.delete(peer))
    }
  }

  function commit(): void {
    const { index, data } = state.entry
    const have = peers().filter(peer => (matchIndex.get(peer) ?? 0) >= index).length
    if (role !== 'leader' || have + 1 < majority() || commitIndex >= index) return
    commitIndex = index
    keep({ committed: data })
    for (const proposal of waiting.splice(0)) {
      if (proposal.index <= index) proposal.done()
      else waiting.push(proposal)
    }
    // Followers learn with the next message that it counts.
    nextBeatMs = 0
  }

  async function receive(message: RaftMessage): Promise<RaftReply> {
    if (message.kind === 'hello') return { term: state.term, ok: true }
    if (!(await reaches(message.from))) return { term: state.term, ok: false }
    if (message.kind === 'vote') {
      // Who hears a leader does not help to depose it.
      const content = leader !== '' && leader !== message.from
      if (content || message.term < state.term) return { term: state.term, ok: false }
      if (message.term > state.term) {
        // Who asks for votes that it does not get must not keep a follower from asking itself.
        const ownMs = role === 'follower' ? deadlineMs : Infinity
        follow(message.term, '')
        deadlineMs = Math.min(deadlineMs, ownMs)
      }
      const { entry, votedFor } = state
      const upToDate =
        message.lastTerm > entry.term ||
        (message.lastTerm === entry.term && message.lastIndex >= entry.index)
      const ok = upToDate && (votedFor === '' || votedFor === message.from)
      if (ok) {
        keep({ votedFor: message.from })
        deadlineMs = nowMs() + electionDelayMs()
      }
      return { term: state.term, ok }
    }
    if (message.term < state.term) return { term: state.term, ok: false }
    follow(message.term, message.from)
    const isNew =
      message.entry.index !== state.entry.index || message.entry.term !== state.entry.term
    const counts = message.commitIndex >= message.entry.index && message.commitIndex > commitIndex
    if (counts) commitIndex = message.commitIndex
    if (isNew || counts) {
      keep({ entry: message.entry, ...(counts ? { committed: message.entry.data } : {}) })
    }
    return { term: state.term, ok: true }
  }

  return {
    leader: () => leader,
    data: () => state.committed,
    bootstrap: data => {
      keep({ entry: { term: state.term, index: state.entry.index + 1, data } })
      deadlineMs = nowMs()
    },
    propose: change => {
      if (role !== 'leader') return Promise.reject(new Error('no leader'))
      const { index, data } = state.entry
      const entry = { term: state.term, index: index + 1, data: change(data) }
      keep({ entry })
      // A new member has time to answer, like a new leader's followers.
      for (const peer of peers()) if (!answeredMs.has(peer)) answeredMs.set(peer, nowMs())
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('timeout')), PROPOSAL_TIMEOUT_MS)
        const end = (settle: () => void) => () => {
          clearTimeout(timer)
          settle()
        }
        waiting.push({
          index: entry.index,
          done: end(resolve),
          fail: why => end(() => reject(new Error(why)))(),
        })
        broadcast()
      })
    },
    receive,
    tick: () => {
      const now = nowMs()
      // A machine that slept, or was busy, is no reason to doubt a leader.
      const stallMs = now - lastTickMs
      lastTickMs = now
      const lostMs = Math.max(0, stallMs - STALL_MS)
      deadlineMs += lostMs
      if (!isMember()) return
      if (role !== 'leader') {
        if (now >= deadlineMs) campaign()
        return
      }
      // By as much only: a machine that is always busy finds out too that nobody answers.
      for (const [peer, atMs] of answeredMs) answeredMs.set(peer, Math.min(now, atMs + lostMs))
      const heard = peers().filter(
        peer => now - (answeredMs.get(peer) ?? 0) < options.leaderLeaseTimeoutMs,
      )
      if (heard.length + 1 < majority()) {
        log('failed to contact quorum of nodes, stepping down')
        follow(state.term, '')
        return
      }
      if (now >= nextBeatMs) broadcast()
    },
  }
}

/** Later than this the clock was not looked at in time. */
const STALL_MS = 200
