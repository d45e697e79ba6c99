// A TOML file as influxd and influxd-meta read it: the defaults, the file over them, the environment
// over both. Keys and tables are found in any case, unknown ones are ignored, wrong types are refused.
// What keys there are and of which type is told by the defaults.

import { readFileSync } from 'node:fs'
import { parse as parseToml, TomlError } from 'smol-toml'
import { parseDurationMs } from './duration.ts'
import { GoError, readGoFile } from './x509-key-pair.ts'

export type Scalar = string | number | boolean
/** `{ paths = ["/x.pem"], include-system = false }`; without paths it counts as unset. */
export interface CaPool {
  readonly paths: readonly string[]
  readonly includeSystem: boolean
}
export type Value = Scalar | readonly string[] | CaPool
export type Table = Record<string, Value>

export interface Config {
  /** Effective values, table by table; the keys before any table are in ''. */
  readonly tables: ReadonlyMap<string, Readonly<Table>>
  /** What the program says while it reads, as on standard error. */
  readonly warnings: readonly string[]
}

export const UNSET_POOL: CaPool = { paths: [], includeSystem: false }

/** table, key, default, first version. */
export type KeySince = readonly [string, string, Value, string]

export interface ReadOptions {
  readonly file: string | undefined
  readonly environment: NodeJS.ProcessEnv
  /** Taken over and changed. */
  readonly defaults: Map<string, Table>
  readonly rewrite: (text: string) => string
  /** [tls] ciphers and versions, and what else only this program refuses. */
  readonly tlsVersions: readonly string[]
}

/** Throws a GoError with what follows `run: ` or `config: `. */
export function readTomlConfig(options: ReadOptions): ReadonlyMap<string, Readonly<Table>> {
  const { file, environment, defaults: tables, rewrite, tlsVersions } = options
  if (file !== undefined) {
    const text = rewrite(prefixed(() => decode(file)))
    overlay(tables, parseFile(text), text)
  }
  applyEnvironment(tables, environment)
  validateTls(tables, tlsVersions)
  return tables
}

export function valueOf(config: Config, table: string, key: string): Value | undefined {
  return config.tables.get(table)?.[key]
}

export function textOf(config: Config, table: string, key: string): string {
  const value = valueOf(config, table, key)
  return typeof value === 'string' ? value : ''
}

export function poolOf(config: Config, table: string, key: string): CaPool | undefined {
  const value = valueOf(config, table, key)
  return value !== undefined && isPool(value) && value.paths.length > 0 ? value : undefined
}

/** Of a duration that is known to be one. */
export function durationMsOf(config: Config, table: string, key: string): number {
  return parseDurationMs(textOf(config, table, key)) ?? 0
}

/** As the program's `config` prints it. */
export function formatConfig({ tables }: Config): string {
  const blocks = [...tables].map(([name, table]) => {
    const indent = name === '' ? '' : '  '
    const pools: string[] = []
    const lines = Object.entries(table).flatMap(([key, value]) => {
      if (isScalar(value)) return [`${indent}${key} = ${JSON.stringify(value)}`]
      if (!isPool(value)) {
        return value.length === 0 ? [] : [`${indent}${key} = ${JSON.stringify(value)}`]
      }
      if (value.paths.length === 0) return []
      const inside = [
        `    paths = ${JSON.stringify(value.paths)}`,
        `    include-system = ${value.includeSystem}`,
      ]
      pools.push(`  [${name}.${key}]`, ...inside)
      return []
    })
    const header = name === '' ? [] : [ARRAYS.has(name) ? `[[${name}]]` : `[${name}]`]
    return [...header, ...lines, ...pools].join('\n')
  })
  return `${blocks.join('\n\n')}\n`
}

const ARRAYS = new Set(['graphite', 'collectd', 'opentsdb', 'udp'])

