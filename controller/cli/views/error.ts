// A failure for people: what is wrong in a document line by line, then what was attempted and why,
// then what to do. Never a stack trace.

import { OperationalError, describeError } from '../../../shared/errors.ts'
import { type Paint, printable } from '../output.ts'

interface DocumentProblem {
  readonly message: string
  readonly line?: number | undefined
  readonly column?: number | undefined
  readonly path?: string | undefined
}

export interface ErrorView {
  readonly code: string
  readonly message: string
  readonly hint?: string
  /** Name of the document that the problems are in. */
  readonly document?: string
  readonly problems: readonly DocumentProblem[]
}

export function errorView(error: unknown): ErrorView {
  if (!(error instanceof OperationalError))
    return {
      code: 'internal',
      message: describeError(error),
      hint: 'this is a fault of tlsfleet; please report it with the command that you gave',
      problems: [],
    }
  const { document, problems } = error.details
  return {
    code: error.code,
    message: describeError(error),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(typeof document === 'string' ? { document } : {}),
    problems: Array.isArray(problems) ? problems.flatMap(problemOf) : [],
  }
}

function problemOf(value: unknown): readonly DocumentProblem[] {
  if (typeof value !== 'object' || value === null) return []
  if (!('message' in value) || typeof value.message !== 'string') return []
  const line = 'line' in value && typeof value.line === 'number' ? value.line : undefined
  const column = 'column' in value && typeof value.column === 'number' ? value.column : undefined
  const path = 'path' in value && typeof value.path === 'string' ? value.path : undefined
  return [{ message: value.message, line, column, path }]
}

export function errorText(view: ErrorView, paint: Paint): string {
  const { code, message, hint, document, problems } = printable(view)
  const lines = problems.map(problem => `${place(problem, document)}${problem.message}`)
  lines.push(`${paint.red('error:')} ${message.replaceAll('\n', ' ')} (${code})`)
  if (hint !== undefined) lines.push(`${paint.cyan('hint:')} ${hint.replaceAll('\n', ' ')}`)
  return `${lines.join('\n')}\n`
}

// As compilers write it, so that editors can jump there. Without a line, the path of keys helps.
function place({ line, column, path = '' }: DocumentProblem, document: string | undefined): string {
  const keys = path === '' ? '' : `${path.replace(/^\//, '').replaceAll('/', '.')}: `
  if (document === undefined) return keys
  if (line === undefined) return `${document}: ${keys}`
  return column === undefined ? `${document}:${line}: ` : `${document}:${line}:${column}: `
}
