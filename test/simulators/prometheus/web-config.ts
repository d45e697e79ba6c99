// web-config.yml as exporter-toolkit reads it: strictly, each key since its own version, and again
// for every connection and request. Texts are those of Prometheus 2.42.

import { dirname, resolve } from 'node:path'
import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml'
import type { ClientAuth, GoTlsConfig } from '../go/server.ts'
import { GoError, loadX509KeyPair, readGoFile, x509KeyPair } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'

export interface WebConfig {
  /** Undefined: no TLS is configured. Loading the pair is part of using it. */
  readonly tls: TlsServerConfig | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly users: Readonly<Record<string, string>>
}

interface TlsServerConfig {
  readonly [key: string]: string | readonly string[]
}

/** Which exporter-toolkit a Prometheus has: what is in between has at least the one before it. */
const TOOLKIT = [
  ['3.8', '0.15.0'],
  ['3.5', '0.14.0'],
  ['3.0', '0.13.0'],
  ['2.55', '0.12.0'],
  ['2.53', '0.11.0'],
  ['2.45', '0.10.0'],
  ['2.42', '0.8.2'],
  ['2.37', '0.7.1'],
  ['2.24', '0.4.0'],
] as const

type Kind = 'string' | 'bool' | 'number' | 'strings' | 'map'
interface Struct {
  readonly name: string
  /** Key → its type and the first version of the toolkit that knows it. */
  readonly fields: Readonly<
    Record<string, { readonly type: Kind | Struct; readonly since: string }>
  >
}

const always = (type: Kind | Struct) => ({ type, since: '0' })
const TLS: Struct = {
  name: 'web.TLSConfig',
  fields: {
    cert_file: always('string'),
    key_file: always('string'),
    client_auth_type: always('string'),
    client_ca_file: always('string'),
    min_version: always('string'),
    max_version: always('string'),
    cipher_suites: always('strings'),
    curve_preferences: always('strings'),
    prefer_server_cipher_suites: always('bool'),
    client_allowed_sans: { type: 'strings', since: '0.10.0' },
    cert: { type: 'string', since: '0.11.0' },
    key: { type: 'string', since: '0.11.0' },
    client_ca: { type: 'string', since: '0.11.0' },
  },
}
const CONFIG: Struct = {
  name: 'web.Config',
  fields: {
    tls_server_config: always(TLS),
    http_server_config: {
      type: {
        name: 'web.HTTPConfig',
        fields: {
          http2: { type: 'bool', since: '0.5.0' },
          headers: { type: 'map', since: '0.7.0' },
        },
      },
      since: '0',
    },
    basic_auth_users: always('map'),
    rate_limit: {
      type: {
        name: 'web.RateLimiterConfig',
        fields: { burst: always('number'), interval: always('string') },
      },
      since: '0.15.0',
    },
  },
}

/** Throws a GoError: the file cannot be read, is no YAML, or has what this version does not know. */
export function readWebConfig(file: string, version: string): WebConfig {
  const lines = new LineCounter()
  const documents = parseAllDocuments(readGoFile(file), { lineCounter: lines, uniqueKeys: false })
  const document = Array.isArray(documents) ? documents[0] : undefined
  const problem = document?.errors[0]
  if (problem !== undefined) {
    const message = problem.message.split(/ at line|\n/)[0]
    throw new GoError(`yaml: line ${problem.linePos?.[0].line ?? 1}: ${message}`)
  }
  const contents = document?.contents ?? null
  const toolkit = toolkitOf(version)
  const errors = contents === null ? [] : checkStruct(contents, CONFIG, toolkit, lines)
  if (errors.length > 0) {
    throw new GoError(`yaml: unmarshal errors:\n${errors.map(error => `  ${error}`).join('\n')}`)
  }
  const section = (map: unknown, key: string) => (isMap(map) ? map.get(key, true) : undefined)
  const http = section(contents, 'http_server_config')
  return {
    tls: tlsOf(section(contents, 'tls_server_config')),
    headers: stringsOf(section(http, 'headers')),
    users: stringsOf(section(contents, 'basic_auth_users')),
  }
}

