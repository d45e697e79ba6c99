// What is wrong with a fleet spec, said so that the line can be found and mended.

import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
} from 'yaml'
import type * as z from 'zod/mini'
import { nearest } from './nearest.ts'
import { knownKeysAt } from './spec-schema.ts'

export interface SpecProblem {
  readonly message: string
  /** Both from 1. */
  readonly line: number
  readonly column: number
  /** As in `services[0].lifetime`; empty for the document itself. */
  readonly path: string
}

export type Path = readonly (string | number)[]

/** A problem before its place in the text is known. */
export interface Finding {
  readonly path: Path
  readonly message: string
  /** The problem is the key at the end of the path, not its value. */
  readonly atKey?: boolean
}

/** A parsed text, to find places in. */
export interface Source {
  readonly document: Document
  readonly lines: LineCounter
}

export function locate(source: Source, finding: Finding): SpecProblem {
  const node = nodeAt(source.document, finding.path, finding.atKey ?? false)
  const place = source.lines.linePos(node?.range?.[0] ?? 0)
  return {
    message: finding.message,
    line: Math.max(1, place.line),
    column: Math.max(1, place.col),
    path: pathText(finding.path),
  }
}

export function pathText(path: Path): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`,
    )
    .join('')
}

// The deepest node on the way to the path: a missing key is shown at the mapping that lacks it.
function nodeAt(document: Document, path: Path, atKey: boolean): Node | undefined {
  let current = resolved(document, document.contents)
  for (const [index, part] of path.entries()) {
    let next: unknown
    if (isMap(current)) {
      const pair = current.items.find(
        item => isScalar(item.key) && String(item.key.value) === String(part),
      )
      if (atKey && index === path.length - 1 && isNode(pair?.key)) return pair.key
      next = pair?.value ?? pair?.key
    } else if (isSeq(current) && typeof part === 'number') next = current.items[part]
    if (!isNode(next)) break
    // Of an alias, the place where it is used is shown, the content behind it searched.
    if (index === path.length - 1) return next
    current = resolved(document, next)
  }
  return current
}

function resolved(document: Document, node: unknown): Node | undefined {
  if (isAlias(node)) return node.resolve(document)
  return isNode(node) ? node : undefined
}

/** Findings of the schema, with messages of our own where zod's would not help an operator. */
export function findingsOf(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  prefix: Path = [],
): readonly Finding[] {
  return issues.flatMap(issue => {
    const path: Path = [
      ...prefix,
      ...issue.path.map(part => (typeof part === 'number' ? part : String(part))),
    ]
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(key => ({
        path: [...path, key],
        message: unknownKey(path, key, value),
        atKey: true,
      }))
    if (issue.code === 'invalid_key')
      return [{ path, message: `\`${String(path.at(-1))}\` cannot be a key here`, atKey: true }]
    if (issue.code === 'invalid_union') return unionFindings(issue, value, path)
    return [{ path, message: messageOf(issue, valueAt(value, path), path) }]
  })
}

function unionFindings(
  issue: Extract<z.core.$ZodIssue, { code: 'invalid_union' }>,
  value: unknown,
  path: Path,
): readonly Finding[] {
  const actual = valueAt(value, path)
  if (issue.discriminator !== undefined) {
    const known = discriminatorValues(issue)
    return [{ path, message: actual === undefined ? missingKey(path) : oneOf(known, actual) }]
  }
  // A branch that went deeper is the one that was meant.
  const deeper = issue.errors.find(branch => branch.some(one => !isOtherKind(one)))
  if (deeper !== undefined) return findingsOf(deeper, value, path)
  if (actual === undefined) return [{ path, message: missingKey(path) }]
  const expected = issue.errors.flatMap(branch => branch.slice(0, 1).map(expectation))
  return [{ path, message: mustBe(alternatives(expected), actual) }]
}

function isOtherKind(issue: z.core.$ZodIssue): boolean {
  return (
    issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
  )
}

function discriminatorValues(issue: z.core.$ZodIssueInvalidUnion): readonly unknown[] {
  return 'options' in issue && Array.isArray(issue.options) ? issue.options : []
}

function messageOf(issue: z.core.$ZodIssue, actual: unknown, path: Path): string {
  if (actual === undefined && issue.code !== 'custom') return missingKey(path)
  if (actual === null && path.length === 0) return 'the document is empty'
  if (issue.code === 'invalid_value') return oneOf(issue.values, actual)
  // A schema's own words are better than the name of a type.
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input'))
    return mustBe(expectation(issue), actual)
  if (issue.code === 'invalid_format' && issue.format === 'regex')
    return `${describeValue(actual)} is not a valid name: lower-case letters, digits, \`-\` and \`.\``
  return lowerFirst(issue.message)
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return alternatives(issue.values.map(show))
  if (issue.code !== 'invalid_type') return lowerFirst(issue.message)
  return TYPE_WORDS[issue.expected] ?? `a ${issue.expected}`
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
}

function unknownKey(path: Path, key: string, value: unknown): string {
  // The product is named in the entry itself: services, its index.
  const known = knownKeysAt(path, valueAt(value, [...path.slice(0, 2), 'service']))
  const near = nearest(key, known)
  if (near !== undefined) return `unknown key \`${key}\`; did you mean \`${near}\`?`
  const hint = key === '<<' ? 'merge keys are not supported, use `defaults`' : KEY_HINTS.get(key)
  if (hint !== undefined) return `unknown key \`${key}\`; ${hint}`
  return known.length === 0
    ? `unknown key \`${key}\``
    : `unknown key \`${key}\`; known here: ${known.join(', ')}`
}

// Words that other tools, or the documents that nodes receive, use for the same thing.
const KEY_HINTS: ReadonlyMap<string, string> = new Map([
  ['certificate', 'write issuer, key, lifetime and renewBefore directly in the entry'],
  ['labels', 'labels belong under `nodes`'],
  ['hosts', 'nodes are selected with `nodes`'],
])

function oneOf(values: readonly unknown[], actual: unknown): string {
  const words = values.filter(one => typeof one === 'string')
  const near = typeof actual === 'string' ? nearest(actual, words) : undefined
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  if (values.some(one => typeof one === 'number' && String(one) === actual))
    return `must be the number ${show(actual)}, without quotes`
  return `${mustBe(alternatives(values.map(show)), actual)}${hint}`
}

function mustBe(expected: string, actual: unknown): string {
  const unquoted = typeof actual === 'number' || typeof actual === 'boolean'
  const hint = unquoted && /\btext\b/.test(expected) ? '; put it in quotes' : ''
  return `must be ${expected}, not ${describeValue(actual)}${hint}`
}

function missingKey(path: Path): string {
  return `missing key \`${path.at(-1)}\``
}

function describeValue(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return show(value)
}

function show(value: unknown): string {
  return `\`${String(value).slice(0, 64)}\``
}

function alternatives(words: readonly string[]): string {
  const unique = [...new Set(words)]
  return unique.length < 2
    ? unique.join('')
    : `${unique.slice(0, -1).join(', ')} or ${unique.at(-1)}`
}

function valueAt(value: unknown, path: Path): unknown {
  let current = value
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part))
      return undefined
    current = Reflect.get(current, part)
  }
  return current
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
