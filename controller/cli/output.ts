// Where the command's text goes: the terminal as an interface, colours, and the one place where text
// that came over the wire is made harmless before a person sees it.

import { styleText } from 'node:util'
import type { Clock } from '../../shared/clock.ts'
import type { Width } from './table.ts'

export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** A person can be asked: input and error output are terminals. */
  readonly canAsk: boolean
  readonly errorIsTerminal: boolean
  /** Of standard output; undefined when it is not a terminal. */
  readonly size: { readonly columns: number; readonly rows: number } | undefined
  /** One line of what was typed; empty at the end of input. */
  ask(question: string, signal: AbortSignal): Promise<string>
  /** All of standard input. */
  readInput(): Promise<string>
}

/** What every command gets besides its own options. */
export interface Session {
  readonly terminal: Terminal
  readonly json: boolean
  readonly paint: Paint
  /** Of standard output. */
  readonly width: Width
  readonly contextName: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

type Colour = (text: string) => string
export interface Paint {
  readonly bold: Colour
  readonly dim: Colour
  readonly red: Colour
  readonly green: Colour
  readonly yellow: Colour
  readonly cyan: Colour
}

export const plainPaint: Paint = {
  bold: text => text,
  dim: text => text,
  red: text => text,
  green: text => text,
  yellow: text => text,
  cyan: text => text,
}

// The decision whether to colour is ours (--no-color, NO_COLOR), not that of styleText.
const ALWAYS = { validateStream: false } as const
export const colourPaint: Paint = {
  bold: text => styleText('bold', text, ALWAYS),
  dim: text => styleText('dim', text, ALWAYS),
  red: text => styleText('red', text, ALWAYS),
  green: text => styleText('green', text, ALWAYS),
  yellow: text => styleText('yellow', text, ALWAYS),
  cyan: text => styleText('cyan', text, ALWAYS),
}

/** One JSON document with --json, else what `view` makes of the value. */
export function show<T>(session: Session, value: T, view: (value: T) => string): void {
  session.terminal.out(session.json ? toJson(value) : view(printable(value)))
}

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** One JSON document a line, for streams of events. */
export function toJsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

/**
 * A copy in which no string holds a control character, line feeds excepted. Reports are claims of
 * nodes: a node must not be able to write escape sequences to an operator's terminal.
 */
export function printable<T>(value: T): T {
  const copy: T = JSON.parse(JSON.stringify(value), (_key, member: unknown) =>
    printableMember(member),
  )
  return copy
}

function printableMember(member: unknown): unknown {
  if (typeof member === 'string') return printableText(member)
  if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
  return Object.fromEntries(
    Object.entries(member).map(([key, value]: [string, unknown]) => [printableText(key), value]),
  )
}

export function printableText(text: string): string {
  return text.replaceAll('\t', '    ').replaceAll(UNPRINTABLE, character => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

// Controls but the line feed, line separators, and the marks that reorder text.
const UNPRINTABLE = /(?!\n)[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  // `tlsfleet status | head` ends the reader first; that is no error of ours.
  stdout.on('error', error => {
    if (!('code' in error && error.code === 'EPIPE')) throw error
  })
  return {
    out: text => void stdout.write(text),
    err: text => void stderr.write(text),
    canAsk: stdin.isTTY && stderr.isTTY,
    errorIsTerminal: stderr.isTTY,
    size: stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : undefined,
    async ask(question, signal) {
      const { createInterface } = await import('node:readline/promises')
      const lines = createInterface({ input: stdin, output: stderr })
      const ended = new Promise<undefined>(resolve => lines.once('close', () => resolve(undefined)))
      try {
        const answer = await Promise.race([lines.question(question, { signal }), ended])
        // Ctrl-C and Ctrl-D leave the cursor behind the question.
        if (answer === undefined) stderr.write('\n')
        return answer ?? ''
      } finally {
        lines.close()
      }
    },
    readInput: async () => (await import('node:stream/consumers')).text(stdin),
  }
}
