// The security API of Elasticsearch as functions. Every answer is parsed.

import * as z from 'zod/mini'
import { parser } from '../../shared/contract/schema.ts'
import { Secret } from '../../shared/secret.ts'
import { VERSION_MIN, type Version, isBefore, parseVersion } from './accounts.ts'
import type { Connection } from './connection.ts'
import { errorOf, notProductError } from './errors.ts'
import type { ObservedUser } from './plan.ts'
import { ElasticsearchRole } from './rights.ts'

export interface Cluster {
  readonly name: string
  readonly version: Version
}

const Root = z.object({
  cluster_name: z.string(),
  version: z.object({
    number: z.string(),
    build_flavor: z.nullish(z.string()),
    distribution: z.nullish(z.string()),
  }),
})

/** Throws unless this is an Elasticsearch that has what is needed, and the caller may change users. */
export async function openCluster(connection: Connection): Promise<Cluster> {
  const { product, url } = connection
  const attempted = { product, url, attempt: 'look at the cluster' }
  const { value } = await connection.ask({ ...attempted, method: 'GET', path: '/' })
  const root = Root.safeParse(value)
  // OpenSearch says so; its users and roles are made in another way.
  if (!root.success || (root.data.version.distribution ?? '') !== '')
    throw notProductError(attempted, 'an answer')
  const { cluster_name: name, version: found } = root.data
  const version = parseVersion(found.number)
  if (version === undefined || isBefore(version, VERSION_MIN))
    throw errorOf(
      attempted,
      'version-unsupported',
      `it is version ${found.number}, and the privileges that Metricbeat needs came with ${VERSION_MIN.text}`,
    )
  if (found.build_flavor === 'serverless')
    throw errorOf(attempted, 'version-unsupported', 'a serverless project has no users of its own')
  await checkPrivilege(connection)
  return { name, version }
}

const Privileges = z.object({ has_all_requested: z.boolean() })

// Asked before the first write, so that nothing is left half done.
async function checkPrivilege(connection: Connection): Promise<void> {
  const { product, url } = connection
  const attempted = { product, url, attempt: 'look at the privileges of these credentials' }
  const { value } = await connection.ask({
    ...attempted,
    method: 'POST',
    path: '/_security/user/_has_privileges',
    body: { cluster: ['manage_security'] },
  })
  if (parser('answer', Privileges, 'malformed-answer')(value).has_all_requested) return
  throw errorOf(
    attempted,
    'privilege-missing',
    'they lack the cluster privilege manage_security',
    'use the user elastic, or give the role of this user manage_security',
  )
}

const Roles = z.record(z.string(), z.unknown())

export async function readRole(
  connection: Connection,
  name: string,
): Promise<ElasticsearchRole | undefined> {
  const { status, value } = await connection.ask({
    attempt: `read role ${name}`,
    method: 'GET',
    path: `/_security/role/${encodeURIComponent(name)}`,
    answers: [404],
  })
  if (status === 404) return undefined
  const role = parser('list of roles', Roles, 'malformed-answer')(value)[name]
  return role === undefined
    ? undefined
    : parser(`role ${name}`, ElasticsearchRole, 'malformed-answer')(role)
}

export async function writeRole(connection: Connection, name: string, body: object): Promise<void> {
  await connection.ask({
    attempt: `write role ${name}`,
    method: 'PUT',
    path: `/_security/role/${encodeURIComponent(name)}`,
    body,
  })
}

const User = z.object({
  roles: z.array(z.string()),
  enabled: z.boolean(),
  full_name: z.nullish(z.string()),
  email: z.nullish(z.string()),
  metadata: z.nullish(z.record(z.string(), z.unknown())),
})
const Users = z.record(z.string(), z.unknown())

export async function readUser(
  connection: Connection,
  name: string,
): Promise<ObservedUser | undefined> {
  const { status, value } = await connection.ask({
    attempt: `read user ${name}`,
    method: 'GET',
    path: `/_security/user/${encodeURIComponent(name)}`,
    answers: [404],
  })
  if (status === 404) return undefined
  const user = parser('list of users', Users, 'malformed-answer')(value)[name]
  if (user === undefined) return undefined
  const { roles, enabled, ...kept } = parser(`user ${name}`, User, 'malformed-answer')(user)
  return { roles, enabled, kept }
}

/** A password only when there is none yet, or it is to be replaced along with the rest. */
export async function writeUser(
  connection: Connection,
  name: string,
  body: object,
  password?: Secret,
): Promise<void> {
  await connection.ask({
    attempt: `write user ${name}`,
    method: 'PUT',
    path: `/_security/user/${encodeURIComponent(name)}`,
    body,
    ...(password === undefined ? {} : { password }),
  })
}

export async function writePassword(
  connection: Connection,
  name: string,
  password: Secret,
): Promise<void> {
  await connection.ask({
    attempt: `set the password of ${name}`,
    method: 'POST',
    path: `/_security/user/${encodeURIComponent(name)}/_password`,
    password,
  })
}

const Authenticated = z.object({ username: z.string() })

/** Does Elasticsearch know this user by this password? */
export async function isAccepted(
  connection: Connection,
  name: string,
  password: Secret,
): Promise<boolean> {
  const { status, value } = await connection.ask({
    attempt: `log in as ${name}`,
    method: 'GET',
    path: '/_security/_authenticate',
    authorization: basicAuthorization(name, password),
    answers: [401],
  })
  if (status === 401) return false
  // Where anonymous access is on, somebody else may have been let in.
  return parser('answer', Authenticated, 'malformed-answer')(value).username === name
}

/** Value of the header. */
export function basicAuthorization(user: string, password: Secret): Secret {
  const credentials = Buffer.from(`${user}:${password.reveal()}`, 'utf8').toString('base64')
  return new Secret(`Basic ${credentials}`)
}
