// One stream tells what has changed; whoever shows it asks for it. Level, not edge: a new connection
// begins with `resync`, so nothing is lost with an old one.

import type { Api } from './api.ts'
import { ApiError } from './api.ts'
import { createEventReader, type ServerEvent } from './events.ts'

export const RESOURCES = [
  'nodes',
  'rollouts',
  'rotations',
  'revisions',
  'freezes',
  'leases',
  'authorities',
  'audit',
] as const
export type Resource = (typeof RESOURCES)[number]

/** `connecting`: for the first time. `polling`: there is no stream for us, so we ask. `lost`: what is shown may be old. */
export type Connection = 'connecting' | 'live' | 'polling' | 'lost'

/** Ids of what has changed; undefined: anything may have. */
export type Changed = readonly string[] | undefined

export interface Hub {
  subscribe(resources: readonly Resource[], listener: (changed: Changed) => void): () => void
  onConnection(listener: (connection: Connection) => void): () => void
  connection(): Connection
  /**
   * The stream tells what changes from now on, or there is none for the moment. Whoever loads before that loads
   * everything a second time with the first `resync`.
   */
  readonly ready: Promise<void>
  close(): void
}

const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000, 15_000] as const
// Two heartbeats of the controller may go missing.
const SILENCE_MS = 40_000

export interface HubOptions {
  /** Nobody looks: there is no need to ask again and again. */
  readonly isHidden: () => boolean
  readonly pause: (ms: number) => Promise<void>
  /** Resolves when nobody should wait for the first stream any more. */
  readonly patience: () => Promise<void>
}

export function createHub(api: Api, { isHidden, pause, patience }: HubOptions): Hub {
  const listeners = new Set<{
    readonly resources: readonly Resource[]
    readonly listener: (changed: Changed) => void
  }>()
  const watchers = new Set<(connection: Connection) => void>()
  const closing = new AbortController()
  let connection: Connection = 'connecting'
  // Resources of which the first stream has not said yet that it tells of them.
  const untold = new Set<string>(RESOURCES)
  let isReady = false
  let settle = () => {}
  const ready = new Promise<void>(resolve => {
    settle = resolve
  })
  const becomeReady = () => {
    isReady = true
    settle()
  }
  const become = (next: Connection) => {
    if (next === connection) return
    connection = next
    for (const watcher of watchers) watcher(next)
  }
  const tell = (resource: string, changed: Changed) => {
    for (const { resources, listener } of listeners)
      if (resources.some(one => one === resource)) listener(changed)
  }
  void keepConnected()
  void patience().then(becomeReady)
  return {
    ready,
    subscribe(resources, listener) {
      const entry = { resources, listener }
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    onConnection(watcher) {
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    },
    connection: () => connection,
    close: () => closing.abort(),
  }

  async function keepConnected(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await read(() => {
          failures = 0
          become('live')
        })
        become('lost')
      } catch (error) {
        // Signed out: the page asks for another token.
        if (error instanceof ApiError && error.status === 401) return
        // It answers, and has no stream for us: too many are open.
        const answers = error instanceof ApiError && error.status > 0
        become(answers ? 'polling' : 'lost')
        if (answers && !isHidden()) for (const one of RESOURCES) tell(one, undefined)
      }
      becomeReady()
      if (closing.signal.aborted) return
      const pauseMs = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] ?? 0
      failures++
      // Many pages that lost the same controller do not come back at once.
      await pause(pauseMs * (0.75 + Math.random() / 2))
    }
  }

  async function read(onAlive: () => void): Promise<void> {
    const silence = new AbortController()
    const signal = AbortSignal.any([closing.signal, silence.signal])
    const response = await api.stream(`/v1/watch?resources=${RESOURCES.join(',')}`, signal)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    if (reader === undefined) return
    const events = createEventReader()
    for (;;) {
      const timer = setTimeout(() => silence.abort(), SILENCE_MS)
      const { done, value } = await reader.read().finally(() => clearTimeout(timer))
      if (done) return
      onAlive()
      for (const event of events(value)) if (!obey(event)) return
    }
  }

  function resync(resource: string): void {
    if (isReady) return tell(resource, undefined)
    // Nobody has loaded anything yet that could be old.
    untold.delete(resource)
    if (untold.size === 0) becomeReady()
  }

  function obey({ event, data }: ServerEvent): boolean {
    if (event === 'end') return false
    const told: { readonly resource?: string; readonly ids?: readonly string[] } = JSON.parse(data)
    if (told.resource === undefined) return true
    if (event === 'resync') resync(told.resource)
    if (event === 'change') tell(told.resource, told.ids)
    return true
  }
}
