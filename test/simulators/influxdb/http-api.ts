// The HTTP API of influxd, as far as clients of a TLS test need it: ping, health, writes that count,
// the few queries that count them.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { isAtLeast } from '../version.ts'
import type { Build } from './config.ts'
import type { WriteError } from './points.ts'

/** What an API of a lone server or of a member of a cluster stands on. */
export interface Store {
  /** One error text, or undefined. */
  createDatabase(database: string): Promise<string | undefined>
  databases(): readonly string[]
  write(database: string, lines: string, consistency: string): Promise<WriteError | undefined>
  count(database: string, measurement: string): number | undefined
  /** For /debug/vars. */
  statistics(): Readonly<Record<string, unknown>>
}

export interface ApiOptions {
  readonly version: string
  readonly build: Build
  readonly store: Store
}

const BODY_BYTES_MAX = 25_000_000

export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { version, build, store }: ApiOptions,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  response.setHeader('X-Influxdb-Build', build)
  response.setHeader('X-Influxdb-Version', version)
  const isPost = request.method === 'POST'
  if (url.pathname === '/ping') {
    response.writeHead(204).end()
  } else if (url.pathname === '/health' && isAtLeast(version, '1.8.0')) {
    json(response, 200, { ...HEALTHY, version })
  } else if (url.pathname === '/debug/vars') {
    json(response, 200, store.statistics())
  } else if (url.pathname === '/write' && isPost) {
    const consistency = url.searchParams.get('consistency') ?? 'one'
    const database = url.searchParams.get('db') ?? ''
    const error = await store.write(database, await bodyOf(request), consistency)
    answerWrite(response, error)
  } else if (url.pathname === '/api/v2/write' && isPost && isAtLeast(version, '1.8.0')) {
    // A bucket is `database/retention-policy`.
    const [database = ''] = (url.searchParams.get('bucket') ?? '').split('/')
    answerWrite(response, await store.write(database, await bodyOf(request), 'one'))
  } else if (url.pathname === '/query') {
    const form = new URLSearchParams(isPost ? await bodyOf(request) : '')
    const query = url.searchParams.get('q') ?? form.get('q')
    const database = url.searchParams.get('db') ?? form.get('db') ?? ''
    if (query === null) json(response, 400, { error: 'missing required parameter "q"' })
    else {
      const result = await runQuery(store, database, query)
      json(response, 200, { results: [{ statement_id: 0, ...result }] })
    }
  } else {
    response
      .writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' })
      .end('404 page not found\n')
  }
}

const HEALTHY = {
  checks: [],
  message: 'ready for queries and writes',
  name: 'influxdb',
  status: 'pass',
} as const

function answerWrite(response: ServerResponse, error: WriteError | undefined): void {
  if (error === undefined) {
    response.writeHead(204).end()
    return
  }
  response.setHeader('X-Influxdb-Error', error.message.replaceAll('\n', ' '))
  json(response, error.status, { error: error.message })
}

/** CREATE DATABASE, SHOW DATABASES, SELECT count(…) FROM m; nothing else. */
async function runQuery(
  store: Store,
  database: string,
  query: string,
): Promise<Readonly<Record<string, unknown>>> {
  const name = String.raw`"?([\w.-]+)"?`
  const created = new RegExp(`^\\s*CREATE\\s+DATABASE\\s+${name}`, 'i').exec(query)?.[1]
  if (created !== undefined) {
    const error = await store.createDatabase(created)
    return error === undefined ? {} : { error }
  }
  if (/^\s*SHOW\s+DATABASES/i.test(query)) {
    const values = store.databases().map(found => [found])
    const series = {
      name: 'databases',
      columns: ['name'],
      ...(values.length > 0 ? { values } : {}),
    }
    return { series: [series] }
  }
  const counted = new RegExp(`^\\s*SELECT\\s+count\\(.*\\)\\s+FROM\\s+${name}`, 'i').exec(
    query,
  )?.[1]
  if (counted === undefined) return { error: 'the simulator cannot answer this query' }
  if (!store.databases().includes(database)) return { error: `database not found: ${database}` }
  const count = store.count(database, counted)
  if (count === undefined) return {}
  return {
    series: [
      { name: counted, columns: ['time', 'count'], values: [['1970-01-01T00:00:00Z', count]] },
    ],
  }
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    const buffer = Buffer.from(chunk)
    chunks.push(buffer)
    bytes += buffer.length
    if (bytes > BODY_BYTES_MAX) request.destroy()
  }
  const body = Buffer.concat(chunks)
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8')
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json' })
    .end(`${JSON.stringify(body)}\n`)
}
