// Tables of Markdown, read as far as tests of documents need it: rows of cells below a heading.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = dirname(dirname(import.meta.dirname))

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Rows of the first table below a heading, without its head: cells by the head's words. */
export function tableBelow(text: string, heading: string): readonly ReadonlyMap<string, string>[] {
  const lines = text.split('\n')
  const from = lines.indexOf(heading)
  const end = lines.findIndex((line, index) => index > from && line.startsWith('#'))
  const section = lines.slice(from + 1, end === -1 ? undefined : end)
  const start = section.findIndex(line => line.startsWith('|'))
  if (from === -1 || start === -1) return []
  const stop = section.findIndex((line, index) => index > start && !line.startsWith('|'))
  const [head = '', , ...rows] = section.slice(start, stop === -1 ? undefined : stop)
  const names = cellsOf(head)
  return rows.map(row => new Map(cellsOf(row).map((cell, index) => [names[index] ?? '', cell])))
}

function cellsOf(row: string): readonly string[] {
  return row
    .split('|')
    .slice(1, -1)
    .map(cell => cell.trim())
}

/** What stands in backticks, without quotes of YAML. */
export function codesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(match => (match[1] ?? '').replaceAll('"', ''))
}
