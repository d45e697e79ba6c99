// Elasticsearch and Kibana as far as users and roles go: one store, two servers, as strict as the
// real ones about credentials, privileges, headers and shapes. They remember what they were asked.

import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { text } from 'node:stream/consumers'
import * as z from 'zod/mini'
import { createAuthority, listen } from '../cli/fake-controller.ts'

export const ADMIN = { user: 'elastic', password: 'the-Admin:password' }
export const API_KEY = 'key-id:key-secret'

interface Reply {
  readonly status: number
  readonly body?: unknown
  readonly text?: string
}

export interface Seen {
  /** `PUT /_security/role/x`, with `kibana ` in front where Kibana was asked. */
  readonly line: string
  readonly body: string
}

const Words = z.array(z.string())
const Role = z.strictObject({
  cluster: z.optional(Words),
  indices: z.optional(
    z.array(
      z.strictObject({
        names: Words,
        privileges: Words,
        query: z.optional(z.string()),
        field_security: z.optional(z.record(z.string(), Words)),
        allow_restricted_indices: z.optional(z.boolean()),
      }),
    ),
  ),
  applications: z.optional(
    z.array(z.strictObject({ application: z.string(), privileges: Words, resources: Words })),
  ),
  run_as: z.optional(Words),
  metadata: z.optional(z.record(z.string(), z.unknown())),
  description: z.optional(z.string()),
})
type Role = z.infer<typeof Role>

const User = z.strictObject({
  password: z.optional(z.string()),
  roles: Words,
  full_name: z.nullish(z.string()),
  email: z.nullish(z.string()),
  metadata: z.optional(z.record(z.string(), z.unknown())),
  enabled: z.optional(z.boolean()),
})
type User = z.infer<typeof User>

const KibanaRole = z.strictObject({
  description: z.optional(z.string()),
  metadata: z.optional(z.record(z.string(), z.unknown())),
  elasticsearch: z.strictObject({
    cluster: Words,
    indices: z.array(z.strictObject({ names: Words, privileges: Words })),
    run_as: Words,
  }),
  kibana: z.array(
    z.strictObject({ spaces: Words, base: Words, feature: z.record(z.string(), Words) }),
  ),
})

const CLUSTER = ['monitor', 'manage_ilm', 'read_ilm', 'manage_security', 'all']
const INDEX = [
  'manage',
  'write',
  'create_doc',
  'create_index',
  'view_index_metadata',
  'read',
  'all',
]
const FEATURES = ['discover', 'visualize', 'dashboard', 'infrastructure']
const FEATURES_9 = ['discover_v2', 'visualize_v2', 'dashboard_v2', 'savedQueryManagement']

export interface FakeOptions {
  readonly version?: string
  readonly tls?: boolean
  /** Names in the certificate. */
  readonly names?: { readonly dns: readonly string[]; readonly ip: readonly string[] }
}

export type FakeElastic = Awaited<ReturnType<typeof startFakeElastic>>

