// controller.toml and the flags that override it. Everything has a default but the names that the
// controller is reached by, and these are asked for once, by init.
//
//   publicNames = ["controller.example.org", "10.0.0.5"]   # in URLs (the first) and certificates
//   logLevel = "info"                                      # debug | info | warn | error | silent
//   passphraseFile = "/etc/tlsfleet/ca-passphrase"         # or the systemd credential ca-passphrase
//
//   [listen]
//   operator = "0.0.0.0:8443"
//   agent    = "0.0.0.0:8444"
//   enroll   = "0.0.0.0:8445"
//
//   [identity]                                             # of agents
//   lifetime = "7d"                                        # renewed at half of it
//   grace    = "30d"                                       # for coming back after its end by proof of the old key
//
//   [agents]
//   offlineAfter = "90s"                                   # an agent that was silent for so long
//
//   [operators]
//   clientCa = "/etc/tlsfleet/operators-ca.pem"           # client certificates beside tokens; absent: tokens only
//
//   [metrics]
//   listen = "127.0.0.1:9109"                            # without TLS and token, loopback only; absent: none
//
//   [[webhooks]]                                           # see webhooks/settings.ts
//
//   [[gates]]                                              # see gates/settings.ts
//
//   [acme.corp]                                            # see issuers/acme/settings.ts

import { readFileSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import * as z from 'zod/mini'
import { problemsOf } from '../shared/contract/schema.ts'
import { formatDuration, parseDuration } from '../shared/duration.ts'
import { OperationalError, systemErrorCode } from '../shared/errors.ts'
import { LOG_LEVELS } from '../shared/log.ts'
import { normalizeDnsName, normalizeIpAddress } from '../shared/pki/names.ts'
import { OFFLINE_AFTER_MS } from './api/presence.ts'
import { IDENTITY_POLICY, type IdentityPolicy } from './ca/succession.ts'
import { nearest } from './fleet/nearest.ts'
import { acmeDirectories, AcmeTable, type AcmeDirectory } from './issuers/acme/settings.ts'
import { isLoopback } from './metrics/listener.ts'
import { type GateSettings, GateTables, gateSettings } from './gates/settings.ts'
import { WebhookTables, webhookSettings, type WebhookSettings } from './webhooks/settings.ts'

export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

export interface ControllerSettings {
  readonly dataDir: string
  readonly listen: {
    readonly operator: ListenAddress
    readonly agent: ListenAddress
    readonly enroll: ListenAddress
  }
  /** DNS names and IP addresses, normalized; the first one is in the URLs. */
  readonly publicNames: readonly string[]
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly passphraseFile: string | undefined
  readonly identity: IdentityPolicy
  readonly offlineAfterMs: number
  readonly acme: readonly AcmeDirectory[]
  /** Metrics for this machine, beside those of the operators' listener. */
  readonly metricsListen: ListenAddress | undefined
  readonly webhooks: readonly WebhookSettings[]
  /** Whom rollouts may ask for a verdict. */
  readonly gates: readonly GateSettings[]
  /** File with the CA of operators' client certificates. */
  readonly operatorCa: string | undefined
}

/** As given on the command line; each wins over the file. */
export interface SettingFlags {
  readonly config?: string | undefined
  readonly dataDir?: string | undefined
  readonly listenOperator?: string | undefined
  readonly listenAgent?: string | undefined
  readonly listenEnroll?: string | undefined
  readonly publicNames?: readonly string[] | undefined
  readonly logLevel?: string | undefined
  readonly passphraseFile?: string | undefined
}

export const DATA_DIR_DEFAULT = '/var/lib/tlsfleet/controller'
const CONFIG_NAME = 'controller.toml'
const LISTEN_DEFAULT = {
  operator: '0.0.0.0:8443',
  agent: '0.0.0.0:8444',
  enroll: '0.0.0.0:8445',
} as const

const Text = z.string().check(z.minLength(1), z.maxLength(1024))
/** The file as it is written; docs/reference/controller-toml.md is generated from it. */
export const ConfigFile = z.strictObject({
  dataDir: z.optional(Text),
  publicNames: z.optional(z.array(Text).check(z.maxLength(32))),
  logLevel: z.optional(z.enum(LOG_LEVELS)),
  passphraseFile: z.optional(Text),
  identity: z.optional(z.strictObject({ lifetime: z.optional(Text), grace: z.optional(Text) })),
  agents: z.optional(z.strictObject({ offlineAfter: z.optional(Text) })),
  acme: z.optional(AcmeTable),
  metrics: z.optional(z.strictObject({ listen: z.optional(Text) })),
  operators: z.optional(z.strictObject({ clientCa: z.optional(Text) })),
  webhooks: z.optional(WebhookTables),
  gates: z.optional(GateTables),
  listen: z.optional(
    z.strictObject({
      operator: z.optional(Text),
      agent: z.optional(Text),
      enroll: z.optional(Text),
    }),
  ),
})
type ConfigFile = z.infer<typeof ConfigFile>

/** The file named must exist; without a name, controller.toml in the data directory may. Throws `config-invalid`. */
export function readSettings(flags: SettingFlags, hostName: string): ControllerSettings {
  const beside = join(flags.dataDir ?? DATA_DIR_DEFAULT, CONFIG_NAME)
  const file = readConfigFile(flags.config ?? beside, flags.config !== undefined)
  const given = flags.publicNames ?? []
  const publicNames = given.length > 0 ? given : (file.publicNames ?? [hostName])
  const logLevel = flags.logLevel ?? file.logLevel ?? 'info'
  const level = LOG_LEVELS.find(one => one === logLevel)
  if (level === undefined) throw invalid(`${logLevel} is not a log level: ${LOG_LEVELS.join(', ')}`)
  return {
    dataDir: flags.dataDir ?? file.dataDir ?? DATA_DIR_DEFAULT,
    listen: {
      operator: parseAddress(
        flags.listenOperator ?? file.listen?.operator ?? LISTEN_DEFAULT.operator,
      ),
      agent: parseAddress(flags.listenAgent ?? file.listen?.agent ?? LISTEN_DEFAULT.agent),
      enroll: parseAddress(flags.listenEnroll ?? file.listen?.enroll ?? LISTEN_DEFAULT.enroll),
    },
    publicNames: [...new Set(publicNames.map(normalizeName))],
    logLevel: level,
    passphraseFile: flags.passphraseFile ?? file.passphraseFile,
    identity: identityPolicy(file.identity),
    offlineAfterMs: durationIn('agents.offlineAfter', file.agents?.offlineAfter, OFFLINE_AFTER),
    acme: acmeDirectories(file.acme ?? {}, parseAddress),
    metricsListen: metricsAddress(file.metrics?.listen),
    webhooks: webhookSettings(file.webhooks ?? []),
    gates: gateSettings(file.gates ?? []),
    operatorCa: file.operators?.clientCa,
  }
}

// Certificates are dated back by five minutes: less than this would leave nothing of the life.
const IDENTITY_LIFETIME_MS_MIN = 15 * 60_000
/** Revocation does not wait for the end, but what the controller forgets must end some day. */
const IDENTITY_LIFETIME_MS_MAX = 90 * 86_400_000
const IDENTITY_GRACE_MS_MAX = 400 * 86_400_000

function identityPolicy({ lifetime, grace }: ConfigFile['identity'] = {}): IdentityPolicy {
  const { lifetimeMs, graceMs } = IDENTITY_POLICY
  return {
    lifetimeMs: durationIn('identity.lifetime', lifetime, [
      lifetimeMs,
      IDENTITY_LIFETIME_MS_MIN,
      IDENTITY_LIFETIME_MS_MAX,
    ]),
    graceMs: durationIn('identity.grace', grace, [graceMs, 0, IDENTITY_GRACE_MS_MAX]),
  }
}

// Less would take agents for gone that are only busy; more would keep rollouts waiting for those that are.
const OFFLINE_AFTER = [OFFLINE_AFTER_MS, 15_000, 3_600_000] as const

/** Of [when absent, least, most]. */
function durationIn(
  key: string,
  text: string | undefined,
  [defaultMs, minMs, maxMs]: readonly [number, number, number],
): number {
  const ms = text === undefined ? defaultMs : parseDuration(text)
  if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms
  const limits = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`
  throw invalid(`${key} is ${text}, not a duration ${limits}`)
}

// It asks for no token, so nobody but this machine may reach it.
function metricsAddress(text: string | undefined): ListenAddress | undefined {
  if (text === undefined) return undefined
  const address = parseAddress(text)
  if (isLoopback(address.host)) return address
  throw invalid(
    `metrics.listen is ${text}, not an address of loopback such as 127.0.0.1:9109; from elsewhere, GET /metrics of the operators' listener takes a token`,
  )
}

