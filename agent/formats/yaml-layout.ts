// Where things are in a YAML text: the ends of nodes without the comments that the parser counts in,
// colons, dashes, columns, and the indentation that the file uses.

import { type CST, isAlias, isMap, isScalar, isSeq, type Pair, type ParsedNode } from 'yaml'
import type { YAMLMap, YAMLSeq } from 'yaml'
import { indentAt, lineStart } from './text.ts'

export type MapNode = YAMLMap.Parsed
export type SeqNode = YAMLSeq.Parsed
export type MapPair = Pair<ParsedNode, ParsedNode | null>

export function isBlock(node: MapNode | SeqNode): boolean {
  return node.flow !== true
}

/** A value that is not written at all, as in `key:`. */
export function isAbsent(node: ParsedNode | null): boolean {
  return node === null || (isScalar(node) && node.range[0] === node.range[1])
}

/** Anchors, aliases and tags: there the text alone does not say what the value is. */
export function hasProperties(node: ParsedNode | null): boolean {
  if (node === null) return false
  return isAlias(node) || node.anchor !== undefined || node.tag !== undefined
}

/** The end of what is written: it lies on the last line of the node. */
export function contentEnd(text: string, node: ParsedNode): number {
  if (isMap(node) && isBlock(node)) {
    const last = node.items.at(-1)
    return last === undefined ? node.range[1] : pairEnd(text, last)
  }
  if (isSeq(node) && isBlock(node)) return itemEnd(text, node, node.items.length - 1)
  const [, end] = node.range
  return isBlockScalar(node) && text[end - 1] === '\n' ? end - 1 : end
}

export function pairEnd(text: string, { key, value, srcToken }: MapPair): number {
  if (value !== null && !isAbsent(value)) return contentEnd(text, value)
  return Math.max(key.range[1], tokensEnd(srcToken?.sep ?? []))
}

export function itemEnd(text: string, seq: SeqNode, index: number): number {
  const item = seq.items[index]
  if (item !== undefined && !isAbsent(item)) return contentEnd(text, item)
  return Math.max(item?.range[1] ?? 0, tokensEnd(itemToken(seq, index)?.start ?? []))
}

/**
 * A block scalar whose last line has no newline: parsers disagree about its value, and a line below
 * would give it that newline.
 */
export function endsInBlockScalar(text: string, node: ParsedNode | null): boolean {
  if (text.endsWith('\n') || node === null || isAlias(node)) return false
  if (isScalar(node)) return isBlockScalar(node)
  const last = node.items.at(-1)
  return endsInBlockScalar(
    text,
    last === undefined || !('key' in last) ? (last ?? null) : last.value,
  )
}

function isBlockScalar(node: ParsedNode): boolean {
  return isScalar(node) && node.type?.startsWith('BLOCK') === true
}

/** The end of the last token that is more than space or comment. */
function tokensEnd(tokens: readonly CST.SourceToken[]): number {
  const last = tokens.findLast(({ type }) => !['space', 'comment', 'newline'].includes(type))
  return last === undefined ? 0 : last.offset + last.source.length
}

/** Behind the colon, or `undefined` where the pair has none. */
export function colonEnd({ srcToken }: MapPair): number | undefined {
  const colon = srcToken?.sep?.find(token => token.type === 'map-value-ind')
  return colon === undefined ? undefined : colon.offset + colon.source.length
}

/** Written with a question mark. */
export function isExplicit({ srcToken }: MapPair): boolean {
  return srcToken !== undefined && 'explicitKey' in srcToken && srcToken.explicitKey === true
}

export function dashOffset(seq: SeqNode, index: number): number | undefined {
  return itemToken(seq, index)?.start.find(token => token.type === 'seq-item-ind')?.offset
}

function itemToken(seq: SeqNode, index: number): CST.CollectionItem | undefined {
  const token = seq.srcToken
  return token !== undefined && 'items' in token ? token.items[index] : undefined
}

/** What a new line needs before its key to belong to a block map. */
export function indentOf(text: string, map: MapNode): string | undefined {
  const plain = map.items.find(pair => !isExplicit(pair) && !hasProperties(pair.key))
  return plain === undefined ? undefined : indentTo(text, plain.key.range[0])
}

/** Dashes before an offset count as space: the column is what matters. */
export function indentTo(text: string, offset: number): string {
  const column = offset - lineStart(text, offset)
  const indent = indentAt(text, offset)
  return indent.length === column ? indent : ' '.repeat(column)
}

// What most files use; also the one that every tool of these products writes.
const DEFAULT_STEP = '  '

/** One level of indentation, as the first nested table of the file has it. */
export function indentStep(text: string, node: ParsedNode | null): string {
  return findStep(text, node) ?? DEFAULT_STEP
}

function findStep(text: string, node: ParsedNode | null): string | undefined {
  if (isMap(node) && isBlock(node)) {
    for (const pair of node.items) {
      const own = isMap(pair.value) && isBlock(pair.value) ? indentOf(text, pair.value) : undefined
      const outer = indentOf(text, node)
      if (own !== undefined && outer !== undefined) return ' '.repeat(own.length - outer.length)
      const nested = findStep(text, pair.value)
      if (nested !== undefined) return nested
    }
  }
  if (isSeq(node) && isBlock(node)) {
    for (const item of node.items) {
      const nested = findStep(text, item)
      if (nested !== undefined) return nested
    }
  }
  return undefined
}
