// The command line of a unit as its files write it. What systemd tells of it has lost quotes and
// prefixes, so only the files allow to write the same command line again, with other flags.

import { findFlag, scanWords, type Word } from '../../formats/env-words.ts'
import { bareName } from '../../formats/env-words.ts'

export interface ExecStart {
  readonly kind: 'exec-start'
  /** On one line. */
  readonly text: string
  /** Words without their quotes; the first has lost its prefix. */
  readonly argv: readonly string[]
  readonly words: readonly Word[]
}

export interface Unclear {
  readonly kind: 'unclear'
  readonly why: string
}

export function unclear(why: string): Unclear {
  return { kind: 'unclear', why }
}

/** The one ExecStart of a unit, given its file and its drop-ins in the order in which they apply. */
export function execStartIn(texts: readonly string[]): ExecStart | Unclear {
  const values = texts.flatMap(execStartsIn)
  const effective = values.slice(values.lastIndexOf('') + 1)
  const [text, second] = effective
  if (text === undefined) return unclear('it has no ExecStart')
  if (second !== undefined) return unclear('it has several ExecStart')
  const words = scanWords(text)
  if (words.some(word => word.isOpen)) return unclear('a quote in ExecStart has no end')
  if (words.some(word => text.slice(word.start, word.end) === ';'))
    return unclear('ExecStart has several commands')
  // Escapes and specifiers are put in by systemd, by rules of their own.
  if (/\\|%(?!%)/.test(text.replaceAll('%%', '')))
    return unclear('ExecStart has escapes or specifiers')
  const argv = words.map(word => word.text.replaceAll('%%', '%'))
  const prefix = /^[-@:+!|]*/.exec(argv[0] ?? '')?.[0] ?? ''
  // `-`, `+` and `!` say how it is run; the others change what the words mean.
  if (/[@:|]/.test(prefix)) return unclear(`ExecStart has the prefix ${prefix}`)
  return {
    kind: 'exec-start',
    text,
    argv: [argv[0]?.slice(prefix.length) ?? '', ...argv.slice(1)],
    words,
  }
}

export interface FlagValue {
  readonly name: string
  /** Undefined: the flag is to go. */
  readonly value: string | undefined
}

/** The same command line with these flags. */
export function withFlags(exec: ExecStart, flags: readonly FlagValue[]): string | Unclear {
  if (exec.argv.includes('--')) return unclear('ExecStart has a bare --')
  let text = exec.text
  for (const flag of flags) {
    const next = withFlag(text, flag)
    if (typeof next !== 'string') return next
    text = next
  }
  return text
}

function withFlag(text: string, { name, value }: FlagValue): string | Unclear {
  const words = scanWords(text)
  const wanted = value === undefined ? undefined : unitWord(`--${bareName(name)}=${value}`)
  const [use] = findFlag(
    words.map(word => word.text),
    name,
  )
  if (use === undefined) return wanted === undefined ? text : `${text} ${wanted}`
  const first = words[use.index]
  const last = words[use.index + use.length - 1]
  const before = words[use.index - 1]
  if (first === undefined || last === undefined || before === undefined)
    return unclear(`${name} stands where no flag can be`)
  if (text.slice(first.start, last.end).includes('$'))
    return unclear(`${name} in ExecStart comes from a variable`)
  return wanted === undefined
    ? text.slice(0, before.end) + text.slice(last.end)
    : text.slice(0, first.start) + wanted + text.slice(last.end)
}

/** An argument as it is written in a unit, so that systemd puts nothing in and splits nothing. */
export function unitWord(argument: string): string {
  const literal = argument.replaceAll('%', '%%').replaceAll('$', '$$$$')
  if (argument !== '' && !/[\s"'\\;]/.test(argument)) return literal
  return `"${literal.replace(/["\\]/g, '\\$&')}"`
}

function execStartsIn(text: string): readonly string[] {
  const values: string[] = []
  let section = ''
  for (const line of logicalLines(text.replace(/^\uFEFF/, ''))) {
    const header = /^\[(.*)\]$/.exec(line)?.[1]
    if (header !== undefined) section = header
    const value = /^ExecStart\s*=\s*(.*)$/.exec(line)?.[1]
    if (section === 'Service' && value !== undefined) values.push(value)
  }
  return values
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
      pending = `${pending.slice(0, -1).trimEnd()} `
      continue
    }
    lines.push(pending.trim())
    pending = ''
  }
  return [...lines, pending.trim()]
}
