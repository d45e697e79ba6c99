// Indices and their documents: enough for a client that writes, reads and counts.

import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { ClusterError } from './cluster-state.ts'
import type { Coordinator } from './coordinator.ts'
import type { RestAnswer, RestRequest, Route } from './rest.ts'
import { flat, isRecord, masterTimeout } from './routes-cluster.ts'
import { matchesPattern } from './security.ts'
import type { Shards, Write, Written } from './shards.ts'
import { durationMs } from './yaml-settings.ts'

export interface DocumentRoutesOptions {
  readonly coordinator: Coordinator
  readonly shards: Shards
}

type Operation = Write['op']
interface Item {
  readonly index: string
  readonly write: Write
  /** As the client called it. */
  readonly name: Operation
}

const PRIVILEGE: Readonly<Record<Operation, string>> = {
  index: 'index',
  create: 'create_doc',
  delete: 'delete',
}

export function documentRoutes(options: DocumentRoutesOptions): readonly Route[] {
  const { coordinator } = options
  const flush = (request: RestRequest): RestAnswer => {
    const index = request.parts[0] ?? '*'
    request.need({ kind: 'index', privilege: 'maintenance', index }, 'indices:admin/flush')
    const total = named(index, options).reduce(
      (sum, name) => sum + (coordinator.state().indices[name]?.copies.length ?? 0),
      0,
    )
    return { status: 200, body: { _shards: { total, successful: total, failed: 0 } } }
  }
  const both = (path: string, methods: readonly string[], handle: Route['handle']): Route[] => [
    { methods, path: `/${path}`, handle },
    { methods, path: `/INDEX/${path}`, handle },
  ]
  return [
    ...both('_flush', ['GET', 'POST'], flush),
    ...both('_refresh', ['GET', 'POST'], flush),
    ...both('_bulk', ['POST', 'PUT'], request => bulk(request, options)),
    ...both('_count', ['GET', 'POST'], request => search(request, options)),
    ...both('_search', ['GET', 'POST'], request => search(request, options)),
    ...both('_settings', ['GET', 'PUT'], request => indexSettings(request, options)),
    { methods: ['POST'], path: '/INDEX/_doc', handle: request => one(request, 'index', options) },
    {
      methods: ['PUT', 'POST'],
      path: '/INDEX/_doc/*',
      handle: request => one(request, 'index', options),
    },
    {
      methods: ['PUT', 'POST'],
      path: '/INDEX/_create/*',
      handle: request => one(request, 'create', options),
    },
    {
      methods: ['DELETE'],
      path: '/INDEX/_doc/*',
      handle: request => one(request, 'delete', options),
    },
    { methods: ['GET'], path: '/INDEX/_doc/*', handle: request => getDocument(request, options) },
    {
      methods: ['GET', 'PUT', 'DELETE'],
      path: '/INDEX',
      handle: request => index(request, options),
    },
  ]
}

async function bulk(request: RestRequest, options: DocumentRoutesOptions): Promise<RestAnswer> {
  const startMs = performance.now()
  const items = parseBulk(request.text, request.parts[0])
  const outcomes = new Map<Item, unknown>()
  const byIndex = Map.groupBy(items, ({ index }) => index)
  await Promise.all(
    [...byIndex].map(async ([name, its]) => {
      const allowed = its.filter(item => {
        const need = { kind: 'index', privilege: PRIVILEGE[item.name], index: name } as const
        if (request.may(need)) return true
        const reason = `action [indices:data/write/bulk[s]] is unauthorized for user [${request.user?.username}] on indices [${name}]`
        outcomes.set(item, failed(item, 403, 'security_exception', reason))
        return false
      })
      if (allowed.length === 0) return
      try {
        const written = await writeAll(request, options, { name, items: allowed })
        for (const [i, item] of allowed.entries()) outcomes.set(item, shown(item, written[i]))
      } catch (error) {
        if (!(error instanceof ClusterError)) throw error
        for (const item of allowed) {
          outcomes.set(item, failed(item, error.status, error.type, error.message))
        }
      }
    }),
  )
  const all = items.map(item => ({ [item.name]: outcomes.get(item) }))
  const errors = [...outcomes.values()].some(outcome => isRecord(outcome) && 'error' in outcome)
  return {
    status: 200,
    body: { took: Math.round(performance.now() - startMs), errors, items: all },
  }
}

const Action = z.partialRecord(
  z.enum(['index', 'create', 'delete', 'update']),
  z.looseObject({ _index: z.string().optional(), _id: z.string().optional() }),
)

