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

import { readFileSync } from 'node:fs'
import { isIP, isIPv6 } from 'node:net'
import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import * as z from 'zod/mini'
import { problemsOf } from '../shared/contract/schema.ts'
import { OperationalError, systemErrorCode } from '../shared/errors.ts'
import { LOG_LEVELS } from '../shared/log.ts'
import { normalizeDnsName, normalizeIpAddress } from '../shared/pki/names.ts'
import { nearest } from './fleet/nearest.ts'

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
const ConfigFile = z.strictObject({
  dataDir: z.optional(Text),
  publicNames: z.optional(z.array(Text).check(z.maxLength(32))),
  logLevel: z.optional(z.enum(LOG_LEVELS)),
  passphraseFile: z.optional(Text),
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
  }
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
  const known = Object.keys(isTop ? ConfigFile.shape : LISTEN_DEFAULT)
  const near = nearest(key, known)
  return `unknown key ${key}${near === undefined ? '' : `, did you mean ${near}?`}`
}

function normalizeName(name: string): string {
  return isIP(name) === 0 ? normalizeDnsName(name, { wildcard: false }) : normalizeIpAddress(name)
}

function invalid(message: string, cause?: unknown): OperationalError {
  return new OperationalError('config-invalid', message, { cause })
}