/** What promtool and a start check beyond reading it. */
export function validateWebConfig(file: string, version: string): void {
  const config = readWebConfig(file, version)
  for (const hash of Object.values(config.users)) {
    if (hash.length < 59)
      throw new GoError('crypto/bcrypt: hashedSecret too short to be a bcrypted password')
  }
  if (config.tls !== undefined) loadTls(file, config.tls)
  for (const [name, value] of Object.entries(config.headers)) {
    const allowed = HEADERS[name]
    if (allowed === undefined) throw new GoError(`HTTP header "${name}" can not be configured`)
    if (allowed.length > 0 && value !== '' && !allowed.includes(value)) {
      const expected = allowed.map(text => `"${text}"`).join(' ')
      throw new GoError(
        `invalid value for ${name}. Expected one of: [${expected}], but got: "${value}"`,
      )
    }
  }
}

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'Strict-Transport-Security': [],
  'X-Content-Type-Options': ['nosniff'],
  'X-Frame-Options': ['deny', 'sameorigin'],
  'X-XSS-Protection': [],
  'Content-Security-Policy': [],
}

/** The pair and the clients' CA, read from disk now. */
export function loadTls(file: string, tls: TlsServerConfig): GoTlsConfig {
  const text = (key: string) => (typeof tls[key] === 'string' ? tls[key] : '')
  // Relative to the file, wherever the process was started.
  const path = (key: string) => (text(key) === '' ? '' : resolveLikeGo(file, text(key)))
  if (path('cert_file') === '' && text('cert') === '') throw new GoError('missing cert_file')
  if (path('key_file') === '' && text('key') === '') throw new GoError('missing key_file')
  const pair = prefixed('failed to load X509KeyPair: ', () =>
    text('cert') === ''
      ? loadX509KeyPair(path('cert_file'), path('key_file'))
      : x509KeyPair(text('cert'), text('key')),
  )
  const caFile = path('client_ca_file')
  const clientCa = caFile === '' ? text('client_ca') || undefined : readGoFile(caFile)
  const clientAuth = clientAuthOf(text('client_auth_type'))
  if (clientCa !== undefined && clientAuth === 'NoClientCert') {
    throw new GoError("Client CA's have been configured without a Client Auth Policy")
  }
  return {
    pair,
    clientAuth,
    clientCa,
    minVersion: versionOf(text('min_version')) ?? 'TLSv1.2',
    maxVersion: versionOf(text('max_version')) ?? 'TLSv1.3',
  }
}

/** The path that Go's filepath.Join would print: relative to a bare file name it stays bare. */
function resolveLikeGo(file: string, path: string): string {
  const directory = dirname(file)
  if (path.startsWith('/')) return path
  return directory === '.' ? path : resolve(directory, path)
}

function prefixed<T>(prefix: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof GoError) throw new GoError(`${prefix}${error.message}`)
    throw error
  }
}

function clientAuthOf(text: string): ClientAuth {
  switch (text) {
    case '':
      return 'NoClientCert'
    case 'RequireClientCert':
      return 'RequireAnyClientCert'
    case 'NoClientCert':
    case 'RequestClientCert':
    case 'RequireAnyClientCert':
    case 'VerifyClientCertIfGiven':
    case 'RequireAndVerifyClientCert':
      return text
    default:
      throw new GoError(`Invalid ClientAuth: ${text}`)
  }
}

function versionOf(text: string): GoTlsConfig['minVersion'] | undefined {
  return text === '' ? undefined : VERSIONS[text]
}

const VERSIONS: Readonly<Record<string, 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
}
const CURVES = ['CurveP256', 'CurveP384', 'CurveP521', 'X25519']

function toolkitOf(version: string): string {
  return TOOLKIT.find(([prometheus]) => isAtLeast(version, prometheus))?.[1] ?? '0'
}

