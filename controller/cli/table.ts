// Tables for people: aligned columns, two spaces apart. The last column may be long; on a terminal
// it is wrapped under itself, anywhere else it stays on one line for grep. Some columns are for `--output wide`.

import { stripVTControlCharacters } from 'node:util'

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Shown with `--output wide` only. */
  readonly wide?: true
}

/** Columns of the terminal; undefined when the text does not go to one. `wide`: all there is, on one line. */
export type Width = number | 'wide' | undefined

const GAP = '  '
// A narrower last column would be a word a line, which is harder to read than the terminal's own wrapping.
const LAST_COLUMN_MIN = 24

export function formatTable(
  all: readonly Column[],
  allRows: readonly (readonly string[])[],
  width: Width,
): string {
  const isShown = all.map(column => width === 'wide' || column.wide !== true)
  const columns = all.filter((_, index) => isShown[index])
  const rows = allRows.map(row => row.filter((_, index) => isShown[index]))
  const lines = [columns.map(column => column.title), ...rows]
  const widths = columns.map((_, index) => Math.max(...lines.map(row => widthOf(row[index] ?? ''))))
  const indent = widths.slice(0, -1).reduce((sum, one) => sum + one + GAP.length, 0)
  const room = typeof width === 'number' ? width - indent : Infinity
  const wrapAt = room < LAST_COLUMN_MIN ? Infinity : room

  return lines.map(row => formatRow(columns, widths, row, { indent, wrapAt })).join('')
}

function formatRow(
  columns: readonly Column[],
  widths: readonly number[],
  row: readonly string[],
  last: { readonly indent: number; readonly wrapAt: number },
): string {
  const cells = columns.map((column, index) => {
    const text = row[index] ?? ''
    if (index === columns.length - 1 && column.align !== 'right')
      return wrap(text, last.wrapAt).join(`\n${' '.repeat(last.indent)}`)
    const padding = ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)))
    return column.align === 'right' ? padding + text : text + padding
  })
  return `${cells.join(GAP).trimEnd()}\n`
}

/** Breaks at spaces; a longer word stays whole. */
export function wrap(text: string, width: number): readonly string[] {
  if (widthOf(text) <= width) return [text]
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && widthOf(line) + 1 + widthOf(word) <= width)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Cells that a text takes, one a code point; colours take none. */
export function widthOf(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length
}
