// The copies of shards on this node: recovered, written to, replicated, read. A write is acknowledged
// when every copy that the cluster counts on has it; a copy that fails is first taken off by the master.

import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  ClusterError,
  type ClusterState,
  type Copy,
  type Index,
  type NodeInfo,
} from './cluster-state.ts'
import type { Coordinator } from './coordinator.ts'
import { deleteDocuments, type Documents, openDocuments, Operation } from './documents.ts'
import type { Log } from './log.ts'
import type { Peers } from './peers.ts'

export const Write = z.object({
  id: z.string(),
  op: z.enum(['index', 'create', 'delete']),
  source: z.record(z.string(), z.unknown()).optional(),
})
export type Write = z.infer<typeof Write>

const Written = z.object({
  id: z.string(),
  result: z.enum(['created', 'updated', 'deleted', 'not_found', 'conflict']),
  seq: z.number(),
})
export type Written = z.infer<typeof Written>

export interface Shards {
  /** One answer for each write, in order. */
  write(index: string, writes: readonly Write[], timeoutMs: number): Promise<readonly Written[]>
  /** All live documents. */
  read(index: string): Promise<readonly Operation[]>
  handle(action: string, body: unknown): Promise<unknown>
  onState(state: ClusterState): void
}

export interface ShardsOptions {
  readonly self: NodeInfo
  readonly data: string
  readonly peers: Peers
  readonly coordinator: () => Coordinator
  readonly log: Log
  /** A copy is recovered after that. */
  readonly beforeRecovery: () => Promise<void>
}

const WriteRequest = z.object({ index: z.string(), writes: z.array(Write) })
const Replicate = z.object({
  index: z.string(),
  allocation: z.string(),
  /** Of the state that the primary goes by. */
  term: z.number(),
  version: z.number(),
  primaryTerm: z.number(),
  operations: z.array(Operation),
})
const Recover = z.object({ index: z.string(), term: z.number(), version: z.number() })
const ReadRequest = z.object({ index: z.string() })
const RETRY_MS = 100
const LOOK_MS = 20
const WAIT_MS = 10_000