export async function startFakeElastic(options: FakeOptions = {}) {
  const { version = '8.15.2', tls = true } = options
  const { names = { dns: ['localhost'], ip: ['127.0.0.1'] } } = options
  const authority = createAuthority()
  const leaf = authority.issue(names)
  const roles = new Map<string, Role>()
  const users = new Map<string, User>()
  const requests: Seen[] = []
  const overrides = new Map<string, Reply>()
  const state = { mayManage: true }
  const store = { version, roles, users, state }

  const listener =
    (prefix: string, answer: typeof answerElasticsearch) =>
    async (incoming: IncomingMessage, outgoing: ServerResponse) => {
      const body = await text(incoming)
      const line = `${prefix}${incoming.method} ${incoming.url}`
      requests.push({ line, body })
      const reply = overrides.get(line) ?? answer(store, incoming, body)
      const headers = { 'content-type': 'application/json' }
      outgoing.writeHead(reply.status, headers)
      outgoing.end(
        reply.text?.replace('BODY', JSON.stringify(body).slice(1, -1)) ??
          (reply.body === undefined ? '' : JSON.stringify(reply.body)),
      )
    }
  const create = (prefix: string, answer: typeof answerElasticsearch) => {
    const serve = listener(prefix, answer)
    const handle = (incoming: IncomingMessage, outgoing: ServerResponse) =>
      void serve(incoming, outgoing)
    return tls ? createTlsServer({ key: leaf.key, cert: leaf.chain }, handle) : createServer(handle)
  }
  const elasticsearch = create('', answerElasticsearch)
  const kibana = create('kibana ', answerKibana)
  const scheme = tls ? 'https' : 'http'
  return {
    url: `${scheme}://127.0.0.1:${await listen(elasticsearch)}`,
    kibanaUrl: `${scheme}://127.0.0.1:${await listen(kibana)}`,
    caPem: authority.pem,
    roles,
    users,
    requests,
    state,
    /** Requests that change something. */
    writes: () =>
      requests
        .map(({ line }) => line)
        .filter(line => !line.includes('GET ') && !line.endsWith('/_has_privileges')),
    /** `BODY` in its text is what was sent. */
    override: (line: string, reply: Reply) => void overrides.set(line, reply),
    restore: () => overrides.clear(),
    close: () => {
      for (const server of [elasticsearch, kibana]) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

interface Store {
  readonly version: string
  readonly roles: Map<string, Role>
  readonly users: Map<string, User>
  readonly state: { mayManage: boolean }
}

function answerElasticsearch(store: Store, request: IncomingMessage, body: string): Reply {
  const user = authenticate(store, request)
  if (user === undefined)
    return refused(401, 'security_exception', 'unable to authenticate user for REST request')
  const { method = '', url = '' } = request
  const [, kind, name] = /^\/_security\/(role|user)\/(\w+)$/.exec(url) ?? []
  if (url === '/') return { status: 200, body: root(store.version) }
  if (url === '/_security/_authenticate') return { status: 200, body: { username: user } }
  const isAdmin = user === ADMIN.user && store.state.mayManage
  if (url === '/_security/user/_has_privileges' && method === 'POST')
    return {
      status: 200,
      body: { username: user, has_all_requested: isAdmin, cluster: { manage_security: isAdmin } },
    }
  if (!isAdmin) return refused(403, 'security_exception', `action is unauthorized for [${user}]`)
  const [, owner] = /^\/_security\/user\/(\w+)\/_password$/.exec(url) ?? []
  if (owner !== undefined && method === 'POST') return setPassword(store, owner, body)
  if (name === undefined)
    return { status: 400, body: { error: `no handler found for uri [${url}]` } }
  if (method === 'GET') return kind === 'role' ? showRole(store, name) : showUser(store, name)
  if (method === 'PUT') return (kind === 'role' ? putRole : putUser)(store, name, body)
  return refused(405, 'illegal_argument_exception', 'Incorrect HTTP method')
}

function root(version: string) {
  return {
    name: 'es-1',
    cluster_name: 'prod',
    version: { number: version, build_flavor: 'default' },
    tagline: 'You Know, for Search',
  }
}

function authenticate({ users }: Store, request: IncomingMessage): string | undefined {
  const [scheme, value = ''] = (request.headers.authorization ?? '').split(' ')
  const decoded = Buffer.from(value, 'base64').toString('utf8')
  if (scheme === 'ApiKey') return decoded === API_KEY ? ADMIN.user : undefined
  const at = decoded.indexOf(':')
  const [name, password] = [decoded.slice(0, at), decoded.slice(at + 1)]
  if (name === ADMIN.user) return password === ADMIN.password ? name : undefined
  const user = users.get(name)
  return user?.enabled !== false && user?.password === password ? name : undefined
}

// With what the real one adds by itself.
function showRole({ roles }: Store, name: string): Reply {
  const role = roles.get(name)
  if (role === undefined) return { status: 404, body: {} }
  const { cluster = [], indices = [], applications = [], run_as = [], metadata = {} } = role
  const shown = {
    cluster: cluster.toReversed(),
    indices: indices.map(entry => ({
      allow_restricted_indices: false,
      field_security: { grant: ['*'], except: [] },
      ...entry,
      privileges: entry.privileges.toReversed(),
    })),
    applications,
    run_as,
    metadata,
    ...(role.description === undefined ? {} : { description: role.description }),
    transient_metadata: { enabled: true },
    of_a_later_version: true,
  }
  return { status: 200, body: { [name]: shown } }
}

function putRole(store: Store, name: string, body: string): Reply {
  const parsed = Role.safeParse(JSON.parse(body))
  if (!parsed.success) return refused(400, 'parse_exception', `failed to parse role [${name}]`)
  const role = parsed.data
  const known = isBefore79(store.version) ? INDEX : [...INDEX, 'auto_configure']
  const unknown = [
    ...(role.cluster ?? []).filter(privilege => !CLUSTER.includes(privilege)),
    ...(role.indices ?? [])
      .flatMap(({ privileges }) => privileges)
      .filter(privilege => !known.includes(privilege)),
  ]
  if (unknown.length > 0)
    return refused(
      400,
      'action_request_validation_exception',
      `Validation Failed: 1: unknown privilege [${unknown.join()}];`,
    )
  const created = !store.roles.has(name)
  store.roles.set(name, role)
  return { status: 200, body: { role: { created } } }
}

function isBefore79(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < 7 || (major === 7 && minor < 9)
}

function showUser({ users }: Store, name: string): Reply {
  const user = users.get(name)
  if (user === undefined) return { status: 404, body: {} }
  const { password: _password, roles, full_name = null, email = null, metadata = {} } = user
  const enabled = user.enabled ?? true
  return {
    status: 200,
    body: { [name]: { username: name, roles, full_name, email, metadata, enabled } },
  }
}

function putUser({ users }: Store, name: string, body: string): Reply {
  const parsed = User.safeParse(JSON.parse(body))
  if (!parsed.success) return refused(400, 'parse_exception', `failed to parse user [${name}]`)
  const old = users.get(name)
  const password = parsed.data.password ?? old?.password
  if (password === undefined)
    return refused(
      400,
      'action_request_validation_exception',
      'Validation Failed: 1: password must be specified unless you are updating an existing user;',
    )
  if (password.length < 6) return tooShort()
  users.set(name, { ...parsed.data, password })
  return { status: 200, body: { created: old === undefined } }
}

function setPassword({ users }: Store, name: string, body: string): Reply {
  const parsed = z.safeParse(z.strictObject({ password: z.string() }), JSON.parse(body))
  const user = users.get(name)
  if (!parsed.success || user === undefined)
    return refused(400, 'validation_exception', 'Validation Failed: 1: user must exist;')
  if (parsed.data.password.length < 6) return tooShort()
  users.set(name, { ...user, password: parsed.data.password })
  return { status: 200, body: {} }
}

function tooShort(): Reply {
  return refused(400, 'validation_exception', 'passwords must be at least [6] characters long')
}

function refused(status: number, type: string, reason: string): Reply {
  return { status, body: { error: { root_cause: [{ type, reason }], type, reason }, status } }
}

function answerKibana(store: Store, request: IncomingMessage, body: string): Reply {
  const { method = '', url = '' } = request
  const fail = (statusCode: number, error: string, message: string): Reply => ({
    status: statusCode,
    body: { statusCode, error, message },
  })
  if (method !== 'GET' && request.headers['kbn-xsrf'] === undefined)
    return fail(400, 'Bad Request', 'Request must contain a kbn-xsrf header.')
  if (authenticate(store, request) !== ADMIN.user) return fail(401, 'Unauthorized', 'Unauthorized')
  const version = { number: store.version }
  if (url === '/api/status')
    return { status: 200, body: { version, status: { overall: { level: 'available' } } } }
  const [, name] = /^\/api\/security\/role\/(\w+)$/.exec(url) ?? []
  if (name === undefined) return fail(404, 'Not Found', 'Not Found')
  if (method === 'GET') {
    const role = store.roles.get(name)
    return role === undefined
      ? fail(404, 'Not Found', 'Not Found')
      : { status: 200, body: shownByKibana(name, role) }
  }
  const parsed = KibanaRole.safeParse(JSON.parse(body))
  if (!parsed.success) return fail(400, 'Bad Request', '[request body]: definition is invalid')
  const { elasticsearch, kibana, metadata = {} } = parsed.data
  const known = store.version.startsWith('9.') ? [...FEATURES, ...FEATURES_9] : FEATURES
  const unknown = kibana
    .flatMap(({ feature }) => Object.keys(feature))
    .filter(id => !known.includes(id))
  if (unknown.length > 0) return fail(400, 'Bad Request', `Feature [${unknown.join()}] is unknown`)
  const applications = kibana.map(({ spaces, base, feature }) => ({
    application: 'kibana-.kibana',
    privileges: [
      ...base.map(privilege => `space_${privilege}`),
      ...Object.entries(feature).flatMap(([id, granted]) =>
        granted.map(privilege => `feature_${id}.${privilege}`),
      ),
    ],
    resources: spaces.map(space => `space:${space}`),
  }))
  store.roles.set(name, { ...elasticsearch, applications, metadata })
  return { status: 204 }
}

function shownByKibana(name: string, { cluster, indices, applications = [], metadata }: Role) {
  return {
    name,
    metadata,
    transient_metadata: { enabled: true },
    elasticsearch: { cluster, indices, run_as: [] },
    kibana: applications.map(({ privileges, resources }) => ({
      base: privileges.filter(privilege => privilege.startsWith('space_')).map(one => one.slice(6)),
      feature: Object.fromEntries(
        privileges.flatMap(privilege => {
          const [, id, granted] = /^feature_(\w+)\.(\w+)$/.exec(privilege) ?? []
          return id === undefined ? [] : [[id, [granted]]]
        }),
      ),
      spaces: resources.map(resource => resource.replace('space:', '')),
    })),
    _transform_error: [],
    _unrecognized_applications: [],
  }
}
