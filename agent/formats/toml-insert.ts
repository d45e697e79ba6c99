// Where a key that a TOML file does not have yet is written, so that it lands in the table it is
// meant for: inside an inline table, beside its dotted siblings, below its header, or below a new one.

import type { AST } from 'toml-eslint-parser'
import type { ConfigPath, ConfigValue } from './edit.ts'
import { describePath, refused } from './edit.ts'
import type { Splice, Splices } from './text.ts'
import { eolAt, indentAt, insertLines, lineEnd, lineStart, splices } from './text.ts'
import { tomlKey, tomlLiteral } from './toml-literal.ts'
import { findTemplateEnd } from './toml-template.ts'
import type { Dotted, Inline, Section, Table, Tables, TomlNode, TomlTree } from './toml-tree.ts'

export interface Insertion {
  /** The deepest part of the path that the file has. */
  readonly parent: Table | Tables
  /** What is missing below it; the last step is the key. */
  readonly rest: ConfigPath
  readonly value: ConfigValue
  readonly isCaseSensitive: boolean
}

export function insertToml(tree: TomlTree, insertion: Insertion): Splices {
  const { parent, rest, value } = insertion
  const literal = tomlLiteral(value)
  if (literal === undefined) return refused('unsupported-shape', 'TOML has no null')
  const key = rest.at(-1)
  if (typeof key !== 'string') {
    return refused('unsupported-shape', `cannot add ${describePath(rest)}: not a key of a table`)
  }
  if (parent.kind === 'tables' && typeof rest[0] === 'string') {
    const what = describePath(parent.path)
    return refused('unsupported-shape', `cannot add ${describePath(rest)}: ${what} needs an index`)
  }
  const isNested = rest.length > 1 || parent.kind === 'tables'
  const place = parent.kind === 'table' ? choosePlace(parent) : undefined
  if (place === undefined || (place.kind === 'section' && isNested)) {
    return insertSection(tree, insertion, `${tomlKey(key)} = ${literal}`)
  }
  if (place.kind === 'section') {
    return splices(insertLine(tree, place, `${tomlKey(key)} = ${literal}`, insertion))
  }
  const names = rest.filter(step => typeof step === 'string')
  if (names.length < rest.length) {
    return refused('unsupported-shape', `cannot add a list item for ${describePath(rest)}`)
  }
  return splices(
    place.kind === 'inline'
      ? insertInline(tree.text, place, nestInline(names, literal))
      : insertDotted(tree.text, place, names, literal),
  )
}

function choosePlace(table: Table): Section | Inline | Dotted | undefined {
  return table.places.find(place => place.kind !== 'dotted') ?? table.places.at(-1)
}

function insertLine(
  tree: TomlTree,
  section: Section,
  line: string,
  { rest, isCaseSensitive }: Insertion,
): Splice {
  const { text } = tree
  const range = { start: sectionStart(tree, section), end: sectionLimit(tree, section) }
  const key = String(rest.at(-1))
  const template = findTemplateEnd(tree, section, range, { key, isCaseSensitive })
  if (template !== undefined) return insertLines(text, template.offset, template.indent + line)

  const last = section.body.at(-1)
  if (last !== undefined) {
    const indent = indentAt(text, last.range[0])
    return insertLines(text, lineEnd(text, last.range[1]), indent + line)
  }
  if (section.header === undefined) {
    return insertLines(text, sectionEnd(tree, section), line)
  }
  return insertLines(text, range.start, newKeyIndent(tree, range) + line)
}

function insertInline(text: string, { node }: Inline, pair: string): Splice {
  const last = node.body.at(-1)
  if (last !== undefined) {
    return { start: last.range[1], end: last.range[1], text: `, ${pair}` }
  }
  const [start, end] = node.range
  const isBlank = text.slice(start + 1, end - 1).trim() === ''
  return isBlank
    ? { start, end, text: `{ ${pair} }` }
    : { start: start + 1, end: start + 1, text: ` ${pair}` }
}

function nestInline(names: readonly string[], literal: string): string {
  const inner = `${tomlKey(names.at(-1) ?? '')} = ${literal}`
  return names.slice(0, -1).reduceRight((nested, name) => `${tomlKey(name)} = { ${nested} }`, inner)
}

/** A table made of dotted keys may not be opened by a header, so the new key is dotted as well. */
function insertDotted(
  text: string,
  { keyValue, depth, host }: Dotted,
  names: readonly string[],
  literal: string,
): Splice {
  const prefixEnd = keyValue.key.keys[depth - 1]?.range[1] ?? keyValue.key.range[1]
  const prefix = text.slice(keyValue.key.range[0], prefixEnd)
  const pair = `${prefix}.${names.map(tomlKey).join('.')} = ${literal}`
  if (host.kind === 'inline') {
    return { start: keyValue.range[1], end: keyValue.range[1], text: `, ${pair}` }
  }
  const indent = indentAt(text, keyValue.range[0])
  return insertLines(text, lineEnd(text, keyValue.range[1]), indent + pair)
}

