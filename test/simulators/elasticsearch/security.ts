// Who asks, and what that user may do: the `elastic` user of the keystore, users and roles of the API,
// and as many of the roles that are built in as the other products of the stack need.

import { createHash, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ClusterState, User } from './cluster-state.ts'

export interface Authenticated {
  readonly username: string
  readonly roles: readonly string[]
  readonly realm: 'reserved' | 'native1'
  readonly user: User | undefined
}

/** What an action needs. */
export type Need =
  | { readonly kind: 'cluster'; readonly privilege: string }
  | { readonly kind: 'index'; readonly privilege: string; readonly index: string }
  | { readonly kind: 'any' }

export interface RoleGrants {
  readonly cluster: readonly string[]
  readonly indices: readonly {
    readonly names: readonly string[]
    readonly privileges: readonly string[]
  }[]
}

/** Users that cannot be made or removed, only given a password. */
export const RESERVED_USERS: Readonly<Record<string, readonly string[]>> = {
  elastic: ['superuser'],
  kibana: ['kibana_system'],
  kibana_system: ['kibana_system'],
  logstash_system: ['logstash_system'],
  beats_system: ['beats_system'],
  apm_system: ['apm_system'],
  remote_monitoring_user: ['remote_monitoring_collector', 'remote_monitoring_agent'],
}

const none: RoleGrants = { cluster: [], indices: [] }
const grants = (cluster: string[], ...indices: [string[], string[]][]): RoleGrants => ({
  cluster,
  indices: indices.map(([names, privileges]) => ({ names, privileges })),
})

export const RESERVED_ROLES: Readonly<Record<string, RoleGrants>> = {
  superuser: grants(['all'], [['*'], ['all']]),
  kibana_system: grants(
    ['monitor', 'manage_index_templates', 'manage_ilm', 'manage_pipeline', 'manage_own_api_key'],
    [['.kibana*', '.reporting-*', '.apm-*'], ['all']],
    [['.monitoring-*', 'metricbeat-*'], ['read']],
  ),
  kibana_admin: none,
  kibana_user: none,
  logstash_system: grants(['monitor']),
  beats_system: grants(['monitor'], [['.monitoring-beats-*'], ['create_index', 'create']]),
  apm_system: grants(['monitor']),
  beats_admin: grants([], [['.management-beats'], ['all']]),
  ingest_admin: grants(['manage_index_templates', 'manage_pipeline']),
  monitoring_user: grants(['monitor'], [['.monitoring-*', 'metricbeat-*'], ['read']]),
  remote_monitoring_collector: grants(['monitor'], [['*'], ['monitor']], [['.kibana*'], ['read']]),
  remote_monitoring_agent: grants(
    ['manage_index_templates', 'manage_ingest_pipelines', 'monitor', 'manage_ilm'],
    [['.monitoring-*'], ['all']],
    [['metricbeat-*'], ['index', 'create_index', 'view_index_metadata']],
  ),
  viewer: grants([], [['*'], ['read', 'view_index_metadata']]),
  editor: grants([], [['*'], ['read', 'view_index_metadata']]),
}

/** A privilege grants those behind it as well. */
const CLUSTER_IMPLIES: Readonly<Record<string, readonly string[]>> = {
  manage: ['monitor', 'manage_ilm', 'manage_index_templates', 'manage_pipeline', 'manage_ml'],
  manage_pipeline: ['manage_ingest_pipelines'],
  manage_ingest_pipelines: ['manage_pipeline', 'read_pipeline'],
  manage_ilm: ['read_ilm'],
  manage_security: ['read_security'],
}
const INDEX_IMPLIES: Readonly<Record<string, readonly string[]>> = {
  manage: [
    'monitor',
    'maintenance',
    'create_index',
    'auto_create',
    'view_index_metadata',
    'delete_index',
  ],
  write: ['index', 'create', 'create_doc', 'delete'],
  index: ['create', 'create_doc'],
  create: ['create_doc'],
  auto_configure: ['auto_create'],
  create_index: ['auto_create'],
}

export interface Realms {
  /** Undefined: nobody. */
  authenticate(header: string | undefined, state: ClusterState): Authenticated | undefined
}

export interface RealmsOptions {
  readonly secure: ReadonlyMap<string, Buffer>
  /** As a container image takes it; for tests. */
  readonly elasticPassword: string | undefined
}