function parseBulk(text: string, byDefault: string | undefined): readonly Item[] {
  if (!text.endsWith('\n')) {
    throw illegal('The bulk request must be terminated by a newline [\\n]')
  }
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const items: Item[] = []
  for (let i = 0; i < lines.length; i++) {
    const parsed = Action.safeParse(parseJson(lines[i] ?? ''))
    const [name, given] = parsed.success ? (Object.entries(parsed.data)[0] ?? []) : []
    if (name !== 'index' && name !== 'create' && name !== 'delete') {
      throw illegal(`Malformed action/metadata line [${i + 1}]`)
    }
    const index = given?._index ?? byDefault
    if (index === undefined) throw illegal('Validation Failed: 1: index is missing;')
    const source = name === 'delete' ? undefined : parseJson(lines[++i] ?? '')
    items.push(newItem({ index, name, id: given?._id, source }))
  }
  return items
}

function newItem({
  index,
  name,
  id,
  source,
}: {
  readonly index: string
  readonly name: Operation
  readonly id: string | undefined
  readonly source: unknown
}): Item {
  const body = isRecord(source) ? { source } : {}
  // With an id of our own, trying again is no conflict with oneself.
  const op = id === undefined ? 'index' : name
  return { index, name, write: { id: id ?? randomUUID(), op, ...body } }
}

async function one(
  request: RestRequest,
  byDefault: Operation,
  options: DocumentRoutesOptions,
): Promise<RestAnswer> {
  const [name = '', id] = request.parts
  const create = request.query.get('op_type') === 'create'
  const op = byDefault === 'index' && create ? 'create' : byDefault
  request.need({ kind: 'index', privilege: PRIVILEGE[op], index: name }, 'indices:data/write/index')
  const source = op === 'delete' ? undefined : request.body()
  const item = newItem({ index: name, name: op, id, source })
  const [written] = await writeAll(request, options, { name, items: [item] })
  const body = shown(item, written)
  return { status: body.status, body }
}

async function writeAll(
  request: RestRequest,
  { coordinator, shards }: DocumentRoutesOptions,
  { name, items }: { readonly name: string; readonly items: readonly Item[] },
): Promise<readonly Written[]> {
  if (coordinator.state().indices[name] === undefined) {
    request.need(
      { kind: 'index', privilege: 'auto_create', index: name },
      'indices:admin/auto_create',
    )
    await createIndex(name, {}, request, coordinator)
  }
  const timeoutMs = durationMs(request.query.get('timeout') ?? '1m') ?? 60_000
  return await shards.write(
    name,
    items.map(({ write }) => write),
    timeoutMs,
  )
}

