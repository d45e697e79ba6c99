// The node's own configuration, `/etc/tlsfleet/agent.toml`: root-owned, never written by tlsfleet.
// It says what only the node can know, and may narrow what the agent is allowed to do.

import * as z from 'zod/mini'
import { OperationalError, describeError } from '../shared/errors.ts'
import { Activation } from '../shared/contract/report.ts'
import { parser } from '../shared/contract/schema.ts'
import { SERVICE_NAMES, ServiceName } from '../shared/contract/service.ts'
import { parseDuration } from '../shared/duration.ts'
import { LocalIssuersDocument, localIssuers } from './desired-file.ts'
import type { Files } from './host.ts'
import type { LocalIssuers } from './issuers.ts'

export const CONFIG_PATH = '/etc/tlsfleet/agent.toml'

const Document = z.strictObject({
  /** Where identity, ledger and journal are. */
  stateDirectory: z._default(z.string().check(z.startsWith('/')), '/var/lib/tlsfleet/agent'),
  /** A full look at everything, whatever the watchers say. */
  interval: z._default(z.string(), '5m'),
  logLevel: z._default(z.enum(['debug', 'info', 'warn', 'error']), 'info'),
  issuers: z.optional(LocalIssuersDocument),
  /** What the agent may do at most. */
  allow: z._default(
    z.strictObject({
      services: z._default(z.array(ServiceName), [...SERVICE_NAMES]),
      activations: z._default(z.array(Activation), ['none', 'reload', 'restart']),
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
}

export interface Allowance {
  readonly services: readonly ServiceName[]
  readonly activations: readonly Activation[]
}

const parseDocument = parser('agent.toml', Document, 'config-invalid')

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
  return { stateDirectory, intervalMs, logLevel, allow, issuers: localIssuers(document.issuers) }
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
