// What Kibana answers: 503 until Elasticsearch was seen for the first time, then /api/status, the role
// API, and a page that carries server.publicBaseUrl.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Elasticsearch } from './elasticsearch.ts'
import { fromStored, KibanaRole, StoredRole, toStored } from './roles.ts'
import { isContainer } from './raw-config.ts'
import type { Settings } from './settings.ts'

export type Request = IncomingMessage | Http2ServerRequest
export type Response = ServerResponse | Http2ServerResponse

export interface Kibana {
  readonly version: string
  readonly settings: Settings
  readonly elasticsearch: Elasticsearch
  /** It has been there once: the server is set up. */
  isReady(): boolean
  /** Of Elasticsearch, now; undefined: none. */
  problem(): string | undefined
}

interface Reply {
  readonly status: number
  readonly body?: unknown
  readonly location?: string
}

const BODY_BYTES_MAX = 1024 * 1024
const ROLE = /^\/api\/security\/role(?:\/([^/?]*))?$/

export async function respond(request: Request, response: Response, kibana: Kibana): Promise<void> {
  let reply: Reply
  try {
    reply = await replyTo(request, kibana)
  } catch {
    reply = failure(500, 'Internal Server Error', 'An internal server error occurred')
  }
  const { status, body, location } = reply
  response.statusCode = status
  response.setHeader('kbn-name', kibana.settings.name)
  if (location !== undefined) response.setHeader('location', location)
  if (typeof body === 'string') {
    response.setHeader('content-type', body.startsWith('<') ? 'text/html' : 'text/plain')
    response.end(body)
  } else if (body === undefined) {
    response.end()
  } else {
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(JSON.stringify(body))
  }
}

async function replyTo(request: Request, kibana: Kibana): Promise<Reply> {
  const [path = '/'] = (request.url ?? '/').split('?')
  const method = request.method ?? 'GET'
  const authorization = request.headers.authorization
  if (path === '/api/status') return await status(kibana, authorization)
  if (!kibana.isReady()) return { status: 503, body: 'Kibana server is not ready yet.' }
  if (method !== 'GET' && method !== 'HEAD' && request.headers['kbn-xsrf'] === undefined) {
    return failure(400, 'Bad Request', 'Request must contain a kbn-xsrf header.')
  }
  const role = ROLE.exec(path)
  if (role !== null) {
    return await roles(kibana, {
      method,
      authorization,
      name: role[1],
      body: await bodyOf(request),
    })
  }
  if (path === '/login') return { status: 200, body: page(kibana) }
  if (path === '/') return { status: 302, location: '/login?next=%2F' }
  return failure(404, 'Not Found', 'Not Found')
}

/** Without credentials it says only how it is; wrong ones are not let pass for none. */
async function status(kibana: Kibana, authorization: string | undefined): Promise<Reply> {
  const problem = kibana.problem()
  const level = problem === undefined ? 'available' : kibana.isReady() ? 'critical' : 'unavailable'
  const code = problem === undefined ? 200 : 503
  const brief = { status: code, body: { status: { overall: { level } } } }
  if (!kibana.isReady()) return brief
  if (!kibana.settings.allowAnonymousStatus) {
    if (authorization === undefined) return brief
    if (problem !== undefined) return brief
    const refusal = await authenticate(kibana, authorization)
    if (refusal !== undefined) return refusal
  }
  const summary = problem === undefined ? 'All services and plugins are available' : problem
  const elasticsearch = { level, summary: problem ?? 'Elasticsearch is available', meta: {} }
  return {
    status: code,
    body: {
      name: kibana.settings.name,
      version: { number: kibana.version, build_snapshot: false },
      status: { overall: { level, summary }, core: { elasticsearch }, plugins: {} },
    },
  }
}

async function authenticate(
  { elasticsearch }: Kibana,
  authorization: string | undefined,
): Promise<Reply | undefined> {
  if (authorization === undefined) return failure(401, 'Unauthorized', 'Unauthorized')
  const answer = await elasticsearch.ask({ path: './_security/_authenticate', authorization })
  return answer.status === 200 ? undefined : failure(401, 'Unauthorized', answer.body)
}

interface RoleCall {
  readonly method: string
  readonly authorization: string | undefined
  readonly name: string | undefined
  readonly body: string
}

/** On behalf of the caller: Elasticsearch decides what she may. */
async function roles(
  kibana: Kibana,
  { method, authorization, name, body }: RoleCall,
): Promise<Reply> {
  const refusal = await authenticate(kibana, authorization)
  if (refusal !== undefined || authorization === undefined) return refusal ?? { status: 401 }
  const path = name === undefined ? './_security/role' : `./_security/role/${name}`
  const ask = (more: { method?: string; body?: string }) =>
    kibana.elasticsearch.ask({ path, authorization, ...more })
  if (method === 'PUT' && name !== undefined) {
    const role = KibanaRole.safeParse(parsed(body))
    if (!role.success) {
      const [issue] = role.error.issues
      const where = ['request body', ...(issue?.path ?? [])].join('.')
      return failure(400, 'Bad Request', `[${where}]: ${issue?.message}`)
    }
    const stored = JSON.stringify(toStored(role.data))
    const answer = await ask({ method: 'PUT', body: stored })
    return answer.status === 200 ? { status: 204 } : forwarded(answer.status, answer.body)
  }
  if (method === 'DELETE' && name !== undefined) {
    const answer = await ask({ method: 'DELETE' })
    return answer.status === 200 ? { status: 204 } : forwarded(answer.status, answer.body)
  }
  if (method !== 'GET') return failure(404, 'Not Found', 'Not Found')
  const answer = await ask({})
  if (answer.status !== 200) return forwarded(answer.status, answer.body)
  const found = parsed(answer.body)
  const all = Object.entries(isContainer(found) ? found : {}).map(([key, role]) =>
    fromStored(key, StoredRole.parse(role)),
  )
  if (name === undefined) return { status: 200, body: all }
  const [one] = all.filter(role => role.name === decodeURIComponent(name))
  return one === undefined ? failure(404, 'Not Found', 'Not Found') : { status: 200, body: one }
}

function forwarded(status: number, body: string): Reply {
  return failure(status, ERRORS[status] ?? 'Error', body.trim())
}

const ERRORS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
}

function failure(statusCode: number, error: string, message: string): Reply {
  return { status: statusCode, body: { statusCode, error, message } }
}

function page({ settings, version }: Kibana): string {
  const data = JSON.stringify({ version, publicBaseUrl: settings.publicBaseUrl ?? null })
  const quoted = data.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  return `<!DOCTYPE html><html><kbn-injected-metadata data="${quoted}"></kbn-injected-metadata></html>\n`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function bodyOf(request: Request): Promise<string> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > BODY_BYTES_MAX) request.destroy()
  }
  return body
}
