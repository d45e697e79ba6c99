// Lossless edits of TOML with variables, as Telegraf reads it: `${VAR}` and `$VAR` are put in before
// the text is parsed, so `timeout = ${T}` is legal there although it is not TOML. Variables outside
// of strings and comments are replaced by numbers that occur nowhere else, the result is edited as
// TOML, and the variables are put back.

import type { ConfigEdit, ConfigValue, EditResult, ReadResult } from './edit.ts'
import { isList, isTable, refused } from './edit.ts'
import { editToml, readToml } from './toml.ts'

/** Variables outside of strings are read as their own text, for example `${PORT}`. */
export function readTomlWithVariables(text: string): ReadResult {
  const masked = mask(text)
  const result = readToml(masked.text)
  if (result.kind === 'refused' || masked.variables.size === 0) return result
  const value = unmaskedValue(result.value, masked.variables)
  return isTable(value) ? { kind: 'read', value } : refused('unparsable', 'not a table')
}

export function editTomlWithVariables(text: string, edits: readonly ConfigEdit[]): EditResult {
  const masked = mask(text)
  const result = editToml(masked.text, edits)
  if (result.kind === 'refused') return result
  if (result.text === masked.text) return { kind: 'edited', text }
  return { kind: 'edited', text: unmaskedText(result.text, masked.variables) }
}

interface Masked {
  readonly text: string
  /** By the number that stands for it. */
  readonly variables: ReadonlyMap<string, string>
}

// Of 19 digits, as many as TOML's integers can have, and too many for JavaScript's numbers: read as text.
const FIRST_NUMBER = 7_777_000_000_000_000_001n

// Strings and comments first, so that what looks like a variable in them is passed over.
const TOKENS =
  /"""(?:\\[\s\S]|[^\\])*?"{3,5}|'''[\s\S]*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|(\$\{[^}\n"']*\}|\$[A-Za-z_][A-Za-z0-9_]*)/g

function mask(text: string): Masked {
  if (!text.includes('$')) return { text, variables: new Map() }
  const variables = new Map<string, string>()
  let number = FIRST_NUMBER
  const next = () => {
    while (text.includes(String(number))) number++
    return String(number++)
  }
  const masked = text.replace(TOKENS, (token: string, variable: string | undefined) => {
    if (variable === undefined) return token
    const stand = next()
    variables.set(stand, variable)
    return stand
  })
  return { text: masked, variables }
}

function unmaskedText(text: string, variables: ReadonlyMap<string, string>): string {
  if (variables.size === 0) return text
  return text.replace(/7777\d{15}/g, number => variables.get(number) ?? number)
}

function unmaskedValue(value: ConfigValue, variables: ReadonlyMap<string, string>): ConfigValue {
  if (typeof value === 'string') return variables.get(value) ?? value
  if (isList(value)) return value.map(item => unmaskedValue(item, variables))
  if (!isTable(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, unmaskedValue(child, variables)]),
  )
}