/** `host:port`, `[::]:port` or `:port`. Throws `config-invalid`. */
export function parseAddress(text: string): ListenAddress {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535)
    throw invalid(`${text} is not an address such as 0.0.0.0:8443, [::]:8443 or :8443`)
  return { host: host === '' ? '0.0.0.0' : host, port: Number(port) }
}

/** As nodes and operators reach a listener. */
export function publicUrl([name = 'localhost']: readonly string[], port: number): string {
  return `https://${isIPv6(name) ? `[${name}]` : name}:${port}`
}

/** The text of a configuration file for these settings: what init leaves behind. */
export function configText(settings: ControllerSettings): string {
  const { listen, publicNames } = settings
  const address = ({ host, port }: ListenAddress) =>
    JSON.stringify(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
  return `# Written by tlsfleet-controller init; flags win over it.
# Names and addresses that nodes and operators reach this controller by; the first is in the URLs.
publicNames = [${publicNames.map(name => JSON.stringify(name)).join(', ')}]

[listen]
operator = ${address(listen.operator)}
agent = ${address(listen.agent)}
enroll = ${address(listen.enroll)}
`
}

function readConfigFile(path: string, mustExist: boolean): ConfigFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if (!mustExist && systemErrorCode(cause) === 'ENOENT') return {}
    throw new OperationalError('config-unreadable', `could not read ${path}`, { cause })
  }
  const result = ConfigFile.safeParse(parseToml(path, text))
  if (result.success) return result.data
  const problems = problemsOf(result.error).flatMap(({ path: keys, message, unknownKeys }) =>
    unknownKeys.length > 0
      ? unknownKeys.map(key => unknownKey(key, keys.length === 0))
      : [`${keys.join('.')}: ${message}`],
  )
  throw invalid(`${path}: ${problems.join('; ')}`)
}

function parseToml(path: string, text: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    throw invalid(`${path}:${cause.line}:${cause.column}: is not valid TOML`, cause)
  }
}

function unknownKey(key: string, isTop: boolean): string {
  const known = isTop
    ? Object.keys(ConfigFile.shape)
    : [...Object.keys(LISTEN_DEFAULT), 'lifetime', 'grace', 'offlineAfter', 'clientCa']
  const near = nearest(key, known)
  return `unknown key ${key}${near === undefined ? '' : `, did you mean ${near}?`}`
}

function normalizeName(name: string): string {
  return isIP(name) === 0 ? normalizeDnsName(name, { wildcard: false }) : normalizeIpAddress(name)
}

function invalid(message: string, cause?: unknown): OperationalError {
  return new OperationalError('config-invalid', message, { cause })
}
