// The syntax of systemd's EnvironmentFile=, state by state as systemd reads it (src/basic/env-file.c):
// comments begin with # or ;, a quoted value ends nothing, and only a newline ends an assignment.

export type Quoting = 'bare' | 'single' | 'double'

/** One character of a value and the bytes it is written with. */
export interface ValueChar {
  readonly char: string
  readonly start: number
  readonly end: number
  readonly quoting: Quoting
}

export interface Assignment {
  readonly name: string
  readonly value: string
  /** Of the name's first character. */
  readonly start: number
  /** Behind the equals sign. */
  readonly valueStart: number
  /** The newline that ends it, or the end of the text. */
  readonly end: number
  readonly chars: readonly ValueChar[]
  /** A quote or a backslash is open at the end of the text. */
  readonly isOpen: boolean
  /** systemd before 254 continues a comment that ends in a backslash, later versions do not. */
  readonly isDisputed: boolean
}

export interface EnvironmentFile {
  readonly assignments: readonly Assignment[]
  /** The text ends inside such a disputed comment. */
  readonly endsInComment: boolean
}

export function parseEnvironmentFile(text: string): EnvironmentFile {
  const assignments: Assignment[] = []
  let isDisputed = false
  let endsInComment = false
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (isSpace(char)) {
      if (isNewline(char)) isDisputed = false
      at++
    } else if (char === '#' || char === ';') {
      const end = newlineFrom(text, at)
      // The carriage return of a CRLF is what the backslash escapes, so both versions agree there.
      const isCrlf = text.startsWith('\r\n', end)
      isDisputed = text[end - 1] === '\\' && isEscape(text, end - 1) && !isCrlf
      endsInComment = isDisputed && newlineFrom(text, end + 1) === text.length
      at = end + 1
    } else {
      const end = newlineFrom(text, at)
      const equals = text.slice(at, end).indexOf('=')
      if (equals < 0) at = end + 1
      else {
        const assignment = parseAssignment(text, at, at + equals, isDisputed)
        assignments.push(assignment)
        at = assignment.end + 1
      }
      isDisputed = false
    }
  }
  return { assignments, endsInComment }
}

function parseAssignment(
  text: string,
  start: number,
  equals: number,
  isDisputed: boolean,
): Assignment {
  const name = text.slice(start, equals).replace(/[ \t\n\r]+$/, '')
  const scanned = scanValue(text, equals + 1)
  const value = scanned.chars.map(({ char }) => char).join('')
  return { name, value, start, valueStart: equals + 1, isDisputed, ...scanned }
}

type State = 'before' | 'bare' | 'single' | 'double'

interface Scanned {
  readonly chars: readonly ValueChar[]
  readonly end: number
  readonly isOpen: boolean
}

function scanValue(text: string, from: number): Scanned {
  const chars: ValueChar[] = []
  let state: State = 'before'
  let escapedUntil = 0
  let at = from
  for (; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '\\' && state !== 'single') {
      // A backslash at the end of the text takes nothing with it, but would take what is appended.
      if (at + 1 === text.length) return { chars, end: text.length, isOpen: true }
      const quoting = state === 'double' ? 'double' : 'bare'
      const escaped = text.charAt(at + 1)
      chars.push(...unescape(escaped, at, quoting))
      if (quoting === 'bare') {
        state = 'bare'
        escapedUntil = chars.length
      }
      at++
    } else if (state === 'single' || state === 'double') {
      if (char === (state === 'single' ? "'" : '"')) state = 'before'
      else chars.push({ char, start: at, end: at + 1, quoting: state })
    } else if (isNewline(char)) {
      break
    } else if (state === 'before' && (char === "'" || char === '"')) {
      state = char === '"' ? 'double' : 'single'
    } else if (state === 'bare' || !isSpace(char)) {
      state = 'bare'
      chars.push({ char, start: at, end: at + 1, quoting: 'bare' })
    }
  }
  const isOpen = state === 'single' || state === 'double'
  const isChopped = state === 'bare'
  return { chars: isChopped ? chopSpace(chars, escapedUntil) : chars, end: at, isOpen }
}

function unescape(char: string, start: number, quoting: 'bare' | 'double'): readonly ValueChar[] {
  const end = start + 2
  if (quoting === 'bare') {
    return isNewline(char) ? [] : [{ char, start, end, quoting }]
  }
  if (char === '\n') return []
  if (NEEDS_ESCAPE.test(char)) return [{ char, start, end, quoting }]
  return [
    { char: '\\', start, end: start + 1, quoting },
    { char, start: start + 1, end, quoting },
  ]
}

const NEEDS_ESCAPE = /["\\`$]/

/** systemd chops off trailing space, but not what stands before the last backslash. */
function chopSpace(chars: readonly ValueChar[], keep: number): readonly ValueChar[] {
  const isText = ({ char, quoting }: ValueChar, index: number) =>
    index < keep || quoting !== 'bare' || !isSpace(char)
  return chars.slice(0, chars.findLastIndex(isText) + 1)
}

/** The backslash is not itself escaped by the one before it. */
function isEscape(text: string, at: number): boolean {
  let first = at
  while (text[first - 1] === '\\') first--
  return (at - first) % 2 === 0
}

function newlineFrom(text: string, at: number): number {
  for (let end = at; end < text.length; end++) if (isNewline(text.charAt(end))) return end
  return text.length
}

export function isNewline(char: string): boolean {
  return char === '\n' || char === '\r'
}

function isSpace(char: string): boolean {
  return char === ' ' || char === '\t' || isNewline(char)
}

/** The value as it is written with the given quotes, or `undefined` when those cannot hold it. */
export function encodeValue(value: string, quoting: Quoting): string | undefined {
  switch (quoting) {
    case 'double':
      return value.replace(/["\\`$]/g, '\\$&')
    case 'single':
      return value.includes("'") ? undefined : value
    case 'bare':
      return /^[A-Za-z0-9_/.:,@%+=-]*$/.test(value) ? value : undefined
  }
}
