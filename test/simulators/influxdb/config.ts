// influxdb.conf as influxd reads it: the defaults, the file over them, the environment over both. Keys
// and tables are found in any case, unknown ones are ignored, wrong types are refused.
//
// What keys there are and of which type is read off the defaults that `influxd config` of 1.6.7 prints;
// what came later, or only with Enterprise, is in MORE_KEYS.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseToml, TomlError } from 'smol-toml'
import { GoError, readGoFile } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'

export type Build = 'OSS' | 'Enterprise'
type Value = string | number | boolean
type Table = Record<string, Value>

export interface Config {
  /** Effective values, table by table; the keys before any table are in ''. */
  readonly tables: ReadonlyMap<string, Readonly<Table>>
  /** What the program says while it reads, as on standard error. */
  readonly warnings: readonly string[]
}

export interface Product {
  readonly version: string
  readonly build: Build
}

/** table, key, default, first version, and in which build. */
const MORE_KEYS: readonly (readonly [string, string, Value, string, Build | 'both'])[] = [
  ['http', 'ping-auth-enabled', false, '1.7.0', 'both'],
  ['tls', 'max-version', '', '1.6.2', 'both'],
  ['http', 'https-insecure-certificate', false, '1.12.3', 'both'],
  ['http', 'https-client-auth-type', '', '1.13.0', 'both'],
  ['meta', 'meta-tls-enabled', false, '1.0', 'Enterprise'],
  ['meta', 'meta-insecure-tls', false, '1.0', 'Enterprise'],
  ['cluster', 'https-enabled', false, '1.7.3', 'Enterprise'],
  ['cluster', 'https-certificate', '', '1.7.3', 'Enterprise'],
  ['cluster', 'https-private-key', '', '1.7.3', 'Enterprise'],
  ['cluster', 'https-insecure-tls', false, '1.7.3', 'Enterprise'],
  ['cluster', 'https-insecure-certificate', false, '1.12.3', 'Enterprise'],
]

/** Throws a GoError with what follows `run: ` or `config: `. */
export function readConfig(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  product: Product,
): Config {
  const tables = defaults(product)
  const warnings: string[] = []
  if (file !== undefined) {
    const text = rewriteCluster(
      prefixed(() => decode(file)),
      product,
      warnings,
    )
    overlay(tables, parseFile(text), text)
  }
  applyEnvironment(tables, environment)
  validate(tables, product)
  return { tables, warnings }
}

export function valueOf(config: Config, table: string, key: string): Value | undefined {
  return config.tables.get(table)?.[key]
}

/** As `influxd config` prints it. */
export function formatConfig({ tables }: Config): string {
  const blocks = [...tables].map(([name, table]) => {
    const indent = name === '' ? '' : '  '
    const lines = Object.entries(table).map(
      ([key, value]) => `${indent}${key} = ${JSON.stringify(value)}`,
    )
    return [
      ...(name === '' ? [] : [ARRAYS.has(name) ? `[[${name}]]` : `[${name}]`]),
      ...lines,
    ].join('\n')
  })
  return `${blocks.join('\n\n')}\n`
}

const ARRAYS = new Set(['graphite', 'collectd', 'opentsdb', 'udp'])

function defaults({ version, build }: Product): Map<string, Table> {
  const tables = new Map<string, Table>([['', {}]])
  const text = readFileSync(join(import.meta.dirname, 'defaults-1.6.toml'), 'utf8')
  for (const [name, value] of Object.entries(parseToml(text))) {
    const table = Array.isArray(value) ? value[0] : value
    if (isScalar(table)) tables.set('', { ...tables.get(''), [name]: table })
    else tables.set(name, scalarsOf(table))
  }
  for (const [table, key, value, since, where] of MORE_KEYS) {
    if (!isAtLeast(version, since) || (where !== 'both' && where !== build)) continue
    tables.set(table, { ...tables.get(table), [key]: value })
  }
  return tables
}

/** OSS still takes the name that [coordinator] had before 0.12, also where both then collide. */
function rewriteCluster(text: string, { build }: Product, warnings: string[]): string {
  const cluster = /^\s*\[cluster\]/m
  if (build === 'Enterprise' || !cluster.test(text)) return text
  warnings.push(
    'deprecated config option [cluster] replaced with [coordinator]; [cluster] will not be supported in a future release',
  )
  return text.replace(cluster, found => found.replace('cluster', 'coordinator'))
}

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
  if (!isScalar(value)) return
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

function mismatch(text: string, written: string, value: Value): string {
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
      const value = environment[variable]
      if (value === undefined || value === '') continue
      if (typeof known === 'boolean') table[key] = parseBool(value, variable, key)
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

function validate(tables: ReadonlyMap<string, Table>, { version }: Product): void {
  const versions = isAtLeast(version, '1.8.0') ? ['SSL3.0', ...TLS, 'TLS1.3'] : ['SSL3.0', ...TLS]
  for (const key of ['min-version', 'max-version']) {
    const value = String(tables.get('tls')?.[key] ?? '')
    if (value !== '' && !versions.includes(value.toUpperCase())) {
      const known = versions.join(', ')
      throw new GoError(
        `unknown tls version: ${JSON.stringify(value)}. available versions: ${known}${HINT}`,
      )
    }
  }
}

const TLS = ['TLS1.0', 'TLS1.1', 'TLS1.2']

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

function isScalar(value: unknown): value is Value {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

function isDuration(value: Value): boolean {
  return typeof value === 'string' && /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$|^0$/.test(value)
}

function scalarsOf(table: unknown): Table {
  const entries = typeof table === 'object' && table !== null ? Object.entries(table) : []
  const scalars: Table = {}
  for (const [key, value] of entries) if (isScalar(value)) scalars[key] = value
  return scalars
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
