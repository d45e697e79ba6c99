// As much of Elasticsearch as clients of it need to be tested: 401 without credentials, _bulk, roles. Over
// http or https, and it can be stopped, started on the same port, and told to fail.

import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { closable } from '../support/closable.ts'

export interface FakePair {
  readonly certPem: string
  readonly keyPem: string
}

export interface FakeElasticsearch {
  readonly port: number
  /** `user:password` */
  readonly credentials: string
  /** Bodies of the documents that were taken, in order. */
  documents(): readonly Readonly<Record<string, unknown>>[]
  roles(): ReadonlyMap<string, unknown>
  /** How many connections there have been. */
  connections(): number
  /** Status of the next answers to _bulk; undefined: take them. */
  failBulk(status: number | undefined): void
  /** Status of each document by its number in a bulk; undefined: 201. */
  itemStatus(decide: (document: Readonly<Record<string, unknown>>) => number): void
  /** Listens, over TLS where a pair is given; connections there are end. */
  serve(pair?: FakePair): Promise<void>
  stop(): Promise<void>
}

export async function fakeElasticsearch(pair?: FakePair, port = 0): Promise<FakeElasticsearch> {
  const documents: Readonly<Record<string, unknown>>[] = []
  const roles = new Map<string, unknown>()
  let connections = 0
  let bulkStatus: number | undefined
  let statusOf: (document: Readonly<Record<string, unknown>>) => number = () => 201
  let close: (() => Promise<void>) | undefined
  let bound = port
  const credentials = 'user:secret'

  const answer = (response: ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(status === 401 ? { 'www-authenticate': 'Basic realm="security" charset="UTF-8"' } : {}),
    })
    response.end(JSON.stringify(body))
  }
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const [path = '/'] = (request.url ?? '/').split('?')
    const basic = `Basic ${Buffer.from(credentials).toString('base64')}`
    if (request.headers.authorization !== basic) return answer(response, 401, { status: 401 })
    const role = /^\/_security\/role\/([^/]+)$/.exec(path)?.[1]
    if (path === '/') return answer(response, 200, { version: { number: '8.15.0' } })
    if (path === '/_security/_authenticate') return answer(response, 200, { username: 'user' })
    if (path.endsWith('/_bulk')) {
      if (bulkStatus !== undefined) return answer(response, bulkStatus, { status: bulkStatus })
      const lines = body.split('\n').filter(line => line !== '')
      const items = lines
        .filter((_, index) => index % 2 === 1)
        .map(line => {
          const document: unknown = JSON.parse(line)
          if (!isRecord(document)) throw new Error('a document is an object')
          const status = statusOf(document)
          if (status < 300) documents.push(document)
          return { create: { status } }
        })
      return answer(response, 200, { errors: false, items })
    }
    if (role === undefined) return answer(response, 404, {})
    if (request.method === 'PUT') {
      roles.set(role, JSON.parse(body))
      return answer(response, 200, { role: { created: true } })
    }
    if (!roles.has(role)) return answer(response, 404, {})
    return answer(response, 200, { [role]: roles.get(role) })
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch(error => response.destroy(error))
  }
  const stop = async () => {
    await close?.()
    close = undefined
  }
  const serve = async (pair?: FakePair) => {
    await stop()
    const next =
      pair === undefined
        ? createHttpServer(listener)
        : createHttpsServer({ cert: pair.certPem, key: pair.keyPem }, listener)
    close = closable(next)
    next.on('connection', () => connections++)
    next.on('tlsClientError', () => {})
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject).listen(bound, '127.0.0.1', resolve)
    })
    const address = next.address()
    bound = typeof address === 'object' && address !== null ? address.port : 0
  }
  await serve(pair)
  return {
    port: bound,
    credentials,
    documents: () => documents,
    roles: () => roles,
    connections: () => connections,
    failBulk: status => {
      bulkStatus = status
    },
    itemStatus: decide => {
      statusOf = decide
    },
    serve,
    stop,
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
