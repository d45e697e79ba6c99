// The logical tree of a TOML file: what each key means, and every place where it is written.

import { type AST, parseTOML } from 'toml-eslint-parser'
import { unreachable } from '../../shared/assert.ts'
import type { ConfigPath, ConfigValue } from './edit.ts'
import { isList, isTable } from './edit.ts'

/** `[header]` and the lines below it; without a header, the lines above the first one. */
export interface Section {
  readonly kind: 'section'
  readonly header: AST.TOMLTable | undefined
  readonly body: readonly AST.TOMLKeyValue[]
  /** The position among all sections of the file; 0 has no header. */
  readonly index: number
}

export interface Inline {
  readonly kind: 'inline'
  readonly node: AST.TOMLInlineTable
}

/** A table that exists because the first `depth` names of a dotted key say so. */
export interface Dotted {
  readonly kind: 'dotted'
  readonly host: Section | Inline
  readonly keyValue: AST.TOMLKeyValue
  readonly depth: number
}

export interface Table {
  readonly kind: 'table'
  readonly path: ConfigPath
  readonly entries: Map<string, TomlNode>
  readonly places: (Section | Inline | Dotted)[]
  /** Of an inline table that is the value of a key. */
  readonly pair: Pair | undefined
}

/** `[[header]]`, one item for each. */
export interface Tables {
  readonly kind: 'tables'
  readonly path: ConfigPath
  readonly items: Table[]
}

export interface Value {
  readonly kind: 'value'
  readonly path: ConfigPath
  readonly node: AST.TOMLValue | AST.TOMLArray
  /** `undefined` for an item of an array. */
  readonly pair: Pair | undefined
}

/** `key = value`, with the table that it is written in. */
export interface Pair {
  readonly host: Section | Inline
  readonly keyValue: AST.TOMLKeyValue
}

export type TomlNode = Table | Tables | Value

export interface TomlTree {
  readonly text: string
  readonly root: Table
  readonly sections: readonly Section[]
  readonly comments: readonly AST.Comment[]
}

/** `text` has no byte order mark. Throws `ParseError`. */
export function parseTomlTree(text: string): TomlTree {
  // At the very end of a text the parser gives the integer 0 an empty range.
  const program = parseTOML(text.endsWith('\n') ? text : `${text}\n`)
  const [top] = program.body
  const root = newTable([])

  const first = top.body.filter(node => node.type === 'TOMLKeyValue')
  const headers = top.body.filter(node => node.type === 'TOMLTable')
  const sections: Section[] = [{ kind: 'section', header: undefined, body: first, index: 0 }]
  for (const header of headers) {
    sections.push({ kind: 'section', header, body: header.body, index: sections.length })
  }
  for (const section of sections) {
    const table = section.header === undefined ? root : openTable(root, section.header)
    table.places.push(section)
    for (const keyValue of section.body) addPair(table, { host: section, keyValue })
  }
  return { text, root, sections, comments: program.comments }
}

export function keyNames(key: AST.TOMLKey): readonly string[] {
  return key.keys.map(part => (part.type === 'TOMLBare' ? part.name : part.value))
}

/** The child under a name or an index, made up for items of arrays. */
export function itemOf(node: TomlNode, index: number): TomlNode | undefined {
  if (node.kind === 'tables') return node.items[index]
  if (node.kind === 'table' || node.node.type !== 'TOMLArray') return undefined
  const element = node.node.elements[index]
  return element && contentNode(element, [...node.path, index], undefined)
}

export function sameAs(node: TomlNode, wanted: ConfigValue): boolean {
  if (node.kind === 'tables') {
    return (
      isList(wanted) &&
      wanted.length === node.items.length &&
      node.items.every((item, index) => sameAs(item, wanted[index] ?? null))
    )
  }
  if (node.kind === 'table') {
    if (!isTable(wanted) || Object.keys(wanted).length !== node.entries.size) return false
    return [...node.entries].every(
      ([key, child]) => Object.hasOwn(wanted, key) && sameAs(child, wanted[key] ?? null),
    )
  }
  if (node.node.type === 'TOMLArray') {
    if (!isList(wanted) || wanted.length !== node.node.elements.length) return false
    return wanted.every((item, index) => {
      const child = itemOf(node, index)
      return child !== undefined && sameAs(child, item)
    })
  }
  return sameScalar(node.node, wanted)
}

function sameScalar(node: AST.TOMLValue, wanted: ConfigValue): boolean {
  switch (node.kind) {
    case 'integer':
      return Number.isSafeInteger(wanted) && node.bigint === BigInt(Number(wanted))
    case 'float':
      return !Number.isSafeInteger(wanted) && Object.is(node.value, wanted)
    case 'string':
    case 'boolean':
      return node.value === wanted
    case 'offset-date-time':
    case 'local-date-time':
    case 'local-date':
    case 'local-time':
      return false
    default:
      return unreachable(node)
  }
}

function newTable(path: ConfigPath): Table {
  return { kind: 'table', path, entries: new Map(), places: [], pair: undefined }
}

function openTable(root: Table, header: AST.TOMLTable): Table {
  const names = keyNames(header.key)
  let table = root
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1
    const existing = table.entries.get(name)
    if (isLast && header.kind === 'array') {
      const path = [...table.path, name]
      const tables = existing?.kind === 'tables' ? existing : newTables(path)
      table.entries.set(name, tables)
      table = newTable([...path, tables.items.length])
      tables.items.push(table)
    } else {
      table = childTable(table, name)
    }
  }
  return table
}

function newTables(path: ConfigPath): Tables {
  return { kind: 'tables', path, items: [] }
}

/** The table under a name, made when it is missing; under `[[name]]`, the newest item. */
function childTable(table: Table, name: string): Table {
  const existing = table.entries.get(name)
  const item = existing?.kind === 'tables' ? existing.items.at(-1) : existing
  if (item?.kind === 'table') return item
  const created = newTable([...table.path, name])
  table.entries.set(name, created)
  return created
}

function addPair(table: Table, pair: Pair): void {
  const names = keyNames(pair.keyValue.key)
  let target = table
  for (const [index, name] of names.slice(0, -1).entries()) {
    target = childTable(target, name)
    target.places.push({ kind: 'dotted', ...pair, depth: index + 1 })
  }
  const name = names.at(-1) ?? ''
  target.entries.set(name, contentNode(pair.keyValue.value, [...target.path, name], pair))
}

function contentNode(
  content: AST.TOMLContentNode,
  path: ConfigPath,
  pair: Pair | undefined,
): TomlNode {
  if (content.type !== 'TOMLInlineTable') return { kind: 'value', path, node: content, pair }
  const inline = { kind: 'inline', node: content } as const
  const table: Table = { ...newTable(path), places: [inline], pair }
  for (const keyValue of content.body) addPair(table, { host: inline, keyValue })
  return table
}
