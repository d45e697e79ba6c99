// All nodes of the fleet, kept as the stream tells: loaded once, then only what has changed.

import type { NodeView } from '../../../shared/contract/operator-api.ts'
import { ApiError, type Api } from './api.ts'
import type { Hub } from './hub.ts'
import { inOrder } from './fleet-summary.ts'
import { nodeRow, type NodeRow } from './node-row.ts'

export interface NodesState {
  /** Undefined until the first answer. Those that need somebody first. */
  readonly rows: readonly NodeRow[] | undefined
  /** Not all are there yet. */
  readonly isLoading: boolean
  /** Of the last attempt: what is shown may be old. */
  readonly error: ApiError | undefined
}

export interface NodesStore {
  state(): NodesState
  subscribe(listener: () => void): () => void
  close(): void
}

const PAGE_NODES = 500
const NAMES_AT_ONCE = 100
// More than these at once are loaded with the list.
const NAMES_MAX = 1_000
const RETRY_MS = 5_000

export function createNodesStore(
  api: Api,
  hub: Pick<Hub, 'subscribe' | 'ready'>,
  pause: (ms: number) => Promise<void>,
): NodesStore {
  const listeners = new Set<() => void>()
  const known = new Map<string, NodeRow>()
  const closing = new AbortController()
  let state: NodesState = { rows: undefined, isLoading: true, error: undefined }
  // What is to be asked for: everything, or these.
  let everything = true
  let names = new Set<string>()
  let isWorking = false
  const publish = (isLoading: boolean, error?: ApiError) => {
    const rows = error !== undefined && known.size === 0 ? undefined : inOrder([...known.values()])
    state = { rows, isLoading, error }
    for (const listener of listeners) listener()
  }
  const unsubscribe = hub.subscribe(['nodes'], changed => {
    if (changed === undefined) everything = true
    else for (const name of changed) names.add(name)
    void work()
  })
  void hub.ready.then(() => work())
  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close() {
      unsubscribe()
      closing.abort()
    },
  }

  async function work(): Promise<void> {
    if (isWorking) return
    isWorking = true
    try {
      while ((everything || names.size > 0) && !closing.signal.aborted) await once()
    } finally {
      isWorking = false
    }
  }

  async function once(): Promise<void> {
    const isAll = everything || names.size > NAMES_MAX
    const wanted = [...names]
    everything = false
    names = new Set()
    try {
      await (isAll ? loadAll() : loadSome(wanted))
    } catch (error) {
      if (closing.signal.aborted) return
      everything = true
      publish(false, error instanceof ApiError ? error : undefined)
      if (error instanceof ApiError && error.status === 401) closing.abort()
      await pause(RETRY_MS)
    }
  }

  async function loadAll(): Promise<void> {
    const isFirst = known.size === 0
    const seen = new Set<string>()
    let after: string | undefined
    do {
      const query = new URLSearchParams({ limit: String(PAGE_NODES) })
      if (after !== undefined) query.set('after', after)
      const page: { readonly nodes: readonly NodeView[]; readonly next?: string } = await api.get(
        `/v1/nodes?${query}`,
        closing.signal,
      )
      for (const node of page.nodes) {
        known.set(node.name, nodeRow(node))
        seen.add(node.name)
      }
      after = page.next
      if (isFirst && after !== undefined) publish(true)
    } while (after !== undefined)
    for (const name of known.keys()) if (!seen.has(name)) known.delete(name)
    publish(false)
  }

  async function loadSome(wanted: readonly string[]): Promise<void> {
    for (let start = 0; start < wanted.length; start += NAMES_AT_ONCE) {
      const asked = wanted.slice(start, start + NAMES_AT_ONCE)
      const query = new URLSearchParams(asked.map((name): [string, string] => ['name', name]))
      const nodes = await api.list<NodeView>(`/v1/nodes?${query}`, 'nodes', closing.signal)
      for (const name of asked) known.delete(name)
      for (const node of nodes) known.set(node.name, nodeRow(node))
    }
    publish(false)
  }
}
