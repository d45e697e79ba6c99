// Gives a key of a YAML file that exists another value, in place.

import { isMap, isScalar, isSeq, type ParsedNode } from 'yaml'
import { type ConfigValue, isList, isTable, refused } from './edit.ts'
import type { Splice, Splices } from './text.ts'
import { eolAt, insertLines, lineEnd, lineStart, splices } from './text.ts'
import type { Found, Step } from './yaml-find.ts'
import {
  colonEnd,
  contentEnd,
  dashOffset,
  hasProperties,
  indentTo,
  isAbsent,
  isBlock,
  itemEnd,
  type SeqNode,
} from './yaml-layout.ts'
import { flowText, type Quotes, tableLines } from './yaml-literal.ts'

export interface Layout {
  readonly text: string
  /** One level of indentation. */
  readonly step: string
}

export function replaceYaml(layout: Layout, found: Found, wanted: ConfigValue): Splices {
  const { text } = layout
  const { node } = found
  const step = found.steps.at(-1)
  if (step === undefined) return refused('unsupported-shape', 'cannot replace the whole file')
  const isTableBelow =
    isTable(wanted) && Object.keys(wanted).length > 0 && step.kind === 'pair' && isBlock(step.map)
  if (node === null || isAbsent(node)) return fillAbsent(layout, step, wanted, isTableBelow)
  if (isSeq(node) && isList(wanted) && node.items.length > 0 && wanted.length > 0) {
    return replaceItems(layout, found, node, wanted)
  }
  const isBlockNode = (isSeq(node) || isMap(node)) && isBlock(node)
  if (isBlockNode || isTableBelow) return replaceBlock(layout, step, node, wanted, isTableBelow)
  const [start] = node.range
  return splices({ start, end: contentEnd(text, node), text: flowText(wanted, quotesOf(node)) })
}

function fillAbsent(
  layout: Layout,
  step: Step,
  wanted: ConfigValue,
  isTableBelow: boolean,
): Splices {
  const colon = step.kind === 'pair' ? colonEnd(step.pair) : undefined
  if (colon === undefined) return refused('unsupported-shape', 'there is no colon to write behind')
  if (!isTableBelow) return splices({ start: colon, end: colon, text: ` ${flowText(wanted)}` })
  const lines = linesBelow(layout, step, wanted)
  return splices(insertLines(layout.text, lineEnd(layout.text, colon), lines))
}

/** The value begins on the line below its key, or will. */
function replaceBlock(
  layout: Layout,
  step: Step,
  node: ParsedNode,
  wanted: ConfigValue,
  isTableBelow: boolean,
): Splices {
  const { text } = layout
  const colon = step.kind === 'pair' ? colonEnd(step.pair) : undefined
  if (colon === undefined) return refused('unsupported-shape', 'cannot replace a block in a list')
  const end = contentEnd(text, node)
  const isBelow = lineStart(text, node.range[0]) > colon
  const below = isTableBelow ? linesBelow(layout, step, wanted) : ''
  if (!isBelow) {
    const eol = eolAt(text, lineEnd(text, colon))
    return splices({ start: colon, end, text: isTableBelow ? eol + below : ` ${flowText(wanted)}` })
  }
  // Comments between the key and its value stay, and so does the last line end.
  const start = lineStart(text, node.range[0])
  if (isTableBelow) return splices({ start, end, text: below })
  return splices(
    { start: colon, end: colon, text: ` ${flowText(wanted)}` },
    { start, end: lineEnd(text, end), text: '' },
  )
}

function linesBelow({ text, step }: Layout, at: Step, wanted: ConfigValue): string {
  if (at.kind !== 'pair' || !isTable(wanted)) return ''
  const start = at.pair.key.range[0]
  const indent = indentTo(text, start) + step
  return tableLines(wanted, { indent, step }).join(eolAt(text, lineEnd(text, start)))
}

/** Item by item, so that the comments of the items that stay do too. */
function replaceItems(
  layout: Layout,
  { steps }: Found,
  seq: SeqNode,
  wanted: readonly ConfigValue[],
): Splices {
  const all: Splice[] = []
  for (const [index, item] of seq.items.entries()) {
    const value = wanted[index]
    if (hasProperties(item)) return refused('unsupported-shape', 'an item has an anchor or a tag')
    if (value === undefined || sameYaml(item, value)) continue
    const step: Step = { kind: 'item', seq, index }
    const result = replaceYaml(layout, { steps: [...steps, step], node: item, rest: [] }, value)
    if (result.kind === 'refused') return result
    all.push(...result.splices)
  }
  const change = resizeItems(layout.text, seq, wanted.slice(seq.items.length), wanted.length)
  if (change === undefined) return refused('unsupported-shape', 'the list has comments inside')
  return splices(...all, ...change)
}

function resizeItems(
  text: string,
  seq: SeqNode,
  added: readonly ConfigValue[],
  length: number,
): readonly Splice[] | undefined {
  const count = seq.items.length
  const end = itemEnd(text, seq, count - 1)
  const dash = dashOffset(seq, 0)
  if (length > count) {
    const items = added.map(value => flowText(value))
    if (!isBlock(seq)) return [{ start: end, end, text: `, ${items.join(', ')}` }]
    if (dash === undefined) return undefined
    const lines = items.map(item => `${indentTo(text, dash)}- ${item}`)
    return [insertLines(text, lineEnd(text, end), lines.join(eolAt(text, lineEnd(text, end))))]
  }
  if (length === count) return []
  const start = itemEnd(text, seq, length - 1)
  if (!isBlock(seq)) {
    return text.slice(start, end).includes('#') ? undefined : [{ start, end, text: '' }]
  }
  const removed = seq.items.map((_, index) => index).slice(length)
  return removed.flatMap(index => {
    const from = dashOffset(seq, index) ?? end
    return { start: lineStart(text, from), end: lineEnd(text, itemEnd(text, seq, index)), text: '' }
  })
}

function sameYaml(node: ParsedNode, wanted: ConfigValue): boolean {
  if (isScalar(node)) return Object.is(node.value, wanted)
  if (isSeq(node) && isList(wanted)) {
    const isSame = (item: ParsedNode, index: number) => sameYaml(item, wanted[index] ?? null)
    return node.items.length === wanted.length && node.items.every(isSame)
  }
  // A map in a list that is not known to be the same is written anew.
  return false
}

function quotesOf(node: ParsedNode): Quotes {
  if (!isScalar(node)) return undefined
  if (node.type === 'QUOTE_SINGLE') return 'single'
  return node.type === 'QUOTE_DOUBLE' ? 'double' : undefined
}
