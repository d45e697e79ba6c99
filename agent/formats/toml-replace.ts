// Changes and removes what a TOML file has already.

import type { AST } from 'toml-eslint-parser'
import { type ConfigValue, describePath, isList, refused } from './edit.ts'
import { lineEnd, lineStart, type Splice, type Splices, splices } from './text.ts'
import { literalString, tomlLiteral } from './toml-literal.ts'
import type { Inline, TomlNode } from './toml-tree.ts'
import { itemOf, sameAs } from './toml-tree.ts'

/** No splice for a value that is equal already, however it is written. */
export function replaceToml(text: string, node: TomlNode, wanted: ConfigValue): Splices {
  if (sameAs(node, wanted)) return splices()
  const content = node.kind === 'value' ? node.node : inlineOf(node)
  if (content === undefined) {
    const what = describePath(node.path)
    return refused('unsupported-shape', `cannot replace ${what}: it is a table of several lines`)
  }
  if (node.kind === 'value' && content.type === 'TOMLArray' && isList(wanted)) {
    const items = replaceItems(text, node, content, wanted)
    if (items !== undefined) return items
  }
  const literal = literalLike(content, wanted)
  if (literal === undefined) return refused('unsupported-shape', 'TOML has no null')
  return splices({ start: content.range[0], end: content.range[1], text: literal })
}

/** Item by item, so that comments between the items of an array stay; else `undefined`. */
function replaceItems(
  text: string,
  node: TomlNode,
  { elements }: AST.TOMLArray,
  wanted: readonly ConfigValue[],
): Splices | undefined {
  const last = elements.at(-1)
  if (last === undefined || wanted.length < elements.length) return undefined
  const all: Splice[] = []
  for (const index of elements.keys()) {
    const item = itemOf(node, index)
    const value = wanted[index]
    if (item === undefined || value === undefined) return undefined
    const result = replaceToml(text, item, value)
    if (result.kind === 'refused') return result
    all.push(...result.splices)
  }
  const added = wanted.slice(elements.length).map(tomlLiteral)
  if (added.includes(undefined)) return undefined
  if (added.length > 0) {
    all.push({ start: last.range[1], end: last.range[1], text: `, ${added.join(', ')}` })
  }
  return splices(...all)
}

function literalLike(old: AST.TOMLContentNode, wanted: ConfigValue): string | undefined {
  const keepsQuotes =
    old.type === 'TOMLValue' && old.kind === 'string' && old.style === 'literal' && !old.multiline
  if (keepsQuotes && typeof wanted === 'string') {
    return literalString(wanted) ?? tomlLiteral(wanted)
  }
  return tomlLiteral(wanted)
}

function inlineOf(node: TomlNode): AST.TOMLInlineTable | undefined {
  if (node.kind !== 'table') return undefined
  const [place] = node.places
  return place?.kind === 'inline' ? place.node : undefined
}

/** A key goes with its whole line, the comment behind it included. */
export function removeToml(text: string, node: TomlNode): Splices {
  const pair = node.kind === 'tables' ? undefined : node.pair
  if (pair === undefined) {
    const what = describePath(node.path)
    return refused('unsupported-shape', `cannot remove ${what}: it is not one key with a value`)
  }
  const { host, keyValue } = pair
  if (host.kind === 'inline') return removeInline(text, host, keyValue)
  const [start, end] = keyValue.range
  return splices({ start: lineStart(text, start), end: lineEnd(text, end), text: '' })
}

function removeInline(text: string, { node }: Inline, pair: AST.TOMLKeyValue): Splices {
  const index = node.body.indexOf(pair)
  const previous = node.body[index - 1]
  const next = node.body[index + 1]
  const [start, end] =
    next !== undefined
      ? [pair.range[0], next.range[0]]
      : previous !== undefined
        ? [previous.range[1], pair.range[1]]
        : [node.range[0] + 1, node.range[1] - 1]
  const around = text.slice(start, pair.range[0]) + text.slice(pair.range[1], end)
  if (around.includes('#')) {
    return refused('unsupported-shape', 'cannot remove a key of a table with comments inside')
  }
  return splices({ start, end, text: '' })
}
