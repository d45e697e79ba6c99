// Removes a key of a YAML file with its line. A table that loses its last key would turn into null,
// which is another value, so the table's own key goes with it; comments inside the table stay.

import { refused } from './edit.ts'
import type { Splice, Splices } from './text.ts'
import { lineEnd, lineStart, splices } from './text.ts'
import type { Step } from './yaml-find.ts'
import {
  dashOffset,
  hasProperties,
  isBlock,
  isExplicit,
  itemEnd,
  type MapNode,
  type MapPair,
  pairEnd,
  type SeqNode,
} from './yaml-layout.ts'

export function removeYaml(text: string, steps: readonly Step[]): Splices {
  const step = steps.at(-1)
  if (step === undefined) return refused('unsupported-shape', 'cannot remove the whole file')
  const parents = steps.slice(0, -1)
  if (step.kind === 'item') {
    const { seq, index } = step
    if (!isBlock(seq)) return removeFromFlow(text, seq.range, itemSpans(text, seq), index)
    const start = dashOffset(seq, index)
    if (start === undefined) return refused('unsupported-shape', 'the item has no dash')
    return removeLines(
      text,
      start,
      itemEnd(text, seq, index),
      seq.items.length === 1 ? parents : [],
    )
  }
  const { map, pair } = step
  if (isExplicit(pair) || hasProperties(pair.key)) {
    return refused('unsupported-shape', 'the key is written in a complex form')
  }
  const index = map.items.indexOf(pair)
  if (!isBlock(map)) return removeFromFlow(text, map.range, pairSpans(text, map), index)
  const [start] = pair.key.range
  const isOnly = map.items.length === 1
  if (isOnly && parents.at(-1)?.kind === 'item') {
    return splices({ start, end: pairEnd(text, pair), text: '{}' })
  }
  const next = map.items[index + 1]
  if (isFirstOnLine(text, start)) {
    return removeLines(text, start, pairEnd(text, pair), isOnly ? parents : [])
  }
  return removeBehindDash(text, pair, next)
}

/** Whole lines; with them, those of the keys above that would be left without a value. */
function removeLines(text: string, start: number, end: number, emptied: readonly Step[]): Splices {
  if (!isFirstOnLine(text, start)) {
    return refused('unsupported-shape', 'other things are written on the same line')
  }
  const own = { start: lineStart(text, start), end: lineEnd(text, end), text: '' }
  if (emptied.length === 0) return splices(own)
  const above = removeEmptied(text, emptied, own)
  return above ?? refused('unsupported-shape', 'the table around the key cannot be removed')
}

function removeEmptied(text: string, steps: readonly Step[], child: Splice): Splices | undefined {
  const step = steps.at(-1)
  if (step === undefined) return splices(child)
  if (step.kind !== 'pair' || isExplicit(step.pair) || hasProperties(step.pair.key))
    return undefined
  const { map, pair } = step
  const [start] = pair.key.range
  const line = { start: lineStart(text, start), end: lineEnd(text, pair.key.range[1]), text: '' }
  if (line.end > child.start) return undefined
  const parents = steps.slice(0, -1)
  const isOnly = map.items.length === 1
  if (isFirstOnLine(text, start)) {
    if (!isOnly || parents.length === 0) return splices(line, child)
    const above = removeEmptied(text, parents, line)
    return above?.kind === 'splices' ? splices(...above.splices, child) : above
  }
  if (isOnly) return splices({ start, end: line.end, text: `{}${eolOf(text, line.end)}` }, child)
  const next = map.items[map.items.indexOf(pair) + 1]
  if (next === undefined || lineEnd(text, child.start) > next.key.range[0]) return undefined
  const between = text.slice(line.end, child.start) + text.slice(child.end, next.key.range[0])
  return between.trim() === '' ? splices({ start, end: next.key.range[0], text: '' }) : undefined
}

function eolOf(text: string, end: number): string {
  return /\r?\n$/.exec(text.slice(0, end))?.[0] ?? ''
}

/** `- a: 1` with a second key below: that one takes the place behind the dash. */
function removeBehindDash(text: string, pair: MapPair, next: MapPair | undefined): Splices {
  const [start] = pair.key.range
  const end = next?.key.range[0]
  const isNextPlain = next !== undefined && !isExplicit(next) && !hasProperties(next.key)
  if (end === undefined || !isNextPlain) {
    return refused('unsupported-shape', 'other things are written on the same line')
  }
  const between = text.slice(lineEnd(text, pairEnd(text, pair)), end)
  if (between.trim() !== '') return refused('unsupported-shape', 'a comment is in the way')
  return splices({ start, end, text: '' })
}

interface Span {
  readonly start: number
  readonly end: number
  readonly isPlain: boolean
}

function itemSpans(text: string, seq: SeqNode): readonly Span[] {
  return seq.items.map((item, index) => ({
    start: item.range[0],
    end: itemEnd(text, seq, index),
    isPlain: !hasProperties(item),
  }))
}

function pairSpans(text: string, map: MapNode): readonly Span[] {
  return map.items.map(pair => ({
    start: pair.key.range[0],
    end: pairEnd(text, pair),
    isPlain: !hasProperties(pair.key) && !isExplicit(pair),
  }))
}

/** With one comma: the one behind it, or that before the last. */
function removeFromFlow(
  text: string,
  range: readonly [number, number, number],
  spans: readonly Span[],
  index: number,
): Splices {
  const own = spans[index]
  const previous = spans[index - 1]
  const next = spans[index + 1]
  if (own === undefined || !own.isPlain || next?.isPlain === false) {
    return refused('unsupported-shape', 'the key is written in a complex form')
  }
  const [start, end] =
    next !== undefined
      ? [own.start, next.start]
      : previous !== undefined
        ? [previous.end, own.end]
        : [range[0] + 1, range[1] - 1]
  const around = text.slice(start, own.start) + text.slice(own.end, end)
  if (/[^\s,]/.test(around)) return refused('unsupported-shape', 'a comment is in the way')
  return splices({ start, end, text: '' })
}

function isFirstOnLine(text: string, offset: number): boolean {
  return text.slice(lineStart(text, offset), offset).trim() === ''
}
