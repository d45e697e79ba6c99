// Where things are in a YAML text: the ends of nodes without the comments that the parser counts in,
// colons, columns, and the indentation that the file uses.

import {
  type Alias,
  type CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { lineStart } from './text.ts'

export type BlockMap = YAMLMap.Parsed
export type BlockSeq = YAMLSeq.Parsed
export type MapPair = Pair<ParsedNode, ParsedNode | null>

export type { Alias, ParsedNode }

/** A value that is not written at all, as in `key:`. */
export function isAbsent(node: ParsedNode | null): boolean {
  return node === null || (isScalar(node) && node.range[0] === node.range[1] && !isQuoted(node))
}

function isQuoted(node: Scalar.Parsed): boolean {
  return node.type === Scalar.QUOTE_DOUBLE || node.type === Scalar.QUOTE_SINGLE
}

/** The end of what is written, so that the line it lies on is the last line of the node. */
export function contentEnd(text: string, node: ParsedNode): number {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1)
    return last === undefined ? node.range[1] : pairEnd(text, last)
  }
  if (isSeq(node) && node.flow !== true) {
    const last = node.items.at(-1)
    const token = itemToken(node, node.items.length - 1)
    if (last !== undefined && !isAbsent(last)) return contentEnd(text, last)
    return token === undefined ? node.range[1] : tokensEnd(token.start)
  }
  const [, end] = node.range
  const isBlock = isScalar(node) && (node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL')
  return isBlock && text[end - 1] === '\n' ? end - 1 : end
}

export function pairEnd(text: string, pair: MapPair): number {
  if (pair.value !== null && !isAbsent(pair.value)) return contentEnd(text, pair.value)
  return Math.max(pair.key.range[1], tokensEnd(pair.srcToken?.sep ?? []))
}

/** The end of the last token that means something. */
function tokensEnd(tokens: readonly CST.SourceToken[]): number {
  const last = tokens.findLast(
    ({ type }) => type !== 'space' && type !== 'comment' && type !== 'newline',
  )
  return last === undefined ? 0 : last.offset + last.source.length
}

/** Behind the colon, or `undefined` where the pair has none. */
export function colonEnd(pair: MapPair): number | undefined {
  const colon = pair.srcToken?.sep?.find(token => token.type === 'map-value-ind')
  return colon === undefined ? undefined : colon.offset + colon.source.length
}

export function isExplicit(pair: MapPair): boolean {
  const token = pair.srcToken
  return token !== undefined && 'explicitKey' in token && token.explicitKey === true
}

/** Anchors and tags: what has them means more than its text says. */
export function hasProperties(node: ParsedNode | null): boolean {
  if (node === null || isAlias(node)) return node !== null
  return node.anchor !== undefined || node.tag !== undefined && isTagged(node)
}

function isTagged(node: Exclude<ParsedNode, Alias.Parsed>): boolean {
  const token = node.srcToken
  return node.tag !== undefined && token !== undefined && !DEFAULT_TAGS.has(node.tag)
}

const DEFAULT_TAGS = new Set(['tag:yaml.org,2002:map', 'tag:yaml.org,2002:seq'])

export function itemToken(seq: BlockSeq, index: number): CST.CollectionItem | undefined {
  const token = seq.srcToken
  return token !== undefined && 'items' in token ? token.items[index] : undefined
}

/** The column at which all keys of a block map begin. */
export function columnOf(text: string, map: BlockMap): number | undefined {
  const plain = map.items.find(pair => !isExplicit(pair) && !hasProperties(pair.key))
  if (plain === undefined) return undefined
  return plain.key.range[0] - lineStart(text, plain.key.range[0])
}
