// Configuration as Beats read it (go-ucfg over yaml.v2): dots in keys are paths, in every spelling; maps
// that are given twice are merged, anything else that is given twice is an error. Of two equal keys of
// one map the last one counts.

import { LineCounter, parseDocument } from 'yaml'

export type Value = string | number | boolean | null | readonly Value[] | Settings
export interface Settings {
  readonly [key: string]: Value
}

/** What a Beat prints after `Exiting: `. */
export class BeatError extends Error {}

/** The top of a file: a map, or a list of them. */
export function parseConfig(text: string, source: string): Value {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.1',
    uniqueKeys: false,
    merge: true,
    lineCounter: lines,
  })
  const [error] = document.errors
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0])
    const words = YAML_WORDS[error.code] ?? error.message.replace(/ at line [^]*/, '')
    throw new BeatError(`yaml: line ${line}: ${words}`)
  }
  const top: unknown = document.toJS()
  return normalize(top ?? {}, '', source)
}

// Of libyaml, which yaml.v2 is made from.
const YAML_WORDS: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'mapping values are not allowed in this context',
  BAD_INDENT: 'did not find expected key',
  MISSING_CHAR: "could not find expected ':'",
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  TAB_AS_INDENT: 'found character that cannot start any token',
}

function normalize(value: unknown, path: string, source: string): Value {
  if (Array.isArray(value)) {
    return value.map((item, index) => normalize(item, join(path, String(index)), source))
  }
  if (isMap(value)) {
    const out: Record<string, Value> = {}
    for (const [key, child] of Object.entries(value)) {
      put(out, key, normalize(child, join(path, key), source), { path, source })
    }
    return out
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  return typeof value === 'string' ? value : JSON.stringify(value)
}

interface Place {
  readonly path: string
  readonly source: string
}

function put(into: Record<string, Value>, key: string, value: Value, place: Place): void {
  const [first = '', ...rest] = key.split('.')
  const found = Object.hasOwn(into, first) ? into[first] : undefined
  if (rest.length > 0) {
    const next: Record<string, Value> = {}
    put(next, rest.join('.'), value, { ...place, path: join(place.path, first) })
    put(into, first, next, place)
  } else if (found === undefined) {
    into[first] = value
  } else if (isSettings(found) && isSettings(value)) {
    // Copied, so that an alias of YAML is not changed along with it.
    const merged = { ...found }
    const inner = { ...place, path: join(place.path, first) }
    for (const [name, child] of Object.entries(value)) put(merged, name, child, inner)
    into[first] = merged
  } else {
    // Of two lists, ucfg makes one or the other by chance.
    throw accessing('duplicate key', join(place.path, first), place.source)
  }
}

export function accessing(what: string, path: string, source: string): BeatError {
  return new BeatError(`${what} accessing '${path}' (source:'${source}')`)
}

/** Of several files, and of -E: the later one wins. */
export function mergeSettings(under: Settings, over: Settings): Settings {
  const out: Record<string, Value> = { ...under }
  for (const [key, value] of Object.entries(over)) {
    const old = Object.hasOwn(under, key) ? under[key] : undefined
    out[key] =
      old !== undefined && isSettings(old) && isSettings(value) ? mergeSettings(old, value) : value
  }
  return out
}

/** Undefined also for null. */
export function valueAt(settings: Settings, path: string): Value | undefined {
  let at: Value | undefined = settings
  for (const key of path.split('.')) {
    if (at === undefined || !isSettings(at) || !Object.hasOwn(at, key)) return undefined
    at = at[key]
  }
  return at ?? undefined
}

export function settingsAt(settings: Settings, path: string): Settings {
  const value = valueAt(settings, path)
  return value !== undefined && isSettings(value) ? value : {}
}

export function textAt(settings: Settings, path: string): string | undefined {
  const value = valueAt(settings, path)
  if (value === undefined) return undefined
  if (typeof value !== 'object') return String(value)
  throw new BeatError(`can not convert 'object' into 'string' accessing '${path}'`)
}

/** One value is a list of one. */
export function textsAt(settings: Settings, path: string): readonly string[] {
  const value = valueAt(settings, path)
  if (value === undefined) return []
  return (isList(value) ? value : [value]).map(String)
}

export function numberAt(settings: Settings, path: string): number | undefined {
  const text = textAt(settings, path)
  if (text === undefined) return undefined
  if (/^-?\d+$/.test(text)) return Number(text)
  throw new BeatError(`can not convert 'string' into 'int' accessing '${path}'`)
}

export function isOn(settings: Settings, path: string, byDefault: boolean): boolean {
  const text = textAt(settings, path)
  return text === undefined ? byDefault : ['true', 'yes', 'on', '1'].includes(text.toLowerCase())
}

export function isSettings(value: Value): value is Settings {
  return typeof value === 'object' && value !== null && !isList(value)
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !(value instanceof Date)
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}
