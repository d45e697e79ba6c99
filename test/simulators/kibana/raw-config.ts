// kibana.yml as Kibana reads it: strict YAML, every value put at its dotted path so that the last
// spelling wins, lists merged item by item over several files, `${VAR}` only, the keystore last.

import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { isAtLeast } from '../version.ts'
import { KibanaFailure } from './failure.ts'

export type RawConfig = Readonly<Record<string, unknown>>

export interface ConfigSources {
  /** Later ones win. */
  readonly files: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** `--server.port=5601` on the command line: beats the files. */
  readonly overrides: Readonly<Record<string, unknown>>
  /** Beats everything. */
  readonly keystore: Readonly<Record<string, unknown>>
  readonly version: string
}

/** Throws where a file cannot be read or parsed, or names a variable that is not set. */
export function readRawConfig(sources: ConfigSources): RawConfig {
  const config: Record<string, unknown> = {}
  for (const file of sources.files) {
    mergeAt(config, '', readYaml(file, sources.version), sources.env)
  }
  for (const more of [sources.overrides, sources.keystore]) {
    for (const [key, value] of Object.entries(more)) setAt(config, key, value)
  }
  return config
}

function readYaml(file: string, version: string): unknown {
  const lines = new LineCounter()
  const document = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines, merge: true })
  const [error] = document.errors
  if (error === undefined) return document.toJS()
  if (isAtLeast(version, '9.0.0')) throw new KibanaFailure(error.message)
  // 8.x has js-yaml, which has its own words.
  const { line, col } = lines.linePos(error.pos[0])
  const what =
    error.code === 'DUPLICATE_KEY'
      ? 'duplicated mapping key'
      : error.message.replace(/ at line [^]*/, '')
  throw new KibanaFailure(`${what} at line ${line}, column ${col}:`)
}

function mergeAt(
  config: Record<string, unknown>,
  path: string,
  value: unknown,
  env: NodeJS.ProcessEnv,
): void {
  if (isContainer(value) && Object.keys(value).length > 0) {
    for (const [key, child] of Object.entries(value)) {
      mergeAt(config, path === '' ? key : `${path}.${key}`, child, env)
    }
  } else if (path !== '') {
    setAt(config, path, typeof value === 'string' ? replaceVariables(value, env) : value)
  }
}

/** `$VAR`, `${VAR:default}` and `$${VAR}` are no references. */
function replaceVariables(text: string, env: NodeJS.ProcessEnv): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = env[name]
    if (value !== undefined) return value
    throw new KibanaFailure(`Unknown environment variable referenced in config : ${name}`)
  })
}

/** A scalar on the way gives way, a number makes a list. */
function setAt(config: Record<string, unknown>, path: string, value: unknown): void {
  const segments = path.split('.')
  const last = segments.pop() ?? ''
  let at: Record<string, unknown> = config
  for (const [index, segment] of segments.entries()) {
    const found = Object.hasOwn(at, segment) ? at[segment] : undefined
    if (isContainer(found)) {
      at = found
      continue
    }
    const next: Record<string, unknown> = isIndex(segments[index + 1] ?? last) ? newList() : {}
    at[segment] = next
    at = next
  }
  at[last] = value
}

function newList(): Record<string, unknown> {
  const list: unknown = []
  return isContainer(list) ? list : {}
}

function isIndex(segment: string): boolean {
  return /^\d+$/.test(segment)
}

/** Lists too: to a list, an index is a key. */
export function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !(value instanceof Date)
}

export function valueAt(config: RawConfig, path: string): unknown {
  let at: unknown = config
  for (const segment of path.split('.')) {
    if (!isContainer(at) || !Object.hasOwn(at, segment)) return undefined
    at = at[segment]
  }
  return at
}
