// What views have in common: data that is loaded and loaded anew when it has changed, and the time.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ApiError } from './api.ts'
import type { Connection, Resource } from './hub.ts'
import type { NodesState } from './nodes.ts'
import { useSession } from './session.ts'

export interface Loaded<T> {
  /** Of the last answer; undefined before the first. */
  readonly value: T | undefined
  /** Of the last attempt. */
  readonly error: ApiError | undefined
  readonly reload: () => void
}

export interface LoadOptions {
  /** Loaded anew when one of these has changed. */
  readonly on: readonly Resource[]
  /** Another key is another thing: what is shown begins anew. */
  readonly key: string
  /** Between two loads, however much changes. */
  readonly restMs?: number
}

const REST_MS = 1_000

export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  { on, key, restMs = REST_MS }: LoadOptions,
): Loaded<T> {
  const { hub } = useSession()
  const [state, setState] = useState<{ key: string; value?: T; error?: ApiError }>({ key })
  const latest = useRef(load)
  latest.current = load
  const reload = useRef(() => {})
  useEffect(() => {
    const closing = new AbortController()
    let isDirty = true
    let isWorking = false
    let rest = new AbortController()
    const work = async () => {
      isDirty = true
      if (isWorking) return
      isWorking = true
      while (isDirty && !closing.signal.aborted) {
        isDirty = false
        try {
          const value = await latest.current(closing.signal)
          if (!closing.signal.aborted) setState({ key, value })
        } catch (error) {
          if (!closing.signal.aborted)
            setState(last => ({
              ...(last.key === key && last.value !== undefined ? { value: last.value } : {}),
              key,
              error: asApiError(error),
            }))
        }
        rest = new AbortController()
        await pause(restMs, AbortSignal.any([closing.signal, rest.signal]))
      }
      isWorking = false
    }
    // Whoever has just done something does not wait to see it.
    reload.current = () => {
      rest.abort()
      void work()
    }
    void hub.ready.then(() => work())
    const unsubscribe = hub.subscribe(on, () => void work())
    return () => {
      unsubscribe()
      closing.abort()
    }
  }, [hub, key])
  const isOf = state.key === key
  return {
    value: isOf ? state.value : undefined,
    error: isOf ? state.error : undefined,
    reload: () => reload.current(),
  }
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new ApiError({ status: 0, code: 'page-fault', message })
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

export function useNodes(): NodesState {
  const { nodes } = useSession()
  const [state, setState] = useState(nodes.state())
  useEffect(() => {
    setState(nodes.state())
    return nodes.subscribe(() => setState(nodes.state()))
  }, [nodes])
  return state
}

export function useConnection(): Connection {
  const { hub } = useSession()
  const [connection, setConnection] = useState(hub.connection())
  useEffect(() => {
    setConnection(hub.connection())
    return hub.onConnection(setConnection)
  }, [hub])
  return connection
}

/** Milliseconds since the epoch, as often as texts about it change. */
export function useNow(everyMs = 10_000): number {
  const [nowMs, setNowMs] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return nowMs
}

let ids = 0
/** For `aria-labelledby` and the like. */
export function useId(): string {
  return useMemo(() => `i${++ids}`, [])
}
