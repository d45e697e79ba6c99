// Lossless edits of TOML: influxdb.conf, influxdb-meta.conf, telegraf.conf. The file is parsed into
// a tree that knows where everything is written, the edit becomes a few splices, and the result is
// read again by another parser, which must see the old values in everything but the owned keys.

import { parse, TomlDate, TomlError } from 'smol-toml'
import { ParseError } from 'toml-eslint-parser'
import { applyEdits, type Parsed } from './apply.ts'
import type { ConfigEdit, ConfigPath, ConfigValue, EditResult, ReadResult } from './edit.ts'
import { describePath, isTable, type Refused, refused } from './edit.ts'
import { consumedBy } from './lookup.ts'
import { refuseUndecodable, type Splice, type Splices, splitBom, splices } from './text.ts'
import { insertToml } from './toml-insert.ts'
import { asParsedToml } from './toml-literal.ts'
import { removeToml, replaceToml } from './toml-replace.ts'
import { itemOf, parseTomlTree, type TomlNode, type TomlTree } from './toml-tree.ts'

export { lookup } from './lookup.ts'

type TomlKeys = 'exact' | 'case-insensitive'

/** Dates, and integers that JavaScript cannot hold, are read as their text. */
export function readToml(text: string): ReadResult {
  const { body } = splitBom(text)
  const parsed = refuseUndecodable(body) ?? parseValues(body)
  if (parsed.kind === 'refused') return parsed
  const value = asConfig(parsed.value)
  return isTable(value) ? { kind: 'read', value } : refused('unparsable', 'not a table')
}

/**
 * The edits in their order; all of them or none. With `case-insensitive`, as influxd reads, all
 * spellings that a table has of one key get the value: of several, influxd takes a random one. A
 * table in several spellings is refused where they would not all say the same.
 */
export function editToml(
  text: string,
  edits: readonly ConfigEdit[],
  options: { readonly keys?: TomlKeys } = {},
): EditResult {
  const keys = options.keys ?? 'exact'
  return applyEdits(text, edits, {
    keys,
    parse: parseValues,
    edit: (current, edit) => editOnce(current, edit, keys),
    asConfig,
    asParsed: asParsedToml,
  })
}

function editOnce(text: string, { path, value }: ConfigEdit, keys: TomlKeys): Splices {
  const tree = openTree(text)
  if (tree.kind === 'refused') return tree
  const { nodes, depth, isPartial } = resolve(tree.tree, path, keys)
  const rest = path.slice(depth)
  if (value === undefined) {
    return rest.length > 0 ? splices() : combine(nodes, node => removeToml(text, node))
  }
  const isTableInSpellings = nodes.length > 1 && nodes.some(node => node.kind !== 'value')
  if (isPartial || isTableInSpellings) {
    const owner = describePath(path.slice(0, Math.max(1, rest.length === 0 ? depth - 1 : depth)))
    return refused(
      'duplicate-key',
      `${owner} is there in several spellings, of which a random one counts`,
    )
  }
  if (rest.length === 0) return combine(nodes, node => replaceToml(text, node, value))

  const [parent] = nodes
  if (parent === undefined || parent.kind === 'value') {
    const owner = describePath(path.slice(0, depth))
    return refused('unsupported-shape', `cannot add ${describePath(path)}: ${owner} has a value`)
  }
  return insertToml(tree.tree, { parent, rest, value, isCaseSensitive: keys === 'exact' })
}

interface Resolved {
  readonly nodes: readonly TomlNode[]
  readonly depth: number
  /** Of several spellings of a table some have the key and others do not. */
  readonly isPartial: boolean
}

/** Everything the path stands for, or, when the file lacks it, the deepest part that exists. */
function resolve(tree: TomlTree, path: ConfigPath, keys: TomlKeys): Resolved {
  let nodes: readonly TomlNode[] = [tree.root]
  let isPartial = false
  for (const [depth, step] of path.entries()) {
    const found = nodes.map(node => childrenOf(node, step, keys))
    const children = found.flat()
    if (children.length === 0) return { nodes, depth, isPartial }
    isPartial ||= found.some(list => list.length === 0)
    nodes = children
  }
  return { nodes, depth: path.length, isPartial }
}

/** The exact spelling first: what is missing is added there. */
function childrenOf(node: TomlNode, step: string | number, keys: TomlKeys): readonly TomlNode[] {
  if (typeof step === 'number') {
    const item = itemOf(node, step)
    return item === undefined ? [] : [item]
  }
  if (node.kind !== 'table') return []
  const matches = [...node.entries].filter(([key]) => consumedBy(key, [step], keys) > 0)
  return matches
    .toSorted(([a], [b]) => Number(b === step) - Number(a === step))
    .map(([, child]) => child)
}

function combine(nodes: readonly TomlNode[], change: (node: TomlNode) => Splices): Splices {
  const all: Splice[] = []
  for (const node of nodes) {
    const result = change(node)
    if (result.kind === 'refused') return result
    all.push(...result.splices)
  }
  return splices(...all)
}

function openTree(text: string): { readonly kind: 'tree'; readonly tree: TomlTree } | Refused {
  try {
    return { kind: 'tree', tree: parseTomlTree(text) }
  } catch (error) {
    if (!(error instanceof ParseError)) return refused('unparsable', describeUnexpected(error))
    const code = error.message.startsWith('Defining a key') ? 'duplicate-key' : 'unparsable'
    return refused(code, error.message, { line: error.lineNumber, column: error.column + 1 })
  }
}

function parseValues(text: string): Parsed {
  try {
    return { kind: 'parsed', value: parse(text, { integersAsBigInt: true }) }
  } catch (error) {
    if (!(error instanceof TomlError)) return refused('unparsable', describeUnexpected(error))
    const [headline = ''] = error.message.replace('Invalid TOML document: ', '').split('\n')
    const code = headline.includes('redefine') ? 'duplicate-key' : 'unparsable'
    return refused(code, headline, { line: error.line, column: error.column })
  }
}

/** Such as a stack overflow in a file nested a thousand deep: no parser can help with that file. */
function describeUnexpected(error: unknown): string {
  return error instanceof Error ? error.message : 'the file cannot be parsed'
}

function asConfig(value: unknown): ConfigValue {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : String(value)
  }
  if (value instanceof TomlDate) return value.toISOString()
  if (Array.isArray(value)) return value.map(asConfig)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, asConfig(child)]))
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : null
}
