// `ETag` and `If-Match`: a verb that was meant for what its caller has looked at is refused (412) when
// that has moved on. Versions are opaque to callers: what an answer had as `ETag` is what they send.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { digestOf, type Json } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { NodeLock, NodeRecord } from '../store/store.ts'
import type { FreezeRecord } from '../store/groups-store.ts'

export function tellVersion(reply: FastifyReply, version: string | number): void {
  void reply.header('etag', `"${version}"`)
}

/** What `If-Match` names; undefined: whatever there is. Quotation marks may be left out. */
export function expectedVersion({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const given = headers['if-match']
  if (given === undefined || given === '*') return undefined
  const [, quoted, bare] = /^(?:"([\x21\x23-\x7e]{1,64})"|([A-Za-z0-9-]{1,64}))$/.exec(given) ?? []
  const version = quoted ?? bare
  if (version !== undefined) return version
  throw malformed()
}

/** The same where versions are numbers. */
export function expectedNumber(request: Pick<FastifyRequest, 'headers'>): number | undefined {
  const version = expectedVersion(request)
  if (version === undefined) return undefined
  if (!/^\d{1,15}$/.test(version)) throw malformed()
  return Number(version)
}

/** Throws `version-mismatch`. To be called in the transaction of the effect. */
export function requireVersion(
  request: Pick<FastifyRequest, 'headers'>,
  what: string,
  current: string | number,
): void {
  const expected = expectedVersion(request)
  if (expected === undefined || expected === String(current)) return
  throw new OperationalError(
    'version-mismatch',
    `${what} is at version ${current} now, not at ${expected}`,
    { hint: 'look at it again' },
  )
}

/** Of all that operators decide about a node; what it reports is not in it. */
export function versionOfNode(node: NodeRecord, lock: NodeLock | undefined): string {
  const { name, labels, names, createdAtMs, enrolledAtMs } = node
  const { dns, ip } = names
  return short({
    name,
    labels,
    names: { dns, ip },
    createdAtMs,
    enrolledAtMs,
    lockedAtMs: lock?.atMs,
  })
}

export function versionOfFreeze({ name, scope, reason, actor, atMs }: FreezeRecord): string {
  const names = scope === 'all' ? 'all' : (scope.names ?? [])
  const labels = scope === 'all' ? {} : (scope.labels ?? {})
  return short({ name, names, labels, reason, actor, atMs })
}

function short(value: Json): string {
  return digestOf(value).slice(0, 16)
}

function malformed(): OperationalError {
  return new OperationalError('malformed-request', 'If-Match is no version', {
    hint: 'Send the `ETag` of the answer that you have looked at.',
  })
}