/** UTF-8 with or without a byte order mark, or UTF-16 with one. */
function decode(file: string): string {
  const text = readGoFile(file)
  const isUtf16 = text.startsWith('\uFFFD\uFFFD')
  return (isUtf16 ? readFileSync(file, 'utf16le') : text).replace(/^\uFEFF/, '')
}

function parseFile(text: string): Readonly<Record<string, unknown>> {
  try {
    return parseToml(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new GoError(`parse config: toml: line ${error.line}${inGoWords(error, text)}`)
  }
}

/** The one message that operators meet, a table or key that is there twice, word for word. */
function inGoWords(error: TomlError, text: string): string {
  const said = (error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', '')
  if (!/redefine|already|duplicate/.test(said)) return `: ${said}`
  const lines = text.split('\n')
  const line = lines[error.line - 1] ?? ''
  const header = /^\s*\[\s*"?([\w.-]+)"?\s*\]/.exec(line)?.[1]
  if (header !== undefined) return `: Key '${header}' has already been defined.`
  const table = lines.slice(0, error.line).findLast(before => /^\s*\[/.test(before))
  const name = [table?.replace(/[[\]\s"]/g, ''), line.split('=')[0]?.trim()]
    .filter(Boolean)
    .join('.')
  return ` (last key "${name}"): Key '${name}' has already been defined.`
}

function overlay(
  tables: Map<string, Table>,
  parsed: Readonly<Record<string, unknown>>,
  text: string,
): void {
  // Where two keys differ only in case the real one takes either, differently from start to start.
  const entries = shuffled(Object.entries(parsed))
  for (const [written, value] of entries) {
    const name = written.toLowerCase()
    if (isScalar(value)) {
      const top = tables.get('')
      if (tables.has(name)) throw new GoError(mismatch(text, written, value))
      if (top !== undefined) setValue(top, '', written, value, text)
      continue
    }
    const table = tables.get(name)
    if (table === undefined) continue
    const given = Array.isArray(value) ? value[0] : value
    for (const [key, item] of shuffled(Object.entries(given ?? {})))
      setValue(table, name, key, item, text)
  }
}

function setValue(table: Table, name: string, written: string, value: unknown, text: string): void {
  const key = written.toLowerCase()
  const known = table[key]
  if (known === undefined) return
  const dotted = name === '' ? written : `${name}.${written}`
  const line = lineOf(text, name, written)
  const refuse = (type: string) => {
    const types = `TOML value has type ${typeName(value)}; destination has type ${type}`
    return new GoError(
      `parse config: toml: line ${line} (last key "${dotted}"): incompatible types: ${types}`,
    )
  }
  if (isPool(known)) {
    const pool = poolFrom(value)
    if (pool === undefined) throw refuse('struct')
    table[key] = pool
    return
  }
  if (typeof known === 'object') {
    if (!isStrings(value)) throw refuse('slice')
    table[key] = value
    return
  }
  if (!isScalar(value)) throw refuse(nameOfType(known))
  if (typeof known === 'boolean' && typeof value !== 'boolean') throw refuse('boolean')
  if (typeof known === 'string' && typeof value !== 'string') throw refuse('string')
  // Sizes are also written as "25m".
  const isSize = key.endsWith('-size') && typeof value === 'string'
  if (typeof known === 'number' && typeof value !== 'number' && !isSize) throw refuse('integer')
  if (isDuration(known) && typeof value === 'string' && !isDuration(value)) {
    throw new GoError(`parse config: time: invalid duration ${JSON.stringify(value)}`)
  }
  table[key] = value
}

function nameOfType(known: Scalar): string {
  if (typeof known === 'number') return 'integer'
  return typeof known === 'boolean' ? 'boolean' : 'string'
}

function poolFrom(value: unknown): CaPool | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const entries = new Map(Object.entries(value).map(([key, item]) => [key.toLowerCase(), item]))
  const [paths = [], includeSystem = false] = [entries.get('paths'), entries.get('include-system')]
  if (!isStrings(paths) || typeof includeSystem !== 'boolean') return undefined
  return { paths, includeSystem }
}

function mismatch(text: string, written: string, value: Scalar): string {
  const where = `line ${lineOf(text, '', written)} (last key "${written}")`
  const what = `type mismatch for ${written}d.Config: expected table but found ${typeName(value)}`
  return `parse config: toml: ${where}: ${what}`
}

/** INFLUXDB_ + table + key; an empty variable counts as none. */
function applyEnvironment(tables: Map<string, Table>, environment: NodeJS.ProcessEnv): void {
  for (const [name, table] of tables) {
    for (const [key, known] of Object.entries(table)) {
      const variable = ['influxdb', name, key]
        .filter(Boolean)
        .join('_')
        .replaceAll('-', '_')
        .toUpperCase()
      if (isPool(known)) {
        const paths = environment[`${variable}_PATHS`]
        const system = environment[`${variable}_INCLUDE_SYSTEM`]
        if (paths !== undefined && paths !== '') table[key] = { ...known, paths: paths.split(',') }
        if (system !== undefined && system !== '')
          table[key] = { ...known, includeSystem: parseBool(system, variable, key) }
        continue
      }
      const value = environment[variable]
      if (value === undefined || value === '') continue
      if (typeof known === 'boolean') table[key] = parseBool(value, variable, key)
      else if (typeof known === 'object') table[key] = value.split(',')
      else table[key] = typeof known === 'number' ? Number(value) : value
    }
  }
}

function parseBool(value: string, variable: string, key: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false
  const field = key
    .split('-')
    .map(word =>
      word === 'https' || word === 'http'
        ? word.toUpperCase()
        : word.charAt(0).toUpperCase() + word.slice(1),
    )
    .join('')
  throw new GoError(
    `apply env config: failed to apply ${variable} to ${field} using type bool and value '${value}': strconv.ParseBool: parsing "${value}": invalid syntax`,
  )
}

const HINT =
  '. To generate a valid configuration file run `influxd config > influxdb.generated.conf`'

function validateTls(tables: ReadonlyMap<string, Table>, versions: readonly string[]): void {
  for (const key of ['min-version', 'max-version']) {
    const value = tables.get('tls')?.[key]
    if (typeof value !== 'string') continue
    if (value !== '' && !versions.includes(value.toUpperCase())) {
      const known = versions.join(', ')
      throw new GoError(
        `unknown tls version: ${JSON.stringify(value)}. available versions: ${known}${HINT}`,
      )
    }
  }
  const ciphers = tables.get('tls')?.['ciphers']
  for (const cipher of isStrings(ciphers) ? ciphers : []) {
    // Only the form is judged: which ciphers there are depends on the Go it was built with.
    if (!/^TLS_[A-Z0-9_]+$/i.test(cipher)) {
      throw new GoError(`unknown cipher suite: ${JSON.stringify(cipher)}${HINT}`)
    }
  }
}

/** The line where a key stands, 1 where it cannot be found (inline tables, dotted keys). */
function lineOf(text: string, table: string, key: string): number {
  let current = ''
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const header = /^\s*\[+\s*"?([\w.-]+)"?\s*\]/.exec(line)?.[1]
    if (header !== undefined) current = header.toLowerCase()
    const name = line.split('=')[0]?.trim().replaceAll('"', '')
    if (current === table && name === key) return index + 1
  }
  return 1
}

function typeName(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  if (typeof value === 'boolean') return 'bool'
  return typeof value === 'string' ? 'string' : 'map[string]interface {}'
}

export function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function isPool(value: Value): value is CaPool {
  return typeof value === 'object' && 'paths' in value
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function isDuration(value: Scalar): boolean {
  return typeof value === 'string' && parseDurationMs(value) !== undefined
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items.toSorted(() => Math.random() - 0.5)
}

function prefixed<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof GoError) throw new GoError(`parse config: ${error.message}`)
    throw error
  }
}