function checkStruct(
  node: Node,
  struct: Struct,
  toolkit: string,
  lines: LineCounter,
): readonly string[] {
  const line = (at: unknown) => lines.linePos(rangeStart(at)).line
  if (!isMap(node)) {
    if (isScalar(node) && node.value === null) return []
    return [`line ${line(node)}: cannot unmarshal ${describe(node)} into ${struct.name}`]
  }
  const errors: string[] = []
  const seen = new Set<string>()
  for (const item of node.items) {
    if (!isPair(item) || !isScalar(item.key)) continue
    const key = String(item.key.value)
    const field = struct.fields[key]
    if (field === undefined || !isAtLeast(toolkit, field.since)) {
      errors.push(`line ${line(item.key)}: field ${key} not found in type ${struct.name}`)
    } else if (seen.has(key)) {
      errors.push(`line ${line(item.key)}: field ${key} already set in type ${struct.name}`)
    } else {
      errors.push(...checkValue(item.value, key, field.type, toolkit, lines))
    }
    seen.add(key)
  }
  return errors
}

function checkValue(
  value: unknown,
  key: string,
  type: Kind | Struct,
  toolkit: string,
  lines: LineCounter,
): readonly string[] {
  if (!isMap(value) && !isSeq(value) && !isScalar(value)) return []
  if (typeof type === 'object') return checkStruct(value, type, toolkit, lines)
  if (isScalar(value) && value.value === null) return []
  const { line } = lines.linePos(rangeStart(value))
  const wrong = (go: string) => [`line ${line}: cannot unmarshal ${describe(value)} into ${go}`]
  switch (type) {
    case 'string':
      if (!isScalar(value)) return wrong('string')
      checkName(key, String(value.value))
      return []
    case 'bool':
      return isScalar(value) && typeof value.value === 'boolean' ? [] : wrong('bool')
    case 'number':
      return isScalar(value) && typeof value.value === 'number' ? [] : wrong('int')
    case 'strings':
      if (!isSeq(value)) return wrong('[]string')
      for (const item of value.items) if (isScalar(item)) checkName(key, String(item.value))
      return []
    case 'map':
      return isMap(value) ? [] : wrong('map[string]string')
  }
}

/** Names that the toolkit looks up while it reads; an unknown one ends the reading. */
function checkName(key: string, name: string): void {
  if ((key === 'min_version' || key === 'max_version') && VERSIONS[name] === undefined) {
    throw new GoError(`unknown TLS version: ${name}`)
  }
  if (key === 'curve_preferences' && !CURVES.includes(name))
    throw new GoError(`unknown curve: ${name}`)
  if (key === 'cipher_suites' && !/^TLS_[A-Z0-9_]+$/.test(name))
    throw new GoError(`unknown cipher: ${name}`)
}

function describe(node: Node): string {
  if (isSeq(node)) return '!!seq'
  if (isMap(node)) return '!!map'
  if (!isScalar(node)) return '!!null'
  const type =
    typeof node.value === 'string' ? 'str' : typeof node.value === 'boolean' ? 'bool' : 'int'
  return `!!${type} \`${String(node.value)}\``
}

function rangeStart(node: unknown): number {
  return isMap(node) || isSeq(node) || isScalar(node) ? (node.range?.[0] ?? 0) : 0
}

/** Undefined where none of the keys that switch TLS on is set: then there is none. */
function tlsOf(section: unknown): TlsServerConfig | undefined {
  if (!isMap(section)) return undefined
  const settings: Record<string, string | readonly string[]> = {}
  const object: unknown = section.toJSON()
  for (const [key, value] of Object.entries(object ?? {})) {
    if (Array.isArray(value)) settings[key] = value.map(String)
    else if (value !== null) settings[key] = `${value}`
  }
  const switches = [
    'cert_file',
    'key_file',
    'cert',
    'key',
    'client_auth_type',
    'client_ca_file',
    'client_ca',
  ]
  return switches.some(key => (settings[key] ?? '') !== '') ? settings : undefined
}

function stringsOf(section: unknown): Readonly<Record<string, string>> {
  if (!isMap(section)) return {}
  return Object.fromEntries(entries(section))
}

function entries(map: YAMLMap): readonly (readonly [string, string])[] {
  const object: unknown = map.toJSON()
  return Object.entries(object ?? {}).map(([key, value]) => [key, String(value)])
}