function insertSection(tree: TomlTree, { parent, rest }: Insertion, line: string): Splices {
  const headers = newHeaders(parent, rest)
  if (headers === undefined) {
    return refused('unsupported-shape', `cannot add ${describePath(rest)}: a list item is missing`)
  }
  const { text } = tree
  const after = lastSectionBefore(tree, parent)
  const offset = sectionEnd(tree, after)
  const eol = eolAt(text, offset)
  const isBelowBlank = offset === 0 || /(^|\n)[ \t]*\r?\n$/.test(text.slice(0, offset))
  const isAboveBlank = offset === text.length || /^[ \t]*\r?\n/.test(text.slice(offset))
  const lines = [...headers, newKeyIndent(tree) + line]
  if (!isBelowBlank) lines.unshift('')
  if (!isAboveBlank) lines.push('')
  return splices(insertLines(text, offset, lines.join(eol)))
}

/** The header lines that open the missing tables; `undefined` when a list would get a hole. */
function newHeaders(parent: Table | Tables, rest: ConfigPath): readonly string[] | undefined {
  const names = parent.path.filter(step => typeof step === 'string').map(tomlKey)
  const missing = rest.slice(0, -1)
  const headers: string[] = missing.length === 0 ? [`[${names.join('.')}]`] : []
  let listLength = parent.kind === 'tables' ? parent.items.length : undefined
  for (const [index, step] of missing.entries()) {
    if (typeof step === 'number') {
      if (step !== listLength) return undefined
      headers.push(`[[${names.join('.')}]]`)
      listLength = undefined
    } else {
      if (listLength !== undefined && index === 0) return undefined
      names.push(tomlKey(step))
      listLength = 0
      if (index === missing.length - 1) headers.push(`[${names.join('.')}]`)
    }
  }
  return headers
}

/**
 * A header below `[[x]]` means the newest item, so a new sub-table of an item is written among the
 * sections of that item; a new top table goes to the end of the file.
 */
function lastSectionBefore(tree: TomlTree, parent: Table | Tables): Section {
  const scope = parent.kind === 'tables' ? parent : enclosingItem(tree, parent.path)
  const index = scope === undefined ? -1 : lastSectionOf(scope)
  return tree.sections.at(index) ?? tree.sections[0] ?? emptySection
}

const emptySection: Section = { kind: 'section', header: undefined, body: [], index: 0 }

function enclosingItem(tree: TomlTree, path: ConfigPath): Table | undefined {
  let node: TomlNode | undefined = tree.root
  let item: Table | undefined
  for (const step of path) {
    if (node?.kind === 'tables' && typeof step === 'number') node = item = node.items[step]
    else if (node?.kind === 'table') node = node.entries.get(String(step))
  }
  return item
}

function lastSectionOf(node: TomlNode): number {
  if (node.kind === 'value') return -1
  if (node.kind === 'tables') return Math.max(-1, ...node.items.map(lastSectionOf))
  const own = node.places.map(place => (place.kind === 'section' ? place.index : -1))
  return Math.max(-1, ...own, ...node.entries.values().map(lastSectionOf))
}

function sectionStart({ text }: TomlTree, { header }: Section): number {
  return header === undefined ? 0 : lineEnd(text, header.key.range[1])
}

/** The start of the next header's line. */
function sectionLimit({ text, sections }: TomlTree, section: Section): number {
  const next = sections[section.index + 1]?.header
  return next === undefined ? text.length : lineStart(text, next.range[0])
}

/** The end of a section, above the blank lines and the banner that announce the next one. */
function sectionEnd(tree: TomlTree, section: Section): number {
  const { text } = tree
  const limit = sectionLimit(tree, section)
  if (limit === text.length) return limit
  const last = section.body.at(-1)
  const floor = last === undefined ? sectionStart(tree, section) : lineEnd(text, last.range[1])
  const above = (offset: number, pattern: RegExp): number => {
    let at = offset
    while (at > floor && pattern.test(text.slice(lineStart(text, at - 1), at))) {
      at = lineStart(text, at - 1)
    }
    return at
  }
  return above(above(above(limit, BLANK), BANNER), BLANK)
}

const BLANK = /^[ \t]*\r?\n$/
const BANNER = /^#/

/** New keys are indented as the keys around them, or as most first keys of the file. */
function newKeyIndent(tree: TomlTree, range?: { start: number; end: number }): string {
  const isInRange = (comment: AST.Comment) =>
    range !== undefined && comment.range[0] >= range.start && comment.range[0] < range.end
  const comment = tree.comments.find(isInRange)
  if (comment !== undefined) return indentAt(tree.text, comment.range[0])
  const sample = tree.sections.find(section => section.header && section.body.length > 0)
  const first = sample?.body[0]
  return first === undefined ? '' : indentAt(tree.text, first.range[0])
}
