// Stock files carry every key as a comment, `  # https-enabled = false`. The live line belongs right
// below that comment, where its documentation is and where a person looks for it.

import { parse } from 'smol-toml'
import { indentAt, lineEnd, lineStart } from './text.ts'
import type { Section, TomlTree } from './toml-tree.ts'

export interface Template {
  /** Behind the last line of the comment. */
  readonly offset: number
  readonly indent: string
}

// A commented array of more lines than this is not a template of one setting.
const TEMPLATE_LINES_MAX = 100

export function findTemplateEnd(
  { text, comments }: TomlTree,
  section: Section,
  range: { readonly start: number; readonly end: number },
  wanted: { readonly key: string; readonly isCaseSensitive: boolean },
): Template | undefined {
  const isInValue = (offset: number) =>
    section.body.some(pair => offset > pair.range[0] && offset < pair.range[1])
  const lines = comments.filter(
    ({ range: [start] }) =>
      start >= range.start &&
      start < range.end &&
      text.slice(lineStart(text, start), start).trim() === '' &&
      !isInValue(start),
  )
  for (const [index, comment] of lines.entries()) {
    // Below a commented header the comments are about the keys of that other table.
    if (COMMENTED_HEADER.test(comment.value)) return undefined
    if (!startsAssignment(comment.value, wanted)) continue
    const last = lines[index + assignmentLength(lines.slice(index)) - 1]
    if (last === undefined) continue
    const offset = lineEnd(text, last.range[1])
    return { offset, indent: indentAt(text, comment.range[0]) }
  }
  return undefined
}

// A first element that is itself an array, `# [ 1, 2 ],`, is no header: it would end in a comma.
const COMMENTED_HEADER = /^#*[ \t]*\[\[?[ \t]*["'A-Za-z0-9_][^\]=,]*\]\]?[ \t]*$/
const ASSIGNMENT = /^#*[ \t]*([A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')[ \t]*=/

function startsAssignment(
  comment: string,
  { key, isCaseSensitive }: { readonly key: string; readonly isCaseSensitive: boolean },
): boolean {
  const name = ASSIGNMENT.exec(comment)?.[1]?.replace(/^(["'])(.*)\1$/, '$2')
  if (name === undefined) return false
  return isCaseSensitive ? name === key : name.toLowerCase() === key.toLowerCase()
}

/** How many comment lines make one assignment; 0 when they are prose that only looks like one. */
function assignmentLength(lines: readonly { readonly value: string }[]): number {
  let source = ''
  for (const [index, line] of lines.slice(0, TEMPLATE_LINES_MAX).entries()) {
    source += `${line.value.replace(/^#*/, '')}\n`
    if (isAssignment(source)) return index + 1
    if (index === 0 && !source.includes('[') && !source.includes('"""')) return 0
  }
  return 0
}

function isAssignment(source: string): boolean {
  try {
    return Object.keys(parse(source)).length === 1
  } catch {
    // A comment that is no TOML is prose, or an array that goes on in the next line.
    return false
  }
}
