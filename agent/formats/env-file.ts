// Lossless edits of environment files (/etc/default/*): one variable, or one flag inside a variable
// that holds a command line. All other bytes stay.

import { assert } from '../../shared/assert.ts'
import { type EditResult, isWritable, type Refused, refused } from './edit.ts'
import type { Assignment, EnvironmentFile, Quoting } from './env-syntax.ts'
import { encodeValue, isNewline, parseEnvironmentFile } from './env-syntax.ts'
import { bareName, findFlag, type FlagUse, quoteWord, scanWords, type Word } from './env-words.ts'
import type { Splice } from './text.ts'
import { applySplices, eolAt, positionAt, refuseUndecodable, splitBom } from './text.ts'

/** The value that systemd gives to the program: that of the last assignment. */
export function readVariable(text: string, name: string): string | undefined {
  const { assignments } = parseEnvironmentFile(text)
  return assignments.findLast(assignment => assignment.name === name)?.value
}

/** Edits the assignment that counts, the last one; `undefined` removes all of them. */
export function setVariable(text: string, name: string, value: string | undefined): EditResult {
  const file = openFile(text, name)
  if (file.kind === 'refused') return file
  const { mine } = file
  const effective = mine.at(-1)
  if (value === effective?.value) return { kind: 'edited', text }
  if (value === undefined) {
    const lines = mine.map(assignment => lineSplice(text, assignment))
    return verified(text, applySplices(text, lines), name, value)
  }
  if (!isWritable(value)) {
    return refused('unsupported-shape', `cannot set ${name}: the value is not valid text`)
  }
  const splice =
    effective === undefined
      ? appendSplice(text, file, `${name}=${quoteValue(value, 'double')}`)
      : replaceSplice(text, effective, value)
  return verified(text, applySplices(text, [splice]), name, value)
}

/** The words that systemd makes of an unbraced `$NAME` in ExecStart=. */
export function splitWords(value: string): readonly string[] {
  return scanWords(value).map(word => word.text)
}

/**
 * The last use of the flag and how many there are. The value is `undefined` when the flag is absent
 * (count 0) or has none. `--flag word` is read as a flag with a value, also where the program knows
 * the flag to be a switch.
 */
export function readFlag(
  words: readonly string[],
  name: string,
): { readonly value: string | undefined; readonly count: number } {
  const uses = findFlag(words, name)
  return { value: uses.at(-1)?.value, count: uses.length }
}

/**
 * Makes `--flag=value` true of the command line in a variable, in the form that is there already:
 * never a second use, because some programs refuse to start on one. `undefined` removes the flag.
 */
export function setFlag(
  text: string,
  variable: string,
  flag: string,
  value: string | undefined,
): EditResult {
  const file = openFile(text, variable)
  if (file.kind === 'refused') return file
  const assignment = file.mine.at(-1)
  const words = scanWords(assignment?.value ?? '')
  const names = words.map(word => word.text)
  const uses = findFlag(names, flag)
  if (value === undefined ? uses.length === 0 : uses.length === 1 && uses[0]?.value === value) {
    return { kind: 'edited', text }
  }
  if (words.some(word => word.isOpen)) {
    return refused('unsupported-shape', `the words in ${variable} have a quote without an end`)
  }
  const changes = flagSplices(words, uses, { flag, value })
  const wanted = applySplices(assignment?.value ?? '', changes)
  const result =
    (assignment && spliceInside(text, assignment, changes, wanted)) ??
    setVariable(text, variable, wanted)
  if (result.kind === 'refused') return result

  const after = readFlag(splitWords(readVariable(result.text, variable) ?? ''), flag)
  const isDone = after.value === value && after.count === (value === undefined ? 0 : 1)
  if (isDone) return result
  return refused('not-lossless', `cannot set --${bareName(flag)} in ${variable}: it would not hold`)
}

type OpenFile = EnvironmentFile & { readonly kind: 'file'; readonly mine: readonly Assignment[] }

function openFile(text: string, name: string): OpenFile | Refused {
  assert(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), `${name} is not the name of a variable`)
  const undecodable = refuseUndecodable(splitBom(text).body)
  if (undecodable !== undefined) return undecodable
  const file = parseEnvironmentFile(text)
  const open = file.assignments.find(assignment => assignment.isOpen)
  if (open !== undefined) {
    const position = positionAt(text, open.start)
    return refused('unparsable', `${open.name} has a quote or backslash without an end`, position)
  }
  const mine = file.assignments.filter(assignment => assignment.name === name)
  const disputed = mine.find(assignment => assignment.isDisputed)
  if (disputed === undefined) return { kind: 'file', mine, ...file }
  const message = `${name} follows a comment that ends in a backslash: only newer systemd reads it`
  return refused('unsupported-shape', message, positionAt(text, disputed.start))
}

function quoteValue(value: string, quoting: Quoting): string {
  if (quoting === 'double') return `"${encodeValue(value, 'double')}"`
  const encoded = value === '' ? undefined : encodeValue(value, quoting)
  if (encoded === undefined) return quoteValue(value, 'double')
  return quoting === 'single' ? `'${encoded}'` : encoded
}

