// Where the command's text goes: the terminal as an interface, colours, and the one place where text
// that came over the wire is made harmless before a person sees it.

import { styleText } from 'node:util'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
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
  /** As `ask`, for what nobody must see: it is not shown while it is typed. */
  askSecretly(question: string, signal: AbortSignal): Promise<string>
  /** All of standard input. */
  readInput(): Promise<string>
}

/** What every command gets besides its own options. */
export interface Session {
  readonly terminal: Terminal
  /** The output is for programs, in the format of `document`: nobody is asked, nothing is drawn. */
  readonly json: boolean
  /** A whole answer as text. */
  document(value: unknown): string
  /** One of several: events, as they come. */
  event(value: unknown): string
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

export const OUTPUTS = ['table', 'wide', 'json', 'yaml'] as const
export type Output = (typeof OUTPUTS)[number]

/** What `--output` means; YAML is loaded when somebody wants it. */
export async function formatOf(
  output: Output,
): Promise<Pick<Session, 'json' | 'document' | 'event'>> {
  switch (output) {
    case 'table':
    case 'wide':
      return { json: false, document: toJson, event: toJsonLine }
    case 'json':
      return { json: true, document: toJson, event: toJsonLine }
    case 'yaml': {
      const { stringify } = await import('yaml')
      // Of several documents each begins with its mark.
      return { json: true, document: stringify, event: value => `---\n${stringify(value)}` }
    }
    default:
      return unreachable(output)
  }
}

/** Throws `usage` for what is no format. */
export function parseOutput(text: string): Output {
  const output = OUTPUTS.find(one => one === text)
  if (output !== undefined) return output
  throw new OperationalError('usage', `there is no output format ${text}`, {
    hint: `choose one of ${OUTPUTS.join(', ')}`,
  })
}

/** One document with --output json or yaml, else what `view` makes of the value. */
export function show<T>(session: Session, value: T, view: (value: T) => string): void {
  session.terminal.out(session.json ? session.document(value) : asLines(view(printable(value))))
}

// What is printed next, or appended to a file, begins a line of its own.
function asLines(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
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
  // Once, however many commands one process runs.
  if (!stdout.listeners('error').includes(tolerateNoReader)) stdout.on('error', tolerateNoReader)
  return {
    out: text => void stdout.write(text),
    err: text => void stderr.write(text),
    canAsk: stdin.isTTY && stderr.isTTY,
    errorIsTerminal: stderr.isTTY,
    get size() {
      return stdout.isTTY ? { columns: stdout.columns, rows: stdout.rows } : undefined
    },
    ask: (question, signal) => askLine(question, stderr, signal),
    async askSecretly(question, signal) {
      const { Writable } = await import('node:stream')
      stderr.write(question)
      // The line editor echoes to its output: to nobody, here.
      const nobody = new Writable({ write: (_chunk, _encoding, done) => done() })
      const answer = await askLine('', nobody, signal)
      stderr.write('\n')
      return answer
    },
    readInput: async () => (await import('node:stream/consumers')).text(stdin),
  }
}

// `tlsfleet status | head` ends the reader first; that is no error of ours.
function tolerateNoReader(error: Error): void {
  if (!('code' in error && error.code === 'EPIPE')) throw error
}

async function askLine(
  question: string,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<string> {
  const { createInterface } = await import('node:readline/promises')
  // A terminal even where the output is none: the line is edited, and the terminal's own echo is off.
  const lines = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY })
  const ended = new Promise<undefined>(resolve => lines.once('close', () => resolve(undefined)))
  try {
    const answer = await Promise.race([lines.question(question, { signal }), ended])
    // Ctrl-C and Ctrl-D leave the cursor behind the question.
    if (answer === undefined) output.write('\n')
    return answer ?? ''
  } finally {
    lines.close()
  }
}
