// elasticsearch.yml as the node reads it: every spelling becomes one flat map.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

export type Setting = string | readonly string[]
export type Settings = ReadonlyMap<string, Setting>

/** Stops the node before it has started; the text is what the product says. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** From `flat.key`, nested maps and mixtures; what is said last wins, unless a map names one key twice. */
export function readSettings(directory: string, environment: NodeJS.ProcessEnv): Settings {
  if (existsSync(join(directory, 'elasticsearch.yaml'))) {
    throw new StartError(
      'elasticsearch.yaml was deprecated in 5.5.0 and must be renamed to elasticsearch.yml',
    )
  }
  const file = join(directory, 'elasticsearch.yml')
  // Without the file everything has its default.
  return existsSync(file) ? parseSettings(readFileSync(file, 'utf8'), environment) : new Map()
}

export function parseSettings(text: string, environment: NodeJS.ProcessEnv): Settings {
  const lines = new LineCounter()
  // Duplicates are looked for below, where the message is the product's; anchors are not special.
  const document = parseDocument(text, { uniqueKeys: false, lineCounter: lines })
  const [problem] = document.errors
  if (problem !== undefined) {
    throw new StartError(`Failed to load settings from [elasticsearch.yml]: ${problem.message}`)
  }
  const settings = new Map<string, Setting>()
  const root: unknown = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return settings
  if (!isMap(root)) {
    throw new StartError(
      'Failed to load settings from [elasticsearch.yml]: malformed, expected an object',
    )
  }
  flatten(root, '', { settings, lines, environment })
  return settings
}

interface Reading {
  readonly settings: Map<string, Setting>
  readonly lines: LineCounter
  readonly environment: NodeJS.ProcessEnv
}

function flatten(map: Node, prefix: string, reading: Reading): void {
  if (!isMap(map)) return
  const seen = new Set<string>()
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : String(key)
    if (seen.has(name)) throw new StartError(`Duplicate field '${name}'`)
    seen.add(name)
    const path = `${prefix}${name}`
    if (isMap(value)) {
      flatten(value, `${path}.`, reading)
    } else if (isSeq(value)) {
      const values = value.items.map(item => textOf(item, path, reading))
      put(reading, path, values)
    } else {
      put(reading, path, textOf(value, path, reading))
    }
  }
}

/** A later spelling of the key takes the place of an earlier one. */
function put({ settings }: Reading, path: string, value: Setting): void {
  settings.delete(path)
  settings.set(path, value)
}

function textOf(value: unknown, path: string, { lines, environment }: Reading): string {
  const scalar = isScalar(value) ? value : undefined
  if (scalar === undefined || scalar.value === null) {
    const { line, col } = lines.linePos(scalar?.range?.[0] ?? 0)
    throw new StartError(
      `null-valued setting found for key [${path}] found at line number [${line}], column number [${col}]`,
    )
  }
  const text =
    typeof scalar.value === 'string' || typeof scalar.value === 'boolean'
      ? String(scalar.value)
      : // A number keeps the spelling of the file.
        (scalar.source ?? '')
  return text.replaceAll(/\$\{([^}]*)\}/g, (_match, name: string) => {
    const found = environment[name]
    if (found === undefined) throw new StartError(`Could not resolve placeholder '${name}'`)
    return found
  })
}

export function settingOf(settings: Settings, key: string): string | undefined {
  const value = settings.get(key)
  return typeof value === 'object' ? value.join(',') : value
}

/** A list, or a text with commas. */
export function listOf(settings: Settings, key: string): readonly string[] | undefined {
  const value = settings.get(key)
  if (typeof value !== 'string') return value
  return value
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

export function booleanOf(settings: Settings, key: string, byDefault: boolean): boolean {
  const value = settingOf(settings, key)
  if (value === undefined || value === '') return byDefault
  if (value === 'true' || value === 'false') return value === 'true'
  throw new StartError(
    `Failed to parse value [${value}] as only [true] or [false] are allowed for setting [${key}]`,
  )
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `5s`, `500ms`, `1m`; undefined where it is none. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  if (match === null) return text === '0' || text === '-1' ? Number(text) : undefined
  return Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1)
}

export function durationOf(settings: Settings, key: string, byDefaultMs: number): number {
  const value = settingOf(settings, key)
  if (value === undefined) return byDefaultMs
  const found = durationMs(value)
  if (found === undefined) {
    throw new StartError(
      `failed to parse setting [${key}] with value [${value}] as a time value: unit is missing or unrecognized`,
    )
  }
  return found
}
