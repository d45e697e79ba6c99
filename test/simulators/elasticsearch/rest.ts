// The HTTP side of the node: routes, credentials, errors in the form clients know.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { ClusterError, type ClusterState } from './cluster-state.ts'
import { type Authenticated, isAllowed, type Need, type Realms } from './security.ts'

export interface RestRequest {
  readonly method: string
  readonly path: string
  /** What the placeholders of the route stand for. */
  readonly parts: readonly string[]
  readonly query: URLSearchParams
  readonly text: string
  /** As JSON; throws a ClusterError with status 400. */
  readonly body: () => Readonly<Record<string, unknown>>
  readonly user: Authenticated | undefined
  /** Throws where the user may not. */
  readonly need: (need: Need, action?: string) => void
  readonly may: (need: Need) => boolean
}

export interface RestAnswer {
  readonly status: number
  readonly body: unknown
}

export interface Route {
  readonly methods: readonly string[]
  /** `/_security/role/*`: each star is one part of the path. */
  readonly path: string
  readonly handle: (request: RestRequest) => Promise<RestAnswer> | RestAnswer
}

export interface RestOptions {
  readonly routes: readonly Route[]
  /** Undefined: security is off, and everybody may do everything. */
  readonly realms: Realms | undefined
  readonly state: () => ClusterState
  /** The schemes a client is told of. */
  readonly challenges: readonly string[]
}

const BODY_BYTES_MAX = 100 * 1024 * 1024
const Body = z.record(z.string(), z.unknown())

export async function answerRest(
  incoming: IncomingMessage,
  response: ServerResponse,
  options: RestOptions,
): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://localhost')
  response.setHeader('X-elastic-product', 'Elasticsearch')
  let answer: RestAnswer
  try {
    answer = await dispatch(incoming, url, options)
  } catch (error) {
    if (error instanceof Unauthenticated) {
      response.setHeader('WWW-Authenticate', [...options.challenges])
    }
    answer = errorAnswer(error, options.challenges)
  }
  const { status, body } = answer
  if (incoming.method === 'HEAD') {
    response.writeHead(status).end()
  } else if (typeof body === 'string') {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=UTF-8' }).end(body)
  } else {
    const pretty = url.searchParams.has('pretty') ? 2 : undefined
    response
      .writeHead(status, { 'Content-Type': 'application/json' })
      .end(JSON.stringify(body, undefined, pretty))
  }
}

class Unauthenticated extends Error {
  override readonly name = 'Unauthenticated'
}

async function dispatch(
  incoming: IncomingMessage,
  url: URL,
  { routes, realms, state }: RestOptions,
): Promise<RestAnswer> {
  const path = url.pathname.replace(/(.)\/$/, '$1')
  const text = await bodyOf(incoming)
  const header = incoming.headers.authorization
  const user = realms?.authenticate(header, state())
  if (realms !== undefined && user === undefined) {
    throw new Unauthenticated(
      header === undefined
        ? `missing authentication credentials for REST request [${url.pathname}]`
        : `unable to authenticate user [${userNameOf(header)}] for REST request [${url.pathname}]`,
    )
  }
  const method = incoming.method ?? 'GET'
  const at = routes.flatMap(route => {
    const parts = match(route.path, path)
    return parts === undefined ? [] : [{ route, parts }]
  })
  const found = at.find(({ route }) => route.methods.includes(method === 'HEAD' ? 'GET' : method))
  if (found === undefined) {
    if (at.length === 0) {
      throw new ClusterError(
        'illegal_argument_exception',
        400,
        `no handler found for uri [${path}] and method [${method}]`,
      )
    }
    const allowed = [...new Set(at.flatMap(({ route }) => route.methods))].join(', ')
    throw new ClusterError(
      'method_not_allowed',
      405,
      `Incorrect HTTP method for uri [${path}] and method [${method}], allowed: [${allowed}]`,
    )
  }
  const may = (need: Need) => user === undefined || isAllowed(user.roles, need, state())
  return await found.route.handle({
    method,
    path,
    parts: found.parts,
    query: url.searchParams,
    text,
    body: () => parseBody(text),
    user,
    may,
    need: (need, action = path) => {
      if (may(need)) return
      const on = need.kind === 'index' ? ` on indices [${need.index}]` : ''
      const privilege = need.kind === 'any' ? '' : need.privilege
      throw new ClusterError(
        'security_exception',
        403,
        `action [${action}] is unauthorized for user [${user?.username}] with effective roles [${user?.roles.join(',')}]${on}, this action is granted by the privileges [${privilege},all]`,
      )
    },
  })
}

/** The parts that stars stand for; undefined where the path is another one. */
function match(pattern: string, path: string): readonly string[] | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const parts: string[] = []
  for (const [i, word] of wanted.entries()) {
    const part = given[i] ?? ''
    if (word === '*' && part !== '') parts.push(decodeURIComponent(part))
    // The name of an index never starts so.
    else if (word === 'INDEX' && /^[^_]/.test(part)) parts.push(decodeURIComponent(part))
    else if (word === 'INDEX' && part === '_all') parts.push('*')
    else if (word !== part) return undefined
  }
  return parts
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of incoming.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > BODY_BYTES_MAX) {
      throw new ClusterError('content_too_long_exception', 413, 'entity content is too long')
    }
  }
  return body
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') return {}
  try {
    return Body.parse(JSON.parse(text))
  } catch {
    throw new ClusterError('x_content_parse_exception', 400, 'request body is not a JSON object')
  }
}

function userNameOf(header: string): string {
  const text = Buffer.from(header.replace(/^\S+\s*/, ''), 'base64').toString('utf8')
  return text.split(':')[0] ?? ''
}

function errorAnswer(error: unknown, challenges: readonly string[]): RestAnswer {
  const [type, status, reason] =
    error instanceof ClusterError
      ? [error.type, error.status, error.message]
      : error instanceof Unauthenticated
        ? ['security_exception', 401, error.message]
        : ['exception', 500, error instanceof Error ? error.message : String(error)]
  const header = status === 401 ? { header: { 'WWW-Authenticate': challenges } } : {}
  const cause = { type, reason, ...header }
  return { status, body: { error: { root_cause: [cause], ...cause }, status } }
}
