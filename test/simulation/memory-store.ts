// The store of a simulation: transactions that are done wholly or not at all, in memory. What was not
// committed when a controller died is gone. It holds what the production code puts into it.

import type { LeaseRecord, NodeRecord, ReportExcerpt } from '../../controller/store/store.ts'
import type {
  DesiredRecord,
  PublishedContent,
  RolloutMember,
} from '../../controller/store/store.ts'
import type { FreezeRecord } from '../../controller/store/groups-store.ts'
import type { NodePreview } from '../../shared/contract/rollout-plan.ts'
import type { RolloutStore, RolloutTransaction } from '../../controller/rollout/rollout-store.ts'
import type { Rollout, RolloutEvent } from '../../controller/rollout/rollout.ts'
import { type ChangeLog, createChangeLog } from '../../controller/rollout/change-log.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Engine } from './engine.ts'
import { Violation } from './violation.ts'

interface Stored {
  rollout: Rollout
  readonly nodes: readonly string[]
  readonly events: {
    readonly version: number
    readonly atMs: number
    readonly event: RolloutEvent
  }[]
}

/** What is in the store; the world looks, transactions change it. */
export interface Contents {
  readonly nodes: Map<string, NodeRecord>
  readonly desired: Map<string, DesiredRecord>
  readonly highest: Map<string, number>
  readonly published: Map<string, PublishedContent>
  readonly reports: Map<string, ReportExcerpt>
  readonly seen: Map<string, number>
  readonly rollouts: Map<string, Stored>
  readonly leases: Map<string, LeaseRecord>
  readonly freezes: Map<string, FreezeRecord>
  readonly previews: Map<string, NodePreview>
  /** Nodes of which something has changed; who writes reports notes them here. */
  readonly changes: ChangeLog
  /** Nodes that came, went or run something else; who writes nodes notes them here. */
  readonly placed: ChangeLog
  /** Raised by a restore from a backup. */
  epoch: number
  /** What transactions have changed so far, also those that came to nothing. */
  writes: number
  time: { timeMs: number; version: number }
  readonly spec: string
}

/** Thrown to whoever runs a transaction when the process dies at its commit. */
export class Killed extends Error {
  override readonly name = 'Killed'
}

export interface MemoryStore {
  readonly contents: Contents
  /** For one controller, or for the world: `dies` says before each commit whether the process ends, before or after it. */
  open(dies: () => 'before' | 'after' | undefined): RolloutStore
}

export function createMemoryStore(
  engine: Engine,
  spec: string,
  onEvents: (before: Rollout, events: readonly RolloutEvent[]) => void,
  beforeAppend: () => Promise<void>,
  onTime: (passedMs: number) => void,
): MemoryStore {
  const contents: Contents = {
    nodes: new Map(),
    desired: new Map(),
    highest: new Map(),
    published: new Map(),
    reports: new Map(),
    seen: new Map(),
    rollouts: new Map(),
    leases: new Map(),
    freezes: new Map(),
    changes: createChangeLog(),
    placed: createChangeLog(),
    epoch: 0,
    writes: 0,
    previews: new Map(),
    time: { timeMs: 0, version: 0 },
    spec,
  }

  return {
    contents,
    open: dies => ({
      async transaction<T>(work: (tx: RolloutTransaction) => Promise<T>): Promise<T> {
        const undo: (() => void)[] = []
        const begun = contents.changes.since(undefined).cursor
        const placed = contents.placed.since(undefined).cursor
        const committed: (() => void)[] = []
        try {
          const result = await work(
            transactionOn(contents, { engine, undo, committed, onEvents, beforeAppend, onTime }),
          )
          contents.writes += undo.length
          const death = undo.length === 0 ? undefined : dies()
          if (death === 'before') throw new Killed('before the commit')
          for (const tell of committed) tell()
          undo.length = 0
          if (death === 'after') throw new Killed('after the commit')
          return result
        } catch (error) {
          for (const back of undo.toReversed()) back()
          contents.changes.repeat(begun)
          contents.placed.repeat(placed)
          throw error
        }
      },
    }),
  }
}

