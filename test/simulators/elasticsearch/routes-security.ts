// Users and roles over the API; templates, policies and pipelines, which are only kept.

import { z } from 'zod'
import { ClusterError, type User } from './cluster-state.ts'
import type { Coordinator } from './coordinator.ts'
import type { RestAnswer, RestRequest, Route } from './rest.ts'
import { isRecord, masterTimeout } from './routes-cluster.ts'
import { hashPassword, RESERVED_ROLES, RESERVED_USERS, textsOf } from './security.ts'

const SECURITY = { kind: 'cluster', privilege: 'manage_security' } as const
const PASSWORD_MIN = 6

export function securityRoutes(coordinator: Coordinator): readonly Route[] {
  const route = (
    methods: readonly string[],
    path: string,
    handle: (request: RestRequest) => RestAnswer | Promise<RestAnswer>,
  ): Route => ({
    methods,
    path,
    handle: request => {
      request.need(SECURITY)
      return handle(request)
    },
  })
  return [
    {
      methods: ['GET'],
      path: '/_security/_authenticate',
      handle: ({ user }) => ({ status: 200, body: shownAuthentication(user) }),
    },
    route(['GET'], '/_security/role', () => ({ status: 200, body: coordinator.state().roles })),
    route(['GET'], '/_security/role/*', ({ parts: [name = ''] }) => {
      const role = coordinator.state().roles[name] ?? RESERVED_ROLES[name]
      return {
        status: role === undefined ? 404 : 200,
        body: role === undefined ? {} : { [name]: role },
      }
    }),
    route(['PUT', 'POST'], '/_security/role/*', request => putRole(request, coordinator)),
    route(['DELETE'], '/_security/role/*', async request => {
      const [name = ''] = request.parts
      const found = coordinator.state().roles[name] !== undefined
      if (found)
        await coordinator.command({ kind: 'role', name, role: null }, masterTimeout(request))
      return { status: found ? 200 : 404, body: { found } }
    }),
    route(['GET'], '/_security/user', () => ({
      status: 200,
      body: Object.fromEntries(
        Object.entries(coordinator.state().users).map(([name, user]) => [
          name,
          shownUser(name, user),
        ]),
      ),
    })),
    route(['GET'], '/_security/user/*', ({ parts: [name = ''] }) => getUser(name, coordinator)),
    route(['PUT', 'POST'], '/_security/user/*', request => putUser(request, coordinator)),
    route(['DELETE'], '/_security/user/*', async request => {
      const [name = ''] = request.parts
      const found = coordinator.state().users[name] !== undefined
      if (found)
        await coordinator.command({ kind: 'user', name, user: null }, masterTimeout(request))
      return { status: found ? 200 : 404, body: { found } }
    }),
    route(['PUT', 'POST'], '/_security/user/*/_password', request =>
      putPassword(request, coordinator),
    ),
    ...storedRoutes(coordinator),
  ]
}

function shownAuthentication(user: RestRequest['user']): unknown {
  if (user === undefined) {
    throw new ClusterError('security_exception', 500, 'Security is not enabled')
  }
  const realm = { name: user.realm, type: user.realm === 'reserved' ? 'reserved' : 'native' }
  return {
    username: user.username,
    roles: user.roles,
    full_name: user.user?.fullName ?? null,
    email: user.user?.email ?? null,
    metadata: {},
    enabled: true,
    authentication_realm: realm,
    lookup_realm: realm,
    authentication_type: 'realm',
  }
}

const RoleBody = z.strictObject({
  cluster: z.array(z.string()).default([]),
  indices: z
    .array(
      z.looseObject({
        names: z.union([z.string(), z.array(z.string())]),
        privileges: z.array(z.string()),
      }),
    )
    .default([]),
  applications: z.array(z.unknown()).default([]),
  run_as: z.array(z.string()).default([]),
  metadata: z.record(z.string(), z.unknown()).default({}),
  transient_metadata: z.record(z.string(), z.unknown()).optional(),
  global: z.unknown().optional(),
  description: z.string().optional(),
  remote_indices: z.array(z.unknown()).optional(),
})

async function putRole(request: RestRequest, coordinator: Coordinator): Promise<RestAnswer> {
  const [name = ''] = request.parts
  if (RESERVED_ROLES[name] !== undefined) {
    throw invalid(`Role [${name}] is reserved and may not be used.`)
  }
  const parsed = RoleBody.safeParse(request.body())
  if (!parsed.success) {
    throw new ClusterError('parsing_exception', 400, `failed to parse role [${name}]`)
  }
  const created = coordinator.state().roles[name] === undefined
  const role = {
    ...parsed.data,
    indices: parsed.data.indices.map(entry => ({
      ...entry,
      names: textsOf(entry.names),
      allow_restricted_indices: false,
    })),
    transient_metadata: { enabled: true },
  }
  await coordinator.command({ kind: 'role', name, role }, masterTimeout(request))
  return { status: 200, body: { role: { created } } }
}

