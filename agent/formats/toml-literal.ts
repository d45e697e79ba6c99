// Writes values as TOML 1.0, in forms that the oldest parser in the field reads as well.

import type { ConfigValue } from './edit.ts'
import { isList, isTable } from './edit.ts'

/** The value as TOML, or `undefined` when TOML has no such value: it knows no null. */
export function tomlLiteral(value: ConfigValue): string | undefined {
  if (value === null) return undefined
  if (typeof value === 'string') return basicString(value)
  if (typeof value === 'number') return numberLiteral(value)
  if (typeof value === 'boolean') return String(value)
  if (isList(value)) {
    const items = value.map(tomlLiteral)
    return items.includes(undefined) ? undefined : `[${items.join(', ')}]`
  }
  if (!isTable(value)) return undefined
  const pairs = Object.entries(value).map(([key, child]) => {
    const literal = tomlLiteral(child)
    return literal === undefined ? undefined : `${tomlKey(key)} = ${literal}`
  })
  if (pairs.includes(undefined)) return undefined
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

export function tomlKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : basicString(key)
}

/** A string in single quotes, where no escape is possible, or `undefined` when it needs one. */
export function literalString(value: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- control characters are what must be found
  return /['\u0000-\u0008\u000a-\u001f\u007f]/.test(value) ? undefined : `'${value}'`
}

function basicString(value: string): string {
  // JSON escapes all that TOML wants escaped but DEL.
  return JSON.stringify(value).replaceAll('\u007f', '\\u007f')
}

function numberLiteral(value: number): string {
  if (Number.isSafeInteger(value)) return String(value)
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  const text = String(value)
  return /[.e]/.test(text) ? text : `${text}.0`
}

/** The value as smol-toml reads the literal back: integers are bigints there. */
export function asParsedToml(value: ConfigValue): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (isList(value)) return value.map(asParsedToml)
  if (!isTable(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, asParsedToml(child)]))
}
