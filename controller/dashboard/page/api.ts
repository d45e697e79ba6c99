// The operator's API as the page asks it. Answers are taken as the contract types them: they come from
// the controller that this page came from, which has made them with the same schemas.

import type { Problem } from '../../../shared/contract/agent-api.ts'

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string
  readonly hint: string | undefined

  constructor(known: {
    readonly status: number
    readonly code: string
    readonly message: string
    readonly hint?: string | undefined
  }) {
    super(known.message)
    this.status = known.status
    this.code = known.code
    this.hint = known.hint
  }
}

export interface Write {
  readonly body?: unknown
  /** The version that was looked at: 412 when it has moved on. */
  readonly ifMatch?: number
  /** The same for the same intent, however often it is sent. */
  readonly idempotencyKey?: string
}

export interface Api {
  get<T>(path: string, signal?: AbortSignal): Promise<T>
  write<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, write?: Write): Promise<T>
  /** Every page of a list. `key`: what the answer calls its items. */
  list<T>(path: string, key: string, signal?: AbortSignal): Promise<readonly T[]>
  /** The answer itself, of a request that goes on. */
  stream(path: string, signal: AbortSignal): Promise<Response>
}

export interface ApiOptions {
  /** Undefined: the browser may have a client certificate. */
  readonly token: string | undefined
  readonly fetch: typeof fetch
  /** The token is not accepted any more. */
  readonly onRefused: (error: ApiError) => void
}

const ANSWER_TIMEOUT_MS = 75_000
const PAGE_ITEMS = 500
// An answer that names another page for ever must not keep the browser busy.
const PAGES_MAX = 200

export function createApi({ token, fetch: ask, onRefused }: ApiOptions): Api {
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const response = await ask(path, {
      ...init,
      headers,
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
    }).catch((error: unknown) => {
      if (init.signal?.aborted === true) throw error
      throw unreachableController()
    })
    if (response.ok) return response
    const error = await errorOf(response)
    if (error.status === 401) onRefused(error)
    throw error
  }
  const bounded = (signal: AbortSignal | undefined) => {
    const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
    return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  }
  const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => {
    const response = await send(path, { signal: bounded(signal) })
    const body: T = JSON.parse(await response.text())
    return body
  }
  return {
    get,
    async write<T>(method: string, path: string, { body, ifMatch, idempotencyKey }: Write = {}) {
      const headers = new Headers()
      if (body !== undefined) headers.set('content-type', 'application/json')
      if (ifMatch !== undefined) headers.set('if-match', `"${ifMatch}"`)
      if (idempotencyKey !== undefined) headers.set('idempotency-key', idempotencyKey)
      const text = body === undefined ? {} : { body: JSON.stringify(body) }
      const response = await send(path, { method, headers, signal: bounded(undefined), ...text })
      const answer: T = JSON.parse(response.status === 204 ? 'null' : await response.text())
      return answer
    },
    async list<T>(path: string, key: string, signal?: AbortSignal) {
      const items: T[] = []
      let after: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const query = new URLSearchParams({ limit: String(PAGE_ITEMS) })
        if (after !== undefined) query.set('after', after)
        const joint = path.includes('?') ? '&' : '?'
        const answer = await get<{ readonly [name: string]: unknown }>(
          `${path}${joint}${query}`,
          signal,
        )
        const found = answer[key]
        if (Array.isArray(found)) items.push(...found)
        const next = answer['next']
        if (typeof next !== 'string') return items
        after = next
      }
      return items
    },
    stream: (path, signal) => send(path, { signal, headers: { accept: 'text/event-stream' } }),
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const { status } = response
  const problem = problemIn(await response.text().catch(() => ''))
  const places = (problem.problems ?? []).map(({ message }) => message).join('; ')
  const detail = problem.detail ?? problem.title ?? `the controller answered ${status}`
  return new ApiError({
    status,
    code: problem.code ?? 'unknown-answer',
    message: places === '' ? detail : `${detail}: ${places}`,
    hint: problem.hint,
  })
}

function problemIn(text: string): Partial<Problem> {
  try {
    return JSON.parse(text)
  } catch {
    // A proxy may answer with a page of its own.
    return {}
  }
}

function unreachableController(): ApiError {
  return new ApiError({
    status: 0,
    code: 'unreachable',
    message: 'the controller does not answer',
    hint: 'It may be restarting. The page asks again by itself.',
  })
}
