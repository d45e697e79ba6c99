// The loop that all tree-shaped formats share: edit, read again, compare, and only then believe it.

import type { ConfigEdit, EditResult, KeyMatch, Refused } from './edit.ts'
import { type ConfigValue, describePath, isTable, isWritable, refused } from './edit.ts'
import { lookup } from './lookup.ts'
import { findDamage } from './ownership.ts'
import type { Splices } from './text.ts'
import { applySplices, refuseUndecodable, splitBom } from './text.ts'

export type Parsed = { readonly kind: 'parsed'; readonly value: unknown } | Refused

export interface Language {
  readonly keys: KeyMatch
  /** Reads with a parser that the editor's positions do not come from. */
  readonly parse: (text: string) => Parsed
  /** One edit of a text that parses and does not have the wanted value yet. */
  readonly edit: (text: string, edit: ConfigEdit) => Splices
  readonly asConfig: (value: unknown) => ConfigValue
  /** The wanted value as `parse` would give it. */
  readonly asParsed: (value: ConfigValue) => unknown
}

interface State {
  readonly kind: 'state'
  readonly text: string
  readonly value: unknown
}

/** The edits in their order, all of them or none. */
export function applyEdits(
  text: string,
  edits: readonly ConfigEdit[],
  language: Language,
): EditResult {
  const { bom, body } = splitBom(text)
  const parsed = refuseUndecodable(body) ?? language.parse(body)
  if (parsed.kind === 'refused') return parsed
  let state: State = { kind: 'state', text: body, value: parsed.value }
  for (const edit of edits) {
    const next = applyEdit(state, edit, language)
    if (next.kind === 'refused') return next
    state = next
  }
  return { kind: 'edited', text: state.text === body ? text : bom + state.text }
}

function applyEdit(state: State, edit: ConfigEdit, language: Language): State | Refused {
  const { value } = edit
  const what = describePath(edit.path)
  if (edit.path.length === 0) return refused('unsupported-shape', 'cannot replace the whole file')
  if (value !== undefined && !isWritable(value)) {
    return refused('unsupported-shape', `cannot write ${what}: the value is not valid text`)
  }
  if (damageOf(state, state, edit, language) === undefined) return state

  const after = applyParts(state, edit, language)
  if (after.kind === 'refused') return after
  const damage = damageOf(state, after, edit, language)
  if (damage === undefined) return after
  return refused('not-lossless', `cannot edit ${what}: ${damage}`)
}

function applyParts(state: State, edit: ConfigEdit, language: Language): State | Refused {
  const parts = splitEdit(state, edit, language)
  if (parts !== undefined) {
    let current = state
    for (const part of parts) {
      const next = applyEdit(current, part, language)
      if (next.kind === 'refused') return next
      current = next
    }
    return current
  }
  const result = language.edit(state.text, edit)
  if (result.kind === 'refused') return result
  const text = applySplices(state.text, result.splices)
  const parsed = language.parse(text)
  if (parsed.kind === 'parsed') return { kind: 'state', text, value: parsed.value }
  const message = `cannot edit ${describePath(edit.path)}: the result would not parse`
  return refused('not-lossless', message)
}

/** A table that takes the place of a table is edited key by key, so that its comments stay. */
function splitEdit(
  state: State,
  { path, value }: ConfigEdit,
  { keys, asConfig }: Language,
): readonly ConfigEdit[] | undefined {
  if (value === undefined || !isTable(value) || Object.keys(value).length === 0) return undefined
  const matches = lookup(asConfig(state.value), path, { keys })
  const tables = matches.map(match => match.value).filter(isTable)
  if (tables.length === 0 || tables.length < matches.length) return undefined
  if (tables.every(table => Object.keys(table).length === 0)) return undefined
  const isWanted = (key: string) =>
    Object.keys(value).some(wanted => lookup({ [key]: null }, [wanted], { keys }).length > 0)
  const obsolete = tables.flatMap(table => Object.keys(table)).filter(key => !isWanted(key))
  return [
    ...Object.entries(value).map(([key, child]) => ({ path: [...path, key], value: child })),
    ...obsolete.map(key => ({ path: [...path, key], value: undefined })),
  ]
}

function damageOf(
  before: State,
  after: State,
  edit: ConfigEdit,
  { keys, asParsed }: Language,
): string | undefined {
  const wanted = edit.value === undefined ? undefined : asParsed(edit.value)
  return findDamage({ before: before.value, after: after.value, edit, keys, wanted })
}
