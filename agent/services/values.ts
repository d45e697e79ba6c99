// Reading parsed configuration files, whose values can be of any kind.

import { isList, isTable, type ConfigValue, type ReadResult } from '../formats/edit.ts'
import { refusal, type Refusal } from './reasons.ts'
import type { SeenFile } from './service.ts'

export type Table = { readonly [key: string]: ConfigValue }

export interface Document {
  readonly kind: 'document'
  readonly value: Table
}

/** What a configuration file holds, or why that cannot be known. */
export function documentIn(
  path: string,
  file: SeenFile | undefined,
  read: Read,
): Document | Refusal {
  if (file === undefined || file.kind === 'missing')
    return refusal('config-missing', `${path} does not exist`)
  if (file.kind === 'unreadable')
    return refusal('config-unreadable', `${path}: ${file.reason.message}`)
  const result = readOnce(file, read)
  if (result.kind === 'read') return { kind: 'document', value: result.value }
  const { problem } = result
  const line = problem.line === undefined ? '' : `, line ${problem.line}`
  const code = problem.code === 'duplicate-key' ? 'key-repeated' : 'config-unparsable'
  return refusal(code, `${path}${line}: ${problem.message}`)
}

type Read = (text: string) => ReadResult
type TextFile = Extract<SeenFile, { readonly kind: 'text' }>

// A driver that is asked for its inputs, asked again and then for what it wants asks what the file holds
// each time. Forgotten with the file.
const results = new WeakMap<TextFile, Map<Read, ReadResult>>()

function readOnce(file: TextFile, read: Read): ReadResult {
  const known = results.get(file) ?? new Map<Read, ReadResult>()
  results.set(file, known)
  const result = known.get(read) ?? read(file.text)
  known.set(read, result)
  return result
}

/** The value of a key; undefined where there is none. */
export function valueAt(table: Table | undefined, key: string): ConfigValue | undefined {
  return table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined
}

/** A table; undefined where there is something else or nothing. */
export function tableAt(table: Table | undefined, key: string): Table | undefined {
  const value = valueAt(table, key)
  return value !== undefined && isTable(value) ? value : undefined
}

export function textAt(table: Table | undefined, key: string): string | undefined {
  const value = valueAt(table, key)
  return typeof value === 'string' ? value : undefined
}

/** A list; empty where there is something else or nothing. */
export function listAt(table: Table | undefined, key: string): readonly ConfigValue[] {
  const value = valueAt(table, key)
  return value !== undefined && isList(value) ? value : []
}

/** Is there something that cannot hold the keys of a table? Nothing at all and `null` can. */
export function isNoTable(value: ConfigValue | undefined): boolean {
  return value !== undefined && value !== null && !isTable(value)
}