export function createShards(options: ShardsOptions): Shards {
  const { self, data, peers, log, beforeRecovery } = options
  const open = new Map<string, Documents>()
  const recovering = new Set<string>()
  const state = () => options.coordinator().state()

  function documentsOf({ uuid }: Index): Documents {
    const known = open.get(uuid)
    if (known !== undefined) return known
    const opened = openDocuments(data, uuid)
    open.set(uuid, opened)
    return opened
  }

  function indexOf(name: string): Index {
    const found = state().indices[name]
    if (found === undefined) {
      throw new ClusterError('index_not_found_exception', 404, `no such index [${name}]`)
    }
    return found
  }

  const isHere = (copy: Copy) => copy.node === self.id
  const primaryOf = ({ copies }: Index) => copies.find(({ primary }) => primary)

  /** Whether this node has the state that another one goes by, after a while. */
  async function caughtUp({ term, version }: Pick<ClusterState, 'term' | 'version'>) {
    const behind = () => state().term < term || (state().term === term && state().version < version)
    for (let waited = 0; behind() && waited < WAIT_MS; waited += LOOK_MS) await sleep(LOOK_MS)
    return !behind()
  }

  // As the primary

  async function writeHere(name: string, writes: readonly Write[]): Promise<readonly Written[]> {
    const index = indexOf(name)
    const primary = primaryOf(index)
    if (primary === undefined || !isHere(primary) || primary.state !== 'STARTED')
      throw unavailable(name)
    const documents = documentsOf(index)
    const operations: Operation[] = []
    const written: Written[] = []
    for (const { id, op, source } of writes) {
      const present = documents.get(id)
      if (op === 'create' && present !== undefined) {
        written.push({ id, result: 'conflict', seq: present.seq })
        continue
      }
      if (op === 'delete' && present === undefined) {
        written.push({ id, result: 'not_found', seq: 0 })
        continue
      }
      const seq = documents.nextSeq()
      const operation: Operation = op === 'delete' ? { id, seq } : { id, seq, source: source ?? {} }
      documents.apply([operation])
      operations.push(operation)
      const changed = present === undefined ? 'created' : 'updated'
      written.push({ id, result: op === 'delete' ? 'deleted' : changed, seq })
    }
    if (operations.length > 0) await replicate(name, index, operations)
    return written
  }

  async function replicate(
    name: string,
    { copies, primaryTerm }: Index,
    operations: readonly Operation[],
  ): Promise<void> {
    const { term, version } = state()
    await Promise.all(
      copies.map(async ({ node, primary, allocation }) => {
        if (primary || node === null) return
        try {
          const peer = peers.get(node)
          if (peer === undefined) throw unavailable(name)
          const body = { index: name, allocation, term, version, primaryTerm, operations }
          await peer.connection.request('replicate', body, WAIT_MS)
        } catch {
          // Where the master does not answer, or knows another primary, the write must not count.
          const failed = {
            kind: 'shard-failed',
            index: name,
            node,
            allocation,
            primaryTerm,
          } as const
          await options.coordinator().command(failed, WAIT_MS)
        }
      }),
    )
  }

  // As a replica

  async function onReplicate(body: unknown): Promise<void> {
    const request = Replicate.parse(body)
    const { index: name, allocation, primaryTerm, operations } = request
    await caughtUp(request)
    const index = indexOf(name)
    if (primaryTerm < index.primaryTerm) {
      throw new ClusterError('illegal_state_exception', 500, 'operation primary term is too old')
    }
    if (index.copies.find(isHere)?.allocation !== allocation) throw unavailable(name)
    documentsOf(index).apply(operations)
  }

  /** The primary gives all it has, once it knows that it has to send us what comes after. */
  async function onRecover(body: unknown): Promise<readonly Operation[]> {
    const request = Recover.parse(body)
    const { index: name } = request
    const isBehind = !(await caughtUp(request))
    const index = indexOf(name)
    const primary = primaryOf(index)
    if (isBehind || primary === undefined || !isHere(primary)) throw unavailable(name)
    return documentsOf(index).all()
  }

  async function recover(name: string, index: Index, copy: Copy): Promise<void> {
    await beforeRecovery()
    if (copy.primary) {
      documentsOf(index)
    } else {
      const source = primaryOf(index)?.node ?? undefined
      const peer = source === undefined ? undefined : peers.get(source)
      if (peer === undefined) throw unavailable(name)
      const { term, version } = state()
      const documents = documentsOf(index)
      // What only this copy has was never acknowledged. Before asking: writes come in from then on.
      documents.clear()
      const answer = await peer.connection.request('recover', { index: name, term, version })
      documents.apply(z.array(Operation).parse(answer))
    }
    const { allocation } = copy
    const started = { kind: 'shard-started', index: name, node: self.id, allocation } as const
    await options.coordinator().command(started)
  }

  function onState({ indices }: ClusterState): void {
    for (const [name, index] of Object.entries(indices)) {
      const copy = index.copies.find(isHere)
      if (copy?.state !== 'INITIALIZING' || recovering.has(index.uuid)) continue
      recovering.add(index.uuid)
      recover(name, index, copy)
        .catch(error =>
          log(
            'WARN',
            'o.e.i.c.IndicesClusterStateService',
            `[${name}][0] recovery failed: ${String(error)}`,
          ),
        )
        .finally(async () => {
          await sleep(RETRY_MS)
          recovering.delete(index.uuid)
          // Still not started: once more.
          onState(state())
        })
        .catch(() => undefined)
    }
    const uuids = new Set(Object.values(indices).map(({ uuid }) => uuid))
    for (const uuid of open.keys()) {
      if (uuids.has(uuid)) continue
      open.delete(uuid)
      deleteDocuments(data, uuid)
    }
  }

  return {
    onState,
    write: async (name, writes, timeoutMs) => {
      const endMs = Date.now() + timeoutMs
      for (;;) {
        // What this node does not know is not there; one that has just started knows nothing yet.
        const node = primaryOf(indexOf(name))?.node ?? ''
        try {
          if (node === self.id) return await writeHere(name, writes)
          const peer = peers.get(node)
          if (peer !== undefined) {
            const left = Math.max(1, endMs - Date.now())
            const answer = await peer.connection.request('write', { index: name, writes }, left)
            return z.array(Written).parse(answer)
          }
        } catch {
          // It has moved, or is about to.
        }
        // The next primary may be on its way.
        if (Date.now() >= endMs) throw unavailable(name)
        await sleep(RETRY_MS)
      }
    },
    read: async name => {
      const index = indexOf(name)
      const started = index.copies.filter(copy => copy.state === 'STARTED')
      if (started.some(isHere)) return documentsOf(index).live()
      for (const { node } of started) {
        const peer = node === null ? undefined : peers.get(node)
        try {
          const answer = await peer?.connection.request('read', { index: name })
          if (answer !== undefined) return z.array(Operation).parse(answer)
        } catch {
          // Another copy, then.
        }
      }
      throw new ClusterError('search_phase_execution_exception', 503, 'all shards failed')
    },
    handle: async (action, body) => {
      switch (action) {
        case 'write': {
          const { index, writes } = WriteRequest.parse(body)
          return await writeHere(index, writes)
        }
        case 'replicate':
          return await onReplicate(body)
        case 'recover':
          return await onRecover(body)
        case 'read':
          return documentsOf(indexOf(ReadRequest.parse(body).index)).live()
        default:
          throw new ClusterError('action_not_found_transport_exception', 500, action)
      }
    },
  }
}

function unavailable(index: string): ClusterError {
  return new ClusterError(
    'unavailable_shards_exception',
    503,
    `[${index}][0] primary shard is not active`,
  )
}
