// Adds a key that a YAML file does not have yet to the deepest table of its path that it has.

import { isMap } from 'yaml'
import { type ConfigValue, describePath, refused } from './edit.ts'
import type { Splices } from './text.ts'
import { eolAt, indentAt, insertLines, lineEnd, lineStart, splices } from './text.ts'
import { type Found, keyOf } from './yaml-find.ts'
import { indentOf, isAbsent, isBlock, type MapNode, type MapPair, pairEnd } from './yaml-layout.ts'
import { blockLines, flowText, keyText } from './yaml-literal.ts'
import { type Layout, replaceYaml } from './yaml-replace.ts'

export function insertYaml(
  layout: Layout,
  parent: Found,
  value: ConfigValue,
  isFlat: boolean,
): Splices {
  const names = parent.rest.filter(step => typeof step === 'string')
  const path = isFlat ? [names.join('.')] : names
  const [key] = path
  if (key === undefined || names.length < parent.rest.length) {
    const what = describePath(parent.rest)
    return refused('unsupported-shape', `cannot add ${what}: a list item is missing`)
  }
  const inner = path
    .slice(1)
    .reduceRight<ConfigValue>((nested, name) => ({ [name]: nested }), value)
  const { node, steps } = parent
  if (!isMap(node)) {
    if (steps.length > 0) return replaceYaml(layout, parent, { [key]: inner })
    return isAbsent(node)
      ? insertIntoEmpty(layout, key, inner)
      : refused('unsupported-shape', 'the file is null')
  }
  return isBlock(node)
    ? insertIntoBlock(layout, node, key, inner)
    : splices(insertIntoFlow(layout.text, node, `${keyText(key)}: ${flowText(inner)}`))
}

function insertIntoFlow(text: string, map: MapNode, pair: string) {
  const last = map.items.at(-1)
  if (last !== undefined) {
    const end = pairEnd(text, last)
    return { start: end, end, text: `, ${pair}` }
  }
  const start = map.range[0] + 1
  const inside = text.slice(start, map.range[1] - 1)
  // A comment inside the braces ends with its line, so the pair goes before it.
  const end = inside.trim() === '' ? start + inside.length : start
  return { start, end, text: end === start && inside !== '' ? `${pair} ` : pair }
}

function insertIntoBlock(
  { text, step }: Layout,
  map: MapNode,
  key: string,
  value: ConfigValue,
): Splices {
  const indent = indentOf(text, map)
  const sibling = nearestSibling(map, key)
  if (indent === undefined || sibling === undefined) {
    return refused('unsupported-shape', 'cannot add a key to a table of complex keys')
  }
  const offset = findTemplate(text, map, key) ?? lineEnd(text, pairEnd(text, sibling))
  const lines = blockLines(key, value, { indent, step })
  return splices(insertLines(text, offset, lines.join(eolAt(text, offset))))
}

function insertIntoEmpty({ text, step }: Layout, key: string, value: ConfigValue): Splices {
  const offset = templateIn(text, 0, text.length, key) ?? text.length
  const lines = blockLines(key, value, { indent: '', step })
  return splices(insertLines(text, offset, lines.join(eolAt(text, offset))))
}

/** The last key, or among dotted keys the last that shares the longest beginning. */
function nearestSibling(map: MapNode, key: string): MapPair | undefined {
  const parts = key.split('.')
  let best = map.items.at(-1)
  let bestLength = 0
  for (const pair of map.items) {
    const own = keyOf(pair)?.split('.') ?? []
    const differs = parts.findIndex((part, index) => part !== own[index])
    const length = differs < 0 ? parts.length : differs
    if (length > 0 && length >= bestLength) {
      best = pair
      bestLength = length
    }
  }
  return best
}

/** The line below `# key: …`, when such a comment stands between the keys of the table. */
function findTemplate(text: string, map: MapNode, key: string): number | undefined {
  const [first] = map.items
  if (first === undefined) return undefined
  const top = lineStart(text, first.key.range[0])
  const isFirstOnLine = indentAt(text, first.key.range[0]).length === first.key.range[0] - top
  const above = isFirstOnLine ? templateIn(text, gapAbove(text, top), top, key) : undefined
  if (above !== undefined) return above
  for (const pair of map.items) {
    const start = lineEnd(text, pairEnd(text, pair))
    const found = templateIn(text, start, gapBelow(text, start), key)
    if (found !== undefined) return found
  }
  return undefined
}

function templateIn(text: string, start: number, end: number, key: string): number | undefined {
  for (let at = start; at < end; at = lineEnd(text, at)) {
    const line = text.slice(at, lineEnd(text, at))
    const name = TEMPLATE.exec(line)?.[1]
    if (name?.replace(/^(["'])(.*)\1$/, '$2') === key) return lineEnd(text, at)
  }
  return undefined
}

const TEMPLATE = /^[ \t]*#+[ \t]*([^\s:#][^\s:]*)[ \t]*:(?:\s|$)/
const BLANK_OR_COMMENT = /^[ \t]*(?:#|\r?$)/

function gapBelow(text: string, start: number): number {
  let at = start
  while (at < text.length && isGap(text, at)) at = lineEnd(text, at)
  return at
}

function gapAbove(text: string, end: number): number {
  let at = end
  while (at > 0 && isGap(text, lineStart(text, at - 1))) at = lineStart(text, at - 1)
  return at
}

function isGap(text: string, start: number): boolean {
  return BLANK_OR_COMMENT.test(text.slice(start, lineEnd(text, start)).replace(/\n$/, ''))
}
