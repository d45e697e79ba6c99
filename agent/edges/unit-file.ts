// The text of unit files as systemd reads it, as far as a service's start goes. Pure.

/** `Name=value` lines of one section, in their order. */
export type Assignments = readonly (readonly [name: string, value: string])[]

export function assignmentsOf(text: string, wanted: string): Assignments {
  const assignments: [string, string][] = []
  let section = ''
  for (const line of logicalLines(text.replace(/^\uFEFF/, ''))) {
    const header = /^\[(.*)\]$/.exec(line)?.[1]
    if (header !== undefined) section = header
    const equals = line.indexOf('=')
    if (header !== undefined || section !== wanted || equals <= 0) continue
    assignments.push([line.slice(0, equals).trim(), line.slice(equals + 1).trim()])
  }
  return assignments
}

// A backslash at the end of a line stands for a blank and the next line; comments in between are
// left out.
function logicalLines(text: string): readonly string[] {
  const lines: string[] = []
  let pending = ''
  for (const raw of text.split(/\r\n|\n|\r/)) {
    const line = raw.trimStart()
    if (line.startsWith('#') || line.startsWith(';')) continue
    pending += line
    if (/(?:^|[^\\])(?:\\\\)*\\$/.test(pending)) {
      pending = `${pending.slice(0, -1)} `
      continue
    }
    lines.push(pending.trim())
    pending = ''
  }
  return [...lines, pending.trim()]
}

/** The last value that was assigned; an empty one is the default again. */
export function lastOf(assignments: Assignments, name: string): string {
  return assignments.findLast(([key]) => key === name)?.[1] ?? ''
}

/** All values, of which an empty one forgets those before it. */
export function listOf(assignments: Assignments, name: string): readonly string[] {
  const values = assignments.filter(([key]) => key === name).map(([, value]) => value)
  return values.slice(values.lastIndexOf('') + 1)
}

/** argv of the first command; empty where it cannot be split. */
export function commandOf(value: string): readonly string[] {
  const words = unitWords(value) ?? []
  const end = words.findIndex(word => word.raw === ';')
  const [first = '', ...rest] = words
    .slice(0, end === -1 ? undefined : end)
    .map(word => (word.raw === '\\;' ? ';' : word.text))
  const prefix = /^[-@:+!|]*/.exec(first)?.[0] ?? ''
  const program = first.slice(prefix.length)
  if (program === '') return []
  // With `@` the second word is only what the process is called.
  return [program, ...(prefix.includes('@') ? rest.slice(1) : rest)]
}

/** `A=1 "B=two words"`: what cannot be split is ignored, as by systemd. */
export function environmentOf(value: string): readonly (readonly [string, string])[] {
  return (unitWords(value) ?? []).flatMap(({ text }) => {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text)
    return match?.[1] === undefined ? [] : [[match[1], match[2] ?? ''] as const]
  })
}

interface UnitWord {
  readonly text: string
  /** As written. */
  readonly raw: string
}

/** Words at blanks, quotes and escapes taken away (systemd.syntax). Undefined: a quote is not closed. */
function unitWords(value: string): readonly UnitWord[] | undefined {
  const words: UnitWord[] = []
  for (const [raw] of value.matchAll(WORD)) {
    // A quote that opens no part of a word has no end.
    if (raw === '"' || raw === "'") return undefined
    words.push({ raw, text: raw.replaceAll(PART, textOfPart) })
  }
  return words
}

const PART = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^\s"'\\]|\\.)+/gs
const WORD = new RegExp(`(?:${PART.source})+|["']`, 'gs')

function textOfPart(part: string): string {
  const isQuoted = part.startsWith('"') || part.startsWith("'")
  return (isQuoted ? part.slice(1, -1) : part).replaceAll(ESCAPE, textOfEscape)
}

const ESCAPE = /\\(x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|.)/gs

// An escape that systemd does not know stays as it is, with its backslash.
function textOfEscape(whole: string, escape: string): string {
  if (/^[xu]./.test(escape)) return String.fromCharCode(Number.parseInt(escape.slice(1), 16))
  if (/^[0-7]{3}$/.test(escape)) return String.fromCharCode(Number.parseInt(escape, 8))
  return ESCAPED[escape] ?? whole
}

const ESCAPED: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  s: ' ',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
}