async function createIndex(
  index: string,
  settings: Record<string, string>,
  request: RestRequest,
  coordinator: Coordinator,
): Promise<void> {
  if (index !== index.toLowerCase() || /[\\/*?"<>| ,#:]/.test(index) || /^[-_+]/.test(index)) {
    throw new ClusterError('invalid_index_name_exception', 400, `Invalid index name [${index}]`)
  }
  try {
    await coordinator.command({ kind: 'create-index', index, settings }, masterTimeout(request))
  } catch (error) {
    // Somebody else made it at the same moment.
    const there =
      error instanceof ClusterError && error.type === 'resource_already_exists_exception'
    if (!there || request.method === 'PUT') throw error
  }
}

function shown(
  { index, name }: Item,
  written: Written | undefined,
): { readonly status: number; readonly [key: string]: unknown } {
  const { id: _id, result, seq } = written ?? { id: '', result: 'conflict', seq: 0 }
  const head = { _index: index, _id }
  if (result === 'conflict') {
    const reason = `[${_id}]: version conflict, document already exists`
    return { ...head, status: 409, error: { type: 'version_conflict_engine_exception', reason } }
  }
  const status =
    result === 'not_found' ? 404 : name !== 'delete' && result === 'created' ? 201 : 200
  return { ...head, _version: 1, result, _seq_no: seq - 1, _primary_term: 1, status }
}

function failed({ index, write }: Item, status: number, type: string, reason: string): unknown {
  return { _index: index, _id: write.id, status, error: { type, reason } }
}

async function getDocument(
  request: RestRequest,
  { shards }: DocumentRoutesOptions,
): Promise<RestAnswer> {
  const [name = '', id = ''] = request.parts
  request.need({ kind: 'index', privilege: 'read', index: name }, 'indices:data/read/get')
  const found = (await shards.read(name)).find(document => document.id === id)
  const head = { _index: name, _id: id, found: found !== undefined }
  if (found === undefined) return { status: 404, body: head }
  return {
    status: 200,
    body: { ...head, _version: 1, _seq_no: found.seq - 1, _source: found.source },
  }
}

/** Every document matches, or those whose field has the value of a `term` or `match` query. */
async function search(request: RestRequest, options: DocumentRoutesOptions): Promise<RestAnswer> {
  const pattern = request.parts[0] ?? '*'
  const names = named(pattern, options)
  for (const index of names.length === 0 ? [pattern] : names) {
    request.need({ kind: 'index', privilege: 'read', index }, 'indices:data/read/search')
  }
  if (names.length === 0 && !pattern.includes('*')) throw noSuchIndex(pattern)
  const body = request.body()
  const hits = (
    await Promise.all(
      names.map(async _index =>
        (
          await options.shards.read(_index)
        ).map(({ id, source }) => ({
          _index,
          _id: id,
          _score: 1,
          _source: source,
        })),
      ),
    )
  )
    .flat()
    .filter(({ _source }) => matchesQuery(body['query'], _source ?? {}))
  const _shards = { total: names.length, successful: names.length, skipped: 0, failed: 0 }
  if (request.path.endsWith('/_count'))
    return { status: 200, body: { count: hits.length, _shards } }
  const number = (key: string, byDefault: number) =>
    Number(request.query.get(key) ?? body[key] ?? byDefault)
  const from = number('from', 0)
  const total = { value: hits.length, relation: 'eq' }
  const shownHits = hits.slice(from, from + number('size', 10))
  return {
    status: 200,
    body: { took: 1, timed_out: false, _shards, hits: { total, max_score: 1, hits: shownHits } },
  }
}

function matchesQuery(query: unknown, source: Readonly<Record<string, unknown>>): boolean {
  if (!isRecord(query) || 'match_all' in query) return true
  const fields = query['term'] ?? query['match']
  if (!isRecord(fields)) throw illegal('the simulator answers match_all, term and match only')
  return Object.entries(fields).every(([field, wanted]) => {
    const value = isRecord(wanted) ? (wanted['value'] ?? wanted['query']) : wanted
    return source[field.replace(/\.keyword$/, '')] === value
  })
}

async function index(request: RestRequest, options: DocumentRoutesOptions): Promise<RestAnswer> {
  const { coordinator } = options
  const [name = ''] = request.parts
  const privilege =
    request.method === 'PUT'
      ? 'create_index'
      : request.method === 'DELETE'
        ? 'delete_index'
        : 'view_index_metadata'
  request.need({ kind: 'index', privilege, index: name })
  if (request.method === 'PUT') {
    const settings = withoutNulls(flat(request.body()['settings']))
    await createIndex(name, settings, request, coordinator)
    return { status: 200, body: { acknowledged: true, shards_acknowledged: true, index: name } }
  }
  const names = named(name, options)
  if (names.length === 0) throw noSuchIndex(name)
  if (request.method === 'DELETE') {
    for (const one of names) {
      await coordinator.command({ kind: 'delete-index', index: one }, masterTimeout(request))
    }
    return { status: 200, body: { acknowledged: true } }
  }
  return { status: 200, body: shownIndices(names, options) }
}

async function indexSettings(
  request: RestRequest,
  options: DocumentRoutesOptions,
): Promise<RestAnswer> {
  const pattern = request.parts[0] ?? '*'
  const indices = named(pattern, options)
  const put = request.method === 'PUT'
  const privilege = put ? 'manage' : 'view_index_metadata'
  request.need({ kind: 'index', privilege, index: pattern })
  if (!put) return { status: 200, body: shownIndices(indices, options) }
  const body = request.body()
  const settings = flat(isRecord(body['settings']) ? body['settings'] : body)
  await options.coordinator.command(
    { kind: 'index-settings', indices: [...indices], settings },
    masterTimeout(request),
  )
  return { status: 200, body: { acknowledged: true } }
}

function shownIndices(names: readonly string[], { coordinator }: DocumentRoutesOptions): unknown {
  return Object.fromEntries(
    names.map(name => {
      const index = coordinator.state().indices[name]
      const number_of_replicas = String(index?.replicas ?? 1)
      const shownSettings = { number_of_shards: '1', number_of_replicas, uuid: index?.uuid }
      return [name, { aliases: {}, mappings: {}, settings: { index: shownSettings } }]
    }),
  )
}

/** Names with commas and stars. */
function named(pattern: string, { coordinator }: DocumentRoutesOptions): readonly string[] {
  const patterns = pattern.split(',')
  return Object.keys(coordinator.state().indices).filter(name =>
    patterns.some(one => matchesPattern(one, name)),
  )
}

function withoutNulls(settings: Readonly<Record<string, string | null>>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(settings)) if (value !== null) kept[name] = value
  return kept
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw illegal('Malformed content, found extra data or no JSON')
  }
}

function noSuchIndex(name: string): ClusterError {
  return new ClusterError('index_not_found_exception', 404, `no such index [${name}]`)
}

function illegal(reason: string): ClusterError {
  return new ClusterError('illegal_argument_exception', 400, reason)
}