function getUser(name: string, coordinator: Coordinator): RestAnswer {
  const reserved = RESERVED_USERS[name]
  const user =
    coordinator.state().users[name] ??
    (reserved === undefined
      ? undefined
      : { hash: '', roles: [...reserved], enabled: true, fullName: null, email: null })
  if (user === undefined) return { status: 404, body: {} }
  return { status: 200, body: { [name]: shownUser(name, user) } }
}

function shownUser(username: string, { roles, enabled, fullName, email }: User): unknown {
  return { username, roles, full_name: fullName, email, metadata: {}, enabled }
}

async function putUser(request: RestRequest, coordinator: Coordinator): Promise<RestAnswer> {
  const [name = ''] = request.parts
  const body = request.body()
  if (RESERVED_USERS[name] !== undefined)
    throw invalid(`user [${name}] is reserved and only the password can be changed`)
  if (!Array.isArray(body['roles'])) throw invalid('Validation Failed: 1: roles are missing;')
  const known = coordinator.state().users[name]
  const password = body['password']
  if (password === undefined && known === undefined && body['password_hash'] === undefined) {
    throw invalid(
      'Validation Failed: 1: password must be specified unless you are updating an existing user;',
    )
  }
  const text = (key: string) => {
    const value = body[key]
    return typeof value === 'string' ? value : null
  }
  const user: User = {
    hash:
      typeof password === 'string'
        ? hashPassword(checkedPassword(password))
        : (text('password_hash') ?? known?.hash ?? ''),
    roles: [...textsOf(body['roles'])],
    enabled: body['enabled'] !== false,
    fullName: text('full_name'),
    email: text('email'),
  }
  await coordinator.command({ kind: 'user', name, user }, masterTimeout(request))
  return { status: 200, body: { created: known === undefined } }
}

async function putPassword(request: RestRequest, coordinator: Coordinator): Promise<RestAnswer> {
  const [name = ''] = request.parts
  const password = request.body()['password']
  if (typeof password !== 'string') throw invalid('Validation Failed: 1: password is missing;')
  const hash = hashPassword(checkedPassword(password))
  const user = coordinator.state().users[name]
  const reserved = RESERVED_USERS[name] !== undefined
  if (user === undefined && !reserved) {
    throw new ClusterError(
      'validation_exception',
      400,
      'user must exist in order to change password',
    )
  }
  const command = reserved
    ? ({ kind: 'password', name, hash } as const)
    : ({ kind: 'user', name, user: user === undefined ? null : { ...user, hash } } as const)
  await coordinator.command(command, masterTimeout(request))
  return { status: 200, body: {} }
}

function checkedPassword(password: string): string {
  if (password.length >= PASSWORD_MIN) return password
  throw invalid(
    `Validation Failed: 1: passwords must be at least [${PASSWORD_MIN}] characters long;`,
  )
}

function invalid(reason: string): ClusterError {
  return new ClusterError('action_request_validation_exception', 400, reason)
}

const STORED = [
  ['/_index_template/*', 'manage_index_templates', 'monitor'],
  ['/_component_template/*', 'manage_index_templates', 'monitor'],
  ['/_template/*', 'manage_index_templates', 'monitor'],
  ['/_ilm/policy/*', 'manage_ilm', 'read_ilm'],
  ['/_ingest/pipeline/*', 'manage_pipeline', 'read_pipeline'],
] as const

function storedRoutes(coordinator: Coordinator): readonly Route[] {
  return STORED.map(([path, write, read]) => ({
    methods: ['GET', 'PUT', 'POST', 'DELETE'],
    path,
    handle: async request => {
      const [name = ''] = request.parts
      const asks = request.method === 'GET' || request.method === 'HEAD'
      request.need({ kind: 'cluster', privilege: asks ? read : write })
      const present = coordinator.state().stored[request.path]
      if (asks || (request.method === 'DELETE' && present === undefined)) {
        return present === undefined
          ? { status: 404, body: {} }
          : { status: 200, body: { [name]: present } }
      }
      const body = request.method === 'DELETE' ? null : request.body()
      const value = z.json().parse(isRecord(body) ? { ...body } : null)
      await coordinator.command(
        { kind: 'store', name: request.path, value },
        masterTimeout(request),
      )
      return { status: 200, body: { acknowledged: true } }
    },
  }))
}
