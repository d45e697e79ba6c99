// What all nodes of a cluster agree on, and how commands change it: pure, time is given.

import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { unreachable } from '../../../shared/assert.ts'
import { durationMs } from './yaml-settings.ts'

export const NodeInfo = z.object({
  id: z.string(),
  /** Of the process: a node that was started anew has another one. */
  ephemeralId: z.string(),
  name: z.string(),
  roles: z.array(z.string()),
  version: z.string(),
  transportAddress: z.string(),
  httpAddress: z.string(),
})
export type NodeInfo = z.infer<typeof NodeInfo>

const Copy = z.object({
  primary: z.boolean(),
  node: z.string().nullable(),
  state: z.enum(['UNASSIGNED', 'INITIALIZING', 'STARTED']),
  /** Anew each time it is put on a node: what is said of an earlier stay there is not said of this one. */
  allocation: z.string(),
  /** Where it was, or is. */
  previous: z.string().nullable(),
  /** Until then it waits for its node to come back. */
  delayedUntilMs: z.number(),
})
export type Copy = z.infer<typeof Copy>

const Index = z.object({
  uuid: z.string(),
  replicas: z.number(),
  delayMs: z.number(),
  /** Counts the primaries: an older one can no longer write. */
  primaryTerm: z.number(),
  copies: z.array(Copy),
  /** Nodes whose copy has all that was acknowledged; empty for an index that never had one. */
  inSync: z.array(z.string()),
})
export type Index = z.infer<typeof Index>

const Role = z.record(z.string(), z.unknown())
const User = z.object({
  hash: z.string(),
  roles: z.array(z.string()),
  enabled: z.boolean(),
  fullName: z.string().nullable(),
  email: z.string().nullable(),
})
export type User = z.infer<typeof User>
const Texts = z.record(z.string(), z.string())

export const ClusterState = z.object({
  clusterUuid: z.string(),
  term: z.number(),
  version: z.number(),
  master: z.string().nullable(),
  /** Ids of the nodes of which more than half must agree. */
  voting: z.array(z.string()),
  nodes: z.array(NodeInfo),
  indices: z.record(z.string(), Index),
  persistent: Texts,
  transient: Texts,
  roles: z.record(z.string(), Role),
  users: z.record(z.string(), User),
  /** Hashes of the passwords of users that are built in. */
  passwords: Texts,
  /** Templates, policies and pipelines: kept, not used. */
  stored: z.record(z.string(), z.unknown()),
})
export type ClusterState = z.infer<typeof ClusterState>

export const NO_CLUSTER = '_na_'

export function emptyState(): ClusterState {
  return {
    clusterUuid: NO_CLUSTER,
    term: 0,
    version: 0,
    master: null,
    voting: [],
    nodes: [],
    indices: {},
    persistent: {},
    transient: {},
    roles: {},
    users: {},
    passwords: {},
    stored: {},
  }
}

/** What only the master does, on behalf of any node. Null values remove. */
export const Command = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('reroute') }),
  z.object({ kind: z.literal('join'), node: NodeInfo }),
  z.object({ kind: z.literal('leave'), node: z.string() }),
  z.object({ kind: z.literal('create-index'), index: z.string(), settings: Texts }),
  z.object({ kind: z.literal('delete-index'), index: z.string() }),
  z.object({
    kind: z.literal('index-settings'),
    indices: z.array(z.string()),
    settings: z.record(z.string(), z.string().nullable()),
  }),
  z.object({
    kind: z.literal('shard-started'),
    index: z.string(),
    node: z.string(),
    allocation: z.string(),
  }),
  z.object({
    kind: z.literal('shard-failed'),
    index: z.string(),
    node: z.string(),
    allocation: z.string(),
    primaryTerm: z.number(),
  }),
  z.object({
    kind: z.literal('settings'),
    persistent: z.record(z.string(), z.string().nullable()),
    transient: z.record(z.string(), z.string().nullable()),
  }),
  z.object({ kind: z.literal('role'), name: z.string(), role: Role.nullable() }),
  z.object({ kind: z.literal('user'), name: z.string(), user: User.nullable() }),
  z.object({ kind: z.literal('password'), name: z.string(), hash: z.string() }),
  z.object({ kind: z.literal('store'), name: z.string(), value: z.json() }),
])
export type Command = z.infer<typeof Command>

/** Its type and status are those of the REST answer. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  readonly type: string
  readonly status: number

  constructor(type: string, status: number, reason: string) {
    super(reason)
    this.type = type
    this.status = status
  }
}

const DELAY = 'index.unassigned.node_left.delayed_timeout'
const DELAY_MS = 60_000

/** The same state where there is nothing to change. */
export function execute(state: ClusterState, command: Command, nowMs: number): ClusterState {
  switch (command.kind) {
    case 'reroute':
      return state
    case 'join':
      return join(state, command.node, nowMs)
    case 'leave':
      return leave(state, command.node, nowMs)
    case 'create-index':
      return createIndex(state, command.index, command.settings)
    case 'delete-index': {
      const { [command.index]: _gone, ...indices } = state.indices
      return { ...state, indices }
    }
    case 'index-settings':
      return command.indices.reduce(
        (changed, name) => withIndex(changed, name, index => withSettings(index, command.settings)),
        state,
      )
    case 'shard-started':
      return withIndex(state, command.index, index => shardStarted(index, command))
    case 'shard-failed':
      return withIndex(state, command.index, index => {
        if (command.primaryTerm !== index.primaryTerm) {
          throw new ClusterError('no_longer_primary_shard_exception', 409, 'primary term is stale')
        }
        const isThere = index.copies.some(copy => isCopy(copy, command))
        return isThere ? shardFailed(index, command.node, nowMs) : index
      })
    case 'settings':
      return {
        ...state,
        persistent: merge(state.persistent, command.persistent),
        transient: merge(state.transient, command.transient),
      }
    case 'role':
      return { ...state, roles: merge(state.roles, { [command.name]: command.role }) }
    case 'user':
      return { ...state, users: merge(state.users, { [command.name]: command.user }) }
    case 'password':
      return { ...state, passwords: { ...state.passwords, [command.name]: command.hash } }
    case 'store': {
      const { [command.name]: _old, ...stored } = state.stored
      const { name, value } = command
      return { ...state, stored: value === null ? stored : { ...stored, [name]: value } }
    }
    default:
      return unreachable(command)
  }
}