function replaceSplice(text: string, assignment: Assignment, value: string): Splice {
  const { valueStart, end } = assignment
  const raw = text.slice(valueStart, end)
  const space = /^[ \t]*/.exec(raw)?.[0].length ?? 0
  const first = raw.charAt(space)
  const quoting = first === "'" ? 'single' : first === '"' || first === '' ? 'double' : 'bare'
  return { start: valueStart + space, end, text: quoteValue(value, quoting) }
}

function appendSplice(text: string, file: EnvironmentFile, line: string): Splice {
  const eol = eolAt(text, text.length)
  const isTerminated = text === '' || isNewline(text.charAt(text.length - 1))
  // A backslash before the last line end makes the next line a part of the value, or, for an older
  // systemd, of the comment.
  const isContinued = isTerminated && file.assignments.at(-1)?.end === text.length
  const gap = isContinued || file.endsInComment ? eol : ''
  const lines = isTerminated ? gap + line + eol : eol + gap + line
  return { start: text.length, end: text.length, text: lines }
}

/** The whole line, or lines, of an assignment; what stands before the name is only space. */
function lineSplice(text: string, assignment: Assignment): Splice {
  let start = assignment.start
  while (start > 0 && /[ \t]/.test(text.charAt(start - 1))) start--
  const newline = /^(\r\n|\r|\n)/.exec(text.slice(assignment.end, assignment.end + 2))?.[0] ?? ''
  return { start, end: assignment.end + newline.length, text: '' }
}

/** Changes of the value that make the flag what it should be, all other words untouched. */
function flagSplices(
  words: readonly Word[],
  uses: readonly FlagUse[],
  wanted: { readonly flag: string; readonly value: string | undefined },
): readonly Splice[] {
  const obsolete = wanted.value === undefined ? uses : uses.slice(1)
  const changes = removeWords(
    words,
    obsolete.flatMap(use => (use.length === 1 ? [use.index] : [use.index, use.index + 1])),
  )
  if (wanted.value === undefined) return changes
  const [kept] = uses
  if (kept !== undefined) return [keepUse(words, kept, wanted.value), ...changes]

  const word = quoteWord(`--${bareName(wanted.flag)}=${wanted.value}`)
  const terminator = words.find(({ text }) => text === '--')
  const last = words.at(-1)
  if (terminator !== undefined) {
    return [{ start: terminator.start, end: terminator.start, text: `${word} ` }]
  }
  const at = last?.end ?? 0
  return [{ start: at, end: at, text: last === undefined ? word : ` ${word}` }]
}

function keepUse(words: readonly Word[], use: FlagUse, value: string): Splice {
  const word = words[use.index + use.length - 1]
  assert(word !== undefined, 'a flag has a word')
  const isSeparate = use.length === 2 && value !== '' && !value.startsWith('-')
  if (isSeparate) return { start: word.start, end: word.end, text: quoteWord(value) }
  const start = words[use.index]?.start ?? word.start
  const prefix = use.prefix.endsWith('=') ? use.prefix : `${use.prefix}=`
  return { start, end: word.end, text: quoteWord(prefix + value) }
}

/** Each run of words goes with the space before it, or, at the start, with the space behind it. */
function removeWords(words: readonly Word[], indexes: readonly number[]): readonly Splice[] {
  const removals: Splice[] = []
  for (const first of indexes.filter(index => !indexes.includes(index - 1))) {
    let last = first
    while (indexes.includes(last + 1)) last++
    const [from, to] = [words[first], words[last]]
    assert(from !== undefined && to !== undefined, 'a removed word exists')
    const before = words[first - 1]
    removals.push(
      before === undefined
        ? { start: from.start, end: words[last + 1]?.start ?? to.end, text: '' }
        : { start: before.end, end: to.end, text: '' },
    )
  }
  return removals
}

/** Carries changes of a value over to the bytes it is written with; else `undefined`. */
function spliceInside(
  text: string,
  assignment: Assignment,
  changes: readonly Splice[],
  wanted: string,
): EditResult | undefined {
  const { chars } = assignment
  const raw: Splice[] = []
  for (const change of changes) {
    const touched = chars.slice(change.start, change.end)
    const before = chars[change.start - 1]
    const [anchor = before] = touched
    // Bare words with a space between them are fine for systemd, but not for a shell.
    if (anchor === undefined || anchor.quoting === 'bare') return undefined
    if (touched.some(char => char.quoting !== anchor.quoting)) return undefined
    const encoded = encodeValue(change.text, anchor.quoting)
    if (encoded === undefined) return undefined
    const start = touched[0]?.start ?? anchor.end
    raw.push({ start, end: touched.at(-1)?.end ?? start, text: encoded })
  }
  const edited = applySplices(text, raw)
  const result = verified(text, edited, assignment.name, wanted)
  return result.kind === 'edited' ? result : undefined
}

/** Reads the result again: the variable has the value, and every other one has its old one. */
function verified(
  before: string,
  after: string,
  name: string,
  value: string | undefined,
): EditResult {
  const others = (text: string) =>
    JSON.stringify(
      parseEnvironmentFile(text)
        .assignments.filter(assignment => assignment.name !== name)
        .map(assignment => [assignment.name, assignment.value]),
    )
  if (readVariable(after, name) === value && others(before) === others(after)) {
    return { kind: 'edited', text: after }
  }
  return refused('not-lossless', `cannot set ${name}: other lines would change`)
}