export function createRealms({ secure, elasticPassword }: RealmsOptions): Realms {
  // Checking a hash is slow by design, so what was right once is remembered.
  const right = new Map<string, string>()

  function matches(password: string, hash: string): boolean {
    const key = createHash('sha256').update(password).digest('hex')
    if (right.get(hash) === key) return true
    if (!verifyPassword(password, hash)) return false
    right.set(hash, key)
    return true
  }

  /** From the API; before that as the keystore says, which always has the seed at least. */
  function isElastic(password: string, state: ClusterState): boolean {
    const changed = state.passwords['elastic']
    if (changed !== undefined) return matches(password, changed)
    const bootstrap = elasticPassword ?? secure.get('bootstrap.password')?.toString('utf8')
    if (bootstrap !== undefined) return bootstrap === password
    const hash = secure.get('autoconfiguration.password_hash')?.toString('utf8')
    if (hash !== undefined) return matches(password, hash)
    return secure.get('keystore.seed')?.toString('utf8') === password
  }

  return {
    authenticate: (header, state) => {
      const encoded = /^Basic\s+(\S+)$/i.exec(header ?? '')?.[1]
      if (encoded === undefined) return undefined
      const text = Buffer.from(encoded, 'base64').toString('utf8')
      const colon = text.indexOf(':')
      if (colon < 0) return undefined
      const [username, password] = [text.slice(0, colon), text.slice(colon + 1)]
      const reserved = RESERVED_USERS[username]
      if (reserved !== undefined) {
        const hash = state.passwords[username]
        const ok =
          username === 'elastic'
            ? isElastic(password, state)
            : hash !== undefined && matches(password, hash)
        return ok ? { username, roles: reserved, realm: 'reserved', user: undefined } : undefined
      }
      const user = state.users[username]
      if (user === undefined || !user.enabled || !matches(password, user.hash)) return undefined
      return { username, roles: user.roles, realm: 'native1', user }
    },
  }
}

export function isAllowed(roles: readonly string[], need: Need, state: ClusterState): boolean {
  if (need.kind === 'any') return true
  return roles
    .map(name => grantsOf(name, state))
    .some(role => {
      if (need.kind === 'cluster') {
        return role.cluster.some(has => implies(has, need.privilege, CLUSTER_IMPLIES))
      }
      return role.indices.some(
        ({ names, privileges }) =>
          names.some(name => matchesPattern(name, need.index)) &&
          privileges.some(has => implies(has, need.privilege, INDEX_IMPLIES)),
      )
    })
}

function implies(
  has: string,
  wanted: string,
  implied: Readonly<Record<string, readonly string[]>>,
): boolean {
  if (has === wanted) return true
  // `all` is the one that ends with security, `manage` with everything else.
  if (has === 'all') return true
  if (implied === CLUSTER_IMPLIES && has === 'manage' && wanted !== 'manage_security') {
    if (wanted !== 'all' && wanted !== 'read_security') return true
  }
  const seen = new Set([has])
  for (const privilege of seen) for (const more of implied[privilege] ?? []) seen.add(more)
  return seen.has(wanted)
}

function grantsOf(name: string, state: ClusterState): RoleGrants {
  const reserved = RESERVED_ROLES[name]
  if (reserved !== undefined) return reserved
  const role = state.roles[name]
  if (role === undefined) return none
  const indices = Array.isArray(role['indices']) ? role['indices'] : []
  return {
    cluster: textsOf(role['cluster']),
    indices: indices.flatMap((entry: unknown) =>
      typeof entry === 'object' && entry !== null && 'names' in entry && 'privileges' in entry
        ? [{ names: textsOf(entry.names), privileges: textsOf(entry.privileges) }]
        : [],
    ),
  }
}

export function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

export function matchesPattern(pattern: string, name: string): boolean {
  const escaped = pattern
    .split('*')
    .map(part => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${escaped.join('.*')}$`).test(name)
}

/** `{PBKDF2}10000$salt$hash`, one of the forms that the product knows. */
export function hashPassword(password: string): string {
  const salt = randomBytes(32)
  const hash = pbkdf2Sync(password, salt, 10_000, 32, 'sha512')
  return `{PBKDF2}10000$${salt.toString('base64')}$${hash.toString('base64')}`
}

function verifyPassword(password: string, text: string): boolean {
  const match = /^\{PBKDF2\}(\d+)\$([^$]+)\$(.+)$/.exec(text)
  if (match === null) return false
  const [, iterations = '', salt = '', hash = ''] = match
  const found = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha512')
  const wanted = Buffer.from(hash, 'base64')
  return found.length === wanted.length && timingSafeEqual(found, wanted)
}