function merge<T>(
  into: Readonly<Record<string, T>>,
  changes: Readonly<Record<string, T | null>>,
): Record<string, T> {
  const merged: Record<string, T> = {}
  for (const [name, value] of Object.entries({ ...into, ...changes })) {
    if (value !== null) merged[name] = value
  }
  return merged
}

function join(state: ClusterState, node: NodeInfo, nowMs: number): ClusterState {
  const known = state.nodes.find(({ id }) => id === node.id)
  // Started anew before anybody saw it go: what it held is not loaded any more.
  const left =
    known !== undefined && known.ephemeralId !== node.ephemeralId
      ? leave(state, node.id, nowMs)
      : state
  return { ...left, nodes: [...left.nodes.filter(({ id }) => id !== node.id), node] }
}

function leave(state: ClusterState, node: string, nowMs: number): ClusterState {
  const indices = Object.fromEntries(
    Object.entries(state.indices).map(([name, index]) => [name, shardFailed(index, node, nowMs)]),
  )
  return { ...state, nodes: state.nodes.filter(({ id }) => id !== node), indices }
}

const NOWHERE = {
  node: null,
  state: 'UNASSIGNED',
  allocation: '',
  previous: null,
  delayedUntilMs: 0,
} as const

function createIndex(
  state: ClusterState,
  name: string,
  settings: Readonly<Record<string, string>>,
): ClusterState {
  if (state.indices[name] !== undefined) {
    throw new ClusterError(
      'resource_already_exists_exception',
      400,
      `index [${name}] already exists`,
    )
  }
  const plain: Index = {
    uuid: randomUUID(),
    replicas: 1,
    delayMs: DELAY_MS,
    primaryTerm: 1,
    copies: [
      { primary: true, ...NOWHERE },
      { primary: false, ...NOWHERE },
    ],
    inSync: [],
  }
  return { ...state, indices: { ...state.indices, [name]: withSettings(plain, settings) } }
}

function withSettings(index: Index, settings: Readonly<Record<string, string | null>>): Index {
  const given = (name: string) => {
    const value = settings[name] ?? settings[name.replace(/^index\./, '')]
    return value === undefined || value === null ? undefined : value
  }
  const replicas = Number(given('index.number_of_replicas') ?? index.replicas)
  const delayMs = durationMs(given(DELAY) ?? '') ?? index.delayMs
  const kept = [
    ...index.copies.filter(({ primary }) => primary),
    ...index.copies.filter(({ primary }) => !primary).slice(0, replicas),
  ]
  while (kept.length < replicas + 1) {
    kept.push({ primary: false, ...NOWHERE })
  }
  return { ...index, replicas, delayMs, copies: kept }
}

function withIndex(
  state: ClusterState,
  name: string,
  change: (index: Index) => Index,
): ClusterState {
  const index = state.indices[name]
  if (index === undefined) {
    throw new ClusterError('index_not_found_exception', 404, `no such index [${name}]`)
  }
  return { ...state, indices: { ...state.indices, [name]: change(index) } }
}

interface CopyName {
  readonly node: string
  readonly allocation: string
}

function isCopy(copy: Copy, { node, allocation }: CopyName): boolean {
  return copy.node === node && copy.allocation === allocation
}

// One that was given up and put on the same node again lacks what was written in between.
function shardStarted(index: Index, name: CopyName): Index {
  const { node } = name
  if (!index.copies.some(copy => isCopy(copy, name))) return index
  return {
    ...index,
    copies: index.copies.map(copy =>
      isCopy(copy, name) ? { ...copy, state: 'STARTED', previous: node } : copy,
    ),
    inSync: [...new Set([...index.inSync, node])],
  }
}

/** A started replica takes over from a primary; without one the shard waits for a copy in sync. */
function shardFailed(index: Index, node: string, nowMs: number): Index {
  const lost = index.copies.find(copy => copy.node === node)
  if (lost === undefined) return index
  const gone: Copy = {
    ...lost,
    node: null,
    state: 'UNASSIGNED',
    allocation: '',
    previous: node,
    delayedUntilMs: nowMs + index.delayMs,
  }
  const others = index.copies.filter(copy => copy !== lost)
  const withoutIt = index.inSync.filter(id => id !== node)
  if (!lost.primary) {
    const active = others.some(({ primary, state }) => primary && state === 'STARTED')
    return { ...index, copies: [...others, gone], inSync: active ? withoutIt : index.inSync }
  }
  const heir = others.find(({ state }) => state === 'STARTED')
  if (heir === undefined) return { ...index, copies: [gone, ...others] }
  return {
    ...index,
    primaryTerm: index.primaryTerm + 1,
    copies: [
      { ...heir, primary: true },
      ...others.filter(copy => copy !== heir),
      { ...gone, primary: false },
    ],
    inSync: withoutIt,
  }
}
