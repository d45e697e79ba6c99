// Writes values as YAML that all parsers in the field agree on: 1.1 (go-yaml, SnakeYAML) and 1.2.

import type { ConfigValue } from './edit.ts'
import { isList, isTable } from './edit.ts'

export type Quotes = 'single' | 'double' | undefined

/** On one line, as it may stand in a block or between brackets. */
export function flowText(value: ConfigValue, quotes?: Quotes): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return stringText(value, quotes)
  if (typeof value === 'number') return numberText(value)
  if (typeof value === 'boolean') return String(value)
  if (isList(value)) return `[${value.map(item => flowText(item)).join(', ')}]`
  if (!isTable(value)) return 'null'
  const pairs = Object.entries(value).map(([key, child]) => `${keyText(key)}: ${flowText(child)}`)
  return `{${pairs.join(', ')}}`
}

/** `key: value` as lines of a block, tables nested below their key, lists between brackets. */
export function blockLines(
  key: string,
  value: ConfigValue,
  layout: { readonly indent: string; readonly step: string },
): readonly string[] {
  const name = `${layout.indent}${keyText(key)}:`
  if (!isTable(value) || Object.keys(value).length === 0) return [`${name} ${flowText(value)}`]
  return [name, ...tableLines(value, { ...layout, indent: layout.indent + layout.step })]
}

export function tableLines(
  table: { readonly [key: string]: ConfigValue },
  layout: { readonly indent: string; readonly step: string },
): readonly string[] {
  return Object.entries(table).flatMap(([key, child]) => blockLines(key, child, layout))
}

export function keyText(key: string): string {
  return PLAIN_KEY.test(key) && !RESERVED.test(key) ? key : doubleQuoted(key)
}

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/
const PLAIN_STRING = /^[A-Za-z/][A-Za-z0-9_/.-]*$/
// Words that one parser or the other takes for a boolean or for nothing.
const RESERVED = /^(?:y|n|yes|no|on|off|true|false|null)$/i

function stringText(value: string, quotes: Quotes): string {
  if (quotes === 'single' && !UNPRINTABLE.test(value)) return `'${value.replaceAll("'", "''")}'`
  if (quotes === undefined && PLAIN_STRING.test(value) && !RESERVED.test(value)) return value
  return doubleQuoted(value)
}

// What YAML forbids, folds or treats as a line end in one of its versions.
// oxlint-disable-next-line no-control-regex -- control characters are what must be found
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/

function doubleQuoted(value: string): string {
  const escape = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value).replace(new RegExp(UNPRINTABLE, 'g'), escape)
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  return String(value)
}
