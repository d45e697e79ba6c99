// The node's own configuration, `/etc/tlsfleet/agent.toml`: root-owned, never written by tlsfleet.
// It says what only the node can know, and may narrow what the agent is allowed to do.

import * as z from 'zod/mini'
import { OperationalError, describeError } from '../shared/errors.ts'
import { Activation } from '../shared/contract/report.ts'
import { parser } from '../shared/contract/schema.ts'
import { SERVICE_NAMES, ServiceName } from '../shared/contract/service.ts'
import { parseDuration } from '../shared/duration.ts'
import { LocalCredentialsDocument, LocalIssuersDocument, localIssuers } from './desired-file.ts'
import type { Limits } from './allowed.ts'
import type { Files } from './host.ts'
import type { MetricsFile } from './metrics-file.ts'
import type { LocalIssuers } from './issuers.ts'
import type { OfflineRule } from './offline-rule.ts'
import { snapshotPolicies, type SnapshotPolicies, SnapshotsDocument } from './snapshot-policy.ts'

export const CONFIG_PATH = '/etc/tlsfleet/agent.toml'

/** The file as it is written; docs/reference/agent-toml.md is generated from it. */
// Absolute, without a slash at its end, and nothing in it that leads elsewhere.
const AllowedPath = z
  .string()
  .check(z.regex(/^(?!.*\/\.{1,2}(\/|$))(\/[^/\0]+)+$/, 'an absolute path such as /etc/prometheus'))

export const AgentToml = z.strictObject({
  /** Where identity, ledger and journal are. */
  stateDirectory: z._default(z.string().check(z.startsWith('/')), '/var/lib/tlsfleet/agent'),
  /** A full look at everything, whatever the watchers say. */
  interval: z._default(z.string(), '5m'),
  logLevel: z._default(z.enum(['debug', 'info', 'warn', 'error']), 'info'),
  issuers: z.optional(LocalIssuersDocument),
  /** What products are asked with, where they tell more to whom they know. */
  credentials: z.optional(LocalCredentialsDocument),
  /** For node_exporter's textfile collector. */
  metrics: z.optional(
    z.strictObject({
      textfile: z.string().check(z.regex(/^\/.+\.prom$/)),
      /** Also when nothing has happened, so often; without it a converged agent writes nothing. */
      refresh: z.optional(z.string()),
    }),
  ),
  /** What it does by itself while its controller does not answer. */
  offline: z._default(
    z.strictObject({
      disruptive: z._default(z.enum(['group', 'wait', 'go']), 'group'),
      renewWithin: z.optional(z.string()),
    }),
    { disruptive: 'group' },
  ),
  /** What saves a service before it is stopped with those of other nodes. */
  snapshots: z.optional(SnapshotsDocument),
  /** What the agent may do at most. */
  allow: z._default(
    z.strictObject({
      services: z._default(z.array(ServiceName), [...SERVICE_NAMES]),
      activations: z._default(z.array(Activation), ['none', 'reload', 'restart']),
      /** Directories and files below or at which it may write; absent: where the products keep theirs. */
      paths: z.optional(z.array(AllowedPath)),
    }),
    { services: [...SERVICE_NAMES], activations: ['none', 'reload', 'restart'] },
  ),
})

export interface AgentConfig {
  readonly stateDirectory: string
  readonly intervalMs: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly issuers: LocalIssuers
  readonly allow: Allowance
  readonly metricsFile: MetricsFile | undefined
  readonly offline: OfflineRule
  readonly snapshots: SnapshotPolicies
}

export interface Allowance extends Limits {
  readonly services: readonly ServiceName[]
}

const parseDocument = parser('agent.toml', AgentToml, 'config-invalid')

/**
 * `given`: the path that somebody named; without it the usual one, where there may be no file.
 * Throws `config-invalid`.
 */
export async function loadConfig(files: Files, given: string | undefined): Promise<AgentConfig> {
  const path = given ?? CONFIG_PATH
  const bytes = await files.read(path)
  if (bytes === undefined && given !== undefined)
    throw new OperationalError('config-invalid', `could not find ${path}`)
  const document = parseDocument(
    bytes === undefined ? {} : await parseToml(Buffer.from(bytes).toString('utf8'), path),
  )
  const intervalMs = parseDuration(document.interval)
  if (intervalMs === undefined || intervalMs < INTERVAL_MS_MIN || intervalMs > INTERVAL_MS_MAX) {
    throw new OperationalError(
      'config-invalid',
      `could not use interval "${document.interval}" of ${path}`,
      {
        hint: 'a duration from 10s to 1d, for example 5m',
      },
    )
  }
  const { stateDirectory, logLevel, allow } = document
  return {
    stateDirectory,
    intervalMs,
    logLevel,
    allow,
    issuers: localIssuers(document),
    metricsFile: metricsFile(document.metrics, path),
    offline: offlineRule(document.offline, path),
    snapshots: snapshotPolicies(document.snapshots, path),
  }
}

function offlineRule(
  offline: {
    readonly disruptive: OfflineRule['disruptive']
    readonly renewWithin?: string | undefined
  },
  path: string,
): OfflineRule {
  const { disruptive, renewWithin } = offline
  const renewWithinMs = renewWithin === undefined ? undefined : parseDuration(renewWithin)
  if (renewWithin !== undefined && renewWithinMs === undefined)
    throw new OperationalError(
      'config-invalid',
      `could not use offline.renewWithin "${renewWithin}" of ${path}`,
      { hint: 'a duration, for example 24h' },
    )
  return { disruptive, renewWithinMs }
}

function metricsFile(
  metrics: { readonly textfile: string; readonly refresh?: string | undefined } | undefined,
  path: string,
): MetricsFile | undefined {
  if (metrics === undefined) return undefined
  const { textfile, refresh } = metrics
  const refreshMs = refresh === undefined ? undefined : parseDuration(refresh)
  const isRange =
    refreshMs !== undefined && refreshMs >= INTERVAL_MS_MIN && refreshMs <= INTERVAL_MS_MAX
  if (refresh !== undefined && !isRange)
    throw new OperationalError(
      'config-invalid',
      `could not use metrics.refresh "${refresh}" of ${path}`,
      { hint: 'a duration from 10s to 1d, for example 1h' },
    )
  return { path: textfile, refreshMs }
}

// More often would be a busy loop: changes are seen by the watchers anyway.
const INTERVAL_MS_MIN = 10_000
// The agent's own identity is looked at as often; at half of its life there must be many looks left.
const INTERVAL_MS_MAX = 86_400_000

async function parseToml(text: string, path: string): Promise<unknown> {
  const { parse } = await import('smol-toml')
  try {
    return parse(text)
  } catch (error) {
    throw new OperationalError(
      'config-invalid',
      `could not parse ${path}: ${describeError(error).split('\n')[0]}`,
    )
  }
}
