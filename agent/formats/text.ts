// Lines and splices: an edit is a few replaced ranges, every other byte is carried over as it is.

import { assert } from '../../shared/assert.ts'
import { type Refused, refused } from './edit.ts'

export interface Splice {
  readonly start: number
  readonly end: number
  readonly text: string
}

export type Splices = { readonly kind: 'splices'; readonly splices: readonly Splice[] } | Refused

export function splices(...list: readonly Splice[]): Splices {
  return { kind: 'splices', splices: list }
}

export function applySplices(text: string, list: readonly Splice[]): string {
  const ordered = list.toSorted((a, b) => a.start - b.start || a.end - b.end)
  let result = ''
  let position = 0
  for (const splice of ordered) {
    assert(splice.start >= position && splice.end >= splice.start, 'splices overlap')
    result += text.slice(position, splice.start) + splice.text
    position = splice.end
  }
  return result + text.slice(position)
}

/** The offset of the first character of the line. */
export function lineStart(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1
}

/** The offset behind the line's newline, or the end of the text. */
export function lineEnd(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset)
  return newline < 0 ? text.length : newline + 1
}

/** The whitespace that the line begins with. */
export function indentAt(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(lineStart(text, offset), offset))?.[0] ?? ''
}

/** The line end in use around an offset, so that a file of mixed line ends is not made worse. */
export function eolAt(text: string, offset: number): string {
  const before = text.lastIndexOf('\n', offset - 1)
  const newline = offset > 0 && before >= 0 ? before : text.indexOf('\n')
  return newline > 0 && text[newline - 1] === '\r' ? '\r\n' : '\n'
}

/**
 * Whole lines, given without their last line end, put in at the start of a line or at the end of
 * the text. A file without a final newline keeps that property.
 */
export function insertLines(text: string, offset: number, lines: string): Splice {
  const eol = eolAt(text, offset)
  const isUnterminated = offset > 0 && text[offset - 1] !== '\n'
  return { start: offset, end: offset, text: isUnterminated ? eol + lines : lines + eol }
}

export function positionAt(text: string, offset: number): { line: number; column: number } {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return { line, column: offset - lineStart(text, offset) + 1 }
}

const BOM = '\uFEFF'

export function splitBom(text: string): { readonly bom: string; readonly body: string } {
  return text.startsWith(BOM) ? { bom: BOM, body: text.slice(1) } : { bom: '', body: text }
}

// Configuration files have kilobytes; what is larger is not one, and would cost the agent its memory.
const TEXT_LENGTH_MAX = 4 * 1024 * 1024

/**
 * Refuses what was not UTF-8 before it became a string: UTF-16 read as UTF-8 is full of NULs, other
 * bytes became U+FFFD, and writing either back would change bytes that nobody asked to change.
 */
export function refuseUndecodable(text: string): Refused | undefined {
  if (text.length > TEXT_LENGTH_MAX) return refused('unparsable', 'the file is too large')
  const bad = text.search(/[\0\uFFFD]/)
  if (bad < 0 && text.isWellFormed()) return undefined
  return refused('unparsable', 'the file is not UTF-8 text', positionAt(text, Math.max(bad, 0)))
}
