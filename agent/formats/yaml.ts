// Lossless edits of YAML: elasticsearch.yml, kibana.yml, metricbeat.yml, prometheus.yml,
// web-config.yml. Positions come from the nodes of the `yaml` parser; the text is never printed anew.

import { type Document, parseDocument, type ParsedNode } from 'yaml'
import { applyEdits, type Parsed } from './apply.ts'
import type { ConfigEdit, ConfigValue, EditResult, ReadResult } from './edit.ts'
import { describePath, isList, isTable, type Refused, refused } from './edit.ts'
import {
  positionAt,
  refuseUndecodable,
  type Splice,
  type Splices,
  splices,
  splitBom,
} from './text.ts'
import { findYaml, type Found } from './yaml-find.ts'
import { insertYaml } from './yaml-insert.ts'
import { endsInBlockScalar, indentStep } from './yaml-layout.ts'
import { removeYaml } from './yaml-remove.ts'
import { replaceYaml } from './yaml-replace.ts'

/** Aliases and merge keys are resolved, as the products do. */
export function readYaml(text: string): ReadResult {
  const { body } = splitBom(text)
  const parsed = refuseUndecodable(body) ?? parseValue(body, { merge: true })
  if (parsed.kind === 'refused') return parsed
  const value = asConfig(parsed.value)
  return isTable(value) ? { kind: 'read', value } : refused('unsupported-shape', 'not a table')
}

/** The same for files whose top is a list, such as the modules of Beats. */
export function readYamlList(
  text: string,
): { readonly kind: 'read'; readonly value: readonly ConfigValue[] } | Refused {
  const { body } = splitBom(text)
  const parsed = refuseUndecodable(body) ?? parseValue(body, { merge: true })
  if (parsed.kind === 'refused') return parsed
  const value = asConfig(parsed.value)
  if (isList(value)) return { kind: 'read', value }
  const isEmpty = isTable(value) && Object.keys(value).length === 0
  return isEmpty ? { kind: 'read', value: [] } : refused('unsupported-shape', 'not a list')
}

/**
 * The edits in their order; all of them or none. With `flatKeys`, as in the products of Elastic,
 * `a.b.c: x` and its nested and mixed spellings are one key: it is edited in the spelling that is
 * there, and a new one is written dotted. Of several spellings the last one counts there; it is the
 * one that stays.
 *
 * Removing the last key of a table removes the table's own key too, because a key without a value
 * is null; a table between braces is left as `{}`, and so is one that is an item of a list.
 */
export function editYaml(
  text: string,
  edits: readonly ConfigEdit[],
  options: { readonly flatKeys?: boolean } = {},
): EditResult {
  const isFlat = options.flatKeys === true
  return applyEdits(text, edits, {
    keys: isFlat ? 'flat' : 'exact',
    parse: body => parseValue(body, { merge: false }),
    edit: (body, edit) => editOnce(body, edit, isFlat),
    asConfig,
    asParsed: value => value,
  })
}

function editOnce(text: string, edit: ConfigEdit, isFlat: boolean): Splices {
  const document = parseDocument(text, { keepSourceTokens: true, logLevel: 'error' })
  const result = editDocument(text, document, edit, isFlat)
  if (result.kind === 'refused') return result
  const isAppended = result.splices.some(splice => splice.start === text.length)
  if (!isAppended || !endsInBlockScalar(text, document.contents)) return result
  return refused('unsupported-shape', 'the file ends in a block of text without a final newline')
}

function editDocument(
  text: string,
  document: Document.Parsed<ParsedNode>,
  { path, value }: ConfigEdit,
  isFlat: boolean,
): Splices {
  const { matches, parents, obstacles } = findYaml(document.contents, path, isFlat)
  const [match, second] = matches
  if (second !== undefined && isFlat && obstacles.length === 0)
    return editLast(text, document, matches, value)
  if (second !== undefined) {
    const message = `${describePath(path)} is written ${matches.length} times`
    return refused('duplicate-key', message, positionOf(text, second))
  }
  const [obstacle] = obstacles
  if (obstacle !== undefined) {
    return refused('unsupported-shape', `cannot edit ${describePath(path)}: ${obstacle}`)
  }
  const layout = { text, step: indentStep(text, document.contents) }
  if (match !== undefined) {
    return value === undefined ? removeYaml(text, match.steps) : replaceYaml(layout, match, value)
  }
  const parent = parents.at(-1)
  if (parent === undefined || value === undefined) {
    return refused('unsupported-shape', `cannot edit ${describePath(path)}: no table to add it to`)
  }
  return insertYaml(layout, parent, value, isFlat)
}

function editLast(
  text: string,
  document: Document.Parsed<ParsedNode>,
  matches: readonly Found[],
  value: ConfigValue | undefined,
): Splices {
  const all: Splice[] = []
  for (const [index, match] of matches.entries()) {
    const isLast = index === matches.length - 1
    const layout = { text, step: indentStep(text, document.contents) }
    const result =
      isLast && value !== undefined
        ? replaceYaml(layout, match, value)
        : removeYaml(text, match.steps)
    if (result.kind === 'refused') return result
    all.push(...result.splices)
  }
  return splices(...all)
}

function positionOf(text: string, { steps }: Found): { line?: number; column?: number } {
  const step = steps.at(-1)
  return step?.kind === 'pair' ? positionAt(text, step.pair.key.range[0]) : {}
}

function parseValue(text: string, options: { readonly merge: boolean }): Parsed {
  try {
    const document = parseDocument(text, { ...options, logLevel: 'error' })
    return problemOf(document) ?? rootOf(document)
  } catch (error) {
    // Such as a bomb of aliases, or a nesting so deep that the stack ends.
    return refused('unparsable', error instanceof Error ? error.message : 'the file is not YAML')
  }
}

function problemOf({ errors }: Document.Parsed<ParsedNode>): Refused | undefined {
  const error = errors.find(({ code }) => code !== 'DUPLICATE_KEY') ?? errors[0]
  if (error === undefined) return undefined
  const [start] = error.linePos ?? []
  const position = start === undefined ? {} : { line: start.line, column: start.col }
  const [headline = ''] = error.message.split(/ at line |\n/)
  if (error.code === 'DUPLICATE_KEY') return refused('duplicate-key', headline, position)
  if (error.code !== 'MULTIPLE_DOCS') return refused('unparsable', headline, position)
  return refused('unsupported-shape', 'the file has several documents', position)
}

function rootOf(document: Document.Parsed<ParsedNode>): Parsed {
  const value: unknown = document.toJS()
  // A file of comments only, or of nothing, is a table without keys.
  const root = value === null || value === undefined ? {} : value
  if (typeof root === 'object') return { kind: 'parsed', value: root }
  return refused('unsupported-shape', 'the top of the file is neither a table nor a list')
}

function asConfig(value: unknown): ConfigValue {
  if (Array.isArray(value)) return value.map(asConfig)
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, asConfig(child)]))
  }
  if (typeof value === 'bigint') return String(value)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : null
}
