// What is needed of Kibana's API: its version and its roles.

import * as z from 'zod/mini'
import { parser } from '../../shared/contract/schema.ts'
import { type Version, parseVersion } from './accounts.ts'
import type { Connection } from './connection.ts'
import { notProductError } from './errors.ts'
import { KibanaRole } from './rights.ts'

// Those who are not logged in, and with less rights in some versions those who are, get the state alone.
const Status = z.object({
  status: z.object({ overall: z.unknown() }),
  version: z.nullish(z.object({ number: z.string() })),
})

/** Undefined where Kibana does not tell its version. Throws unless this is Kibana. */
export async function openKibana(connection: Connection): Promise<Version | undefined> {
  const { product, url } = connection
  const attempted = { product, url, attempt: 'look at the status' }
  const { value } = await connection.ask({ ...attempted, method: 'GET', path: '/api/status' })
  const status = Status.safeParse(value)
  if (!status.success) throw notProductError(attempted, 'an answer')
  return parseVersion(status.data.version?.number ?? '')
}

export async function readKibanaRole(
  connection: Connection,
  name: string,
): Promise<KibanaRole | undefined> {
  const { status, value } = await connection.ask({
    attempt: `read role ${name}`,
    method: 'GET',
    path: `/api/security/role/${encodeURIComponent(name)}`,
    answers: [404],
  })
  return status === 404 ? undefined : parser(`role ${name}`, KibanaRole, 'malformed-answer')(value)
}

export async function writeKibanaRole(
  connection: Connection,
  name: string,
  body: object,
): Promise<void> {
  await connection.ask({
    attempt: `write role ${name}`,
    method: 'PUT',
    path: `/api/security/role/${encodeURIComponent(name)}`,
    body,
  })
}