interface Scope {
  readonly engine: Engine
  readonly undo: (() => void)[]
  readonly committed: (() => void)[]
  readonly onEvents: (before: Rollout, events: readonly RolloutEvent[]) => void
  readonly beforeAppend: () => Promise<void>
  readonly onTime: (passedMs: number) => void
}

function transactionOn(contents: Contents, scope: Scope): RolloutTransaction {
  const { undo } = scope
  const put = <K, V>(map: Map<K, V>, key: K, value: V | undefined) => {
    const before = map.get(key)
    undo.push(() => (before === undefined ? map.delete(key) : map.set(key, before)))
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
  const revision = {
    number: 1,
    digest: 'spec',
    text: contents.spec,
    author: 'ada',
    createdAtMs: 0,
  }
  const leaseKey = ({ group, node }: Pick<LeaseRecord, 'group' | 'node'>) => `${group}/${node}`

  return {
    rollouts: rolloutsOn(contents, scope, put),
    desired: {
      get: async node => contents.desired.get(node),
      async put(record) {
        const { node, epoch = 0, generation, contentDigest, content } = record.state
        if (epoch !== contents.epoch)
          throw new Violation(`R7: ${node} got a document of epoch ${epoch} in ${contents.epoch}`)
        const highest = contents.highest.get(node) ?? 0
        if (generation <= highest)
          throw new Violation(`R4: ${node} got ${generation} after ${highest}`)
        contents.changes.note(node)
        if (!contents.desired.has(node)) contents.placed.note(node)
        put(contents.highest, node, generation)
        put(contents.desired, node, record)
        const published = { content, revision: record.revision }
        put(contents.published, `${node} ${contentDigest}`, published)
      },
      published: async (node, digest) => contents.published.get(`${node} ${digest}`),
      epoch: async () => contents.epoch,
      revisions: async (nodes = [...contents.desired.keys()]) =>
        new Map(nodes.filter(node => contents.desired.has(node)).map(node => [node, 1])),
    },
    nodes: {
      get: async name => contents.nodes.get(name),
      list: async ({ after = '', limit, names }) =>
        [...contents.nodes.values()]
          .filter(({ name }) => name > after && names?.includes(name) !== false)
          .toSorted((a, b) => (a.name < b.name ? -1 : 1))
          .slice(0, limit),
      changedSince: async cursor => contents.placed.since(cursor),
    },
    reports: {
      // Of whole reports only the certificates that a node serves are read: here none ends.
      get: async () => undefined,
    },
    revisions: {
      latest: async () => revision,
      get: async number => (number === 1 ? revision : undefined),
    },
    leases: {
      async take(lease) {
        const known = contents.leases.get(leaseKey(lease))
        const isSame = known?.generation === lease.generation
        const takenSequence = Math.max(lease.takenSequence, isSame ? known.takenSequence : 0)
        put(contents.leases, leaseKey(lease), { ...(isSame ? known : lease), takenSequence })
      },
      release: async (group, node) => put(contents.leases, leaseKey({ group, node }), undefined),
      async releaseNode(node) {
        for (const [key, lease] of contents.leases)
          if (lease.node === node) put(contents.leases, key, undefined)
      },
      list: async group => [...contents.leases.values()].filter(one => one.group === group),
      ofNode: async node => [...contents.leases.values()].filter(one => one.node === node),
      all: async () => [...contents.leases.values()],
    },
    controllerTime: {
      get: async () => contents.time,
      async advance(expectedVersion, timeMs) {
        const before = contents.time
        if (before.version !== expectedVersion) return false
        undo.push(() => (contents.time = before))
        scope.committed.push(() => scope.onTime(contents.time.timeMs - before.timeMs))
        contents.time = { timeMs: Math.max(before.timeMs, timeMs), version: expectedVersion + 1 }
        return true
      },
    },
    freezes: {
      put: async freeze => put(contents.freezes, freeze.name, freeze),
      async remove(name) {
        const isThere = contents.freezes.has(name)
        put(contents.freezes, name, undefined)
        return isThere
      },
      list: async () => [...contents.freezes.values()],
    },
    previews: {
      put: async (digest, preview) => put(contents.previews, digest, preview),
      get: async digest => contents.previews.get(digest),
    },
    audit: { append: async () => {} },
  }
}

function rolloutsOn(
  contents: Contents,
  { engine, undo, committed, onEvents, beforeAppend }: Scope,
  put: <K, V>(map: Map<K, V>, key: K, value: V | undefined) => void,
): RolloutTransaction['rollouts'] {
  const isActive = ({ rollout }: Stored) => rollout.endedAtMs === undefined
  const memberOf = (node: string): readonly RolloutMember[] => {
    if (!contents.nodes.has(node)) return []
    const state = contents.desired.get(node)?.state
    return [
      {
        node,
        enrolledAtMs: 1,
        seenAtMs: contents.seen.get(node),
        desired: state,
        highestGeneration: Math.max(contents.highest.get(node) ?? 0, contents.epoch),
        report: contents.reports.get(node),
      },
    ]
  }
  /** The version that this transaction has seen first, and so has decided on. */
  const seen = new Map<string, number>()
  const see = (rollout: Rollout | undefined) => {
    if (rollout !== undefined && !seen.has(rollout.id)) seen.set(rollout.id, rollout.version)
    return rollout
  }
  return {
    get: async id => see(contents.rollouts.get(id)?.rollout),
    async insert({ id, plan, events, atMs }) {
      const [first, ...rest] = events
      if (first === undefined) throw new Error('no first event')
      const rollout = engine.evolveAll(engine.startRollout(id, plan, first), rest)
      const nodes = [...new Set(engine.plannedNodes(plan).map(({ node }) => node))]
      const busy = [...contents.rollouts.values()].filter(isActive).flatMap(one => one.nodes)
      if (nodes.some(node => busy.includes(node)))
        throw new OperationalError('overlapping-rollout', 'a node is in another rollout')
      const stored = events.map((event, index) => ({ version: index + 1, atMs, event }))
      put(contents.rollouts, id, { rollout, nodes, events: stored })
      return rollout
    },
    active: async () =>
      [...contents.rollouts.values()].filter(isActive).flatMap(one => see(one.rollout) ?? []),
    events: async (id, { after, limit }) =>
      (contents.rollouts.get(id)?.events ?? []).filter(one => one.version > after).slice(0, limit),
    members: async id => (contents.rollouts.get(id)?.nodes ?? []).flatMap(memberOf),
    membersNamed: async names => names.flatMap(memberOf),
    changedSince: async cursor => contents.changes.since(cursor),
    async append(id, expectedVersion, events, atMs) {
      // Another controller may have come first, since this one looked.
      await beforeAppend()
      const stored = contents.rollouts.get(id)
      if (stored === undefined) throw new OperationalError('not-found', id)
      const before = stored.rollout
      if (before.version !== expectedVersion)
        throw new OperationalError('version-conflict', id, { retryable: true })
      const decidedOn = seen.get(id)
      if (decidedOn !== expectedVersion)
        throw new Violation(
          `R7: ${id} was decided on at ${decidedOn}, and is at ${expectedVersion}`,
        )
      seen.set(id, expectedVersion + events.length)
      const rollout = engine.evolveAll(before, events)
      const length = stored.events.length
      stored.rollout = rollout
      for (const [index, event] of events.entries())
        stored.events.push({ version: expectedVersion + index + 1, atMs, event })
      undo.push(() => {
        stored.rollout = before
        stored.events.length = length
      })
      committed.push(() => onEvents(before, events))
      return rollout
    },
  }
}
