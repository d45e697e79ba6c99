// `[snapshots]` of agent.toml: what saves a service before it is stopped with those of other nodes. The
// node's own policy; nothing of it comes over the wire.

import * as z from 'zod/mini'
import { SNAPSHOT_MS_MAX } from '../shared/contract/snapshots.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { ServiceName } from '../shared/contract/service.ts'
import { parseDuration } from '../shared/duration.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Compiled } from './services/service.ts'

const DEFAULT_TIMEOUT = '30m'
const TIMEOUT_MS_MIN = 1_000

// Absolute, and nothing in it that leads elsewhere.
const Program = z
  .string()
  .check(
    z.maxLength(4096),
    z.regex(/^(?!.*\/\.{1,2}(\/|$))(\/[^/\0]+)+$/, 'a program by its absolute path'),
  )
const Word = z.string().check(z.maxLength(4096), z.regex(/^[^\0]*$/))

export const SnapshotsDocument = z.partialRecord(
  ServiceName,
  z.strictObject({
    /** The program and its arguments. Run as root while the service runs; it may be run again. */
    command: z.optional(z.tuple([Program], Word)),
    timeout: z._default(z.string(), DEFAULT_TIMEOUT),
    /** Also a copy by the agent itself, of services of which it knows what to copy. */
    copy: z._default(z.boolean(), true),
  }),
)
export type SnapshotsDocument = z.infer<typeof SnapshotsDocument>

export interface SnapshotPolicy {
  readonly command: readonly [string, ...string[]] | undefined
  readonly timeoutMs: number
  readonly isCopied: boolean
}

export type SnapshotPolicies = Readonly<Partial<Record<ServiceName, SnapshotPolicy>>>

/** Throws `config-invalid`. */
export function snapshotPolicies(
  document: SnapshotsDocument | undefined,
  path: string,
): SnapshotPolicies {
  const policies: Partial<Record<ServiceName, SnapshotPolicy>> = {}
  for (const service of ServiceName.options) {
    const given = document?.[service]
    if (given === undefined) continue
    const { command, timeout, copy } = given
    const timeoutMs = parseDuration(timeout)
    if (timeoutMs === undefined || timeoutMs < TIMEOUT_MS_MIN || timeoutMs > SNAPSHOT_MS_MAX)
      throw new OperationalError(
        'config-invalid',
        `could not use snapshots.${service}.timeout "${timeout}" of ${path}`,
        { hint: 'a duration from 1s to 24h, for example 30m' },
      )
    policies[service] = { command, timeoutMs, isCopied: copy }
  }
  return policies
}

/** What is copied while the service is stopped; empty: nothing is. */
export function copiedOf(
  snapshot: { readonly directories: readonly string[] } | undefined,
  policy: SnapshotPolicy | undefined,
): readonly string[] {
  return policy?.isCopied === false ? [] : (snapshot?.directories ?? [])
}

/** Of a change that is made by a whole group at once, and before which nothing is saved. */
export function snapshotNotices(
  service: ServiceName,
  {
    coordinated,
    compiled,
  }: {
    readonly coordinated: Reason | undefined
    readonly compiled: Pick<Compiled, 'snapshot'>
  },
  policies: SnapshotPolicies | undefined,
): readonly Reason[] {
  const policy = policies?.[service]
  const isSaved = policy?.command !== undefined || copiedOf(compiled.snapshot, policy).length > 0
  if (policies === undefined || coordinated === undefined || isSaved) return []
  const message = `no snapshot of ${service} is taken before it is stopped with its group: take a backup yourself, or name a program with command in [snapshots.${service}] of agent.toml`
  return [{ code: 'snapshot-none', message }]
}
