// Answers of `_cat`: lines of columns for people, or JSON.

import type { RestAnswer, RestRequest } from './rest.ts'

export type Row = Readonly<Record<string, string | null>>

export function catAnswer(
  { query }: RestRequest,
  columns: readonly string[],
  rows: readonly Row[],
): RestAnswer {
  const wanted = query.get('h')?.split(',') ?? columns
  const cut = rows.map(row => Object.fromEntries(wanted.map(name => [name, row[name] ?? null])))
  if (query.get('format') === 'json') return { status: 200, body: cut }
  const header = Object.fromEntries(wanted.map(name => [name, name]))
  const shown = query.has('v') ? [header, ...cut] : cut
  const width = (name: string) => Math.max(0, ...shown.map(row => (row[name] ?? '').length))
  const lines = shown.map(row =>
    wanted
      .map(name => (row[name] ?? '').padEnd(width(name)))
      .join(' ')
      .trimEnd(),
  )
  return { status: 200, body: lines.map(line => `${line}\n`).join('') }
}
