// From the text of `fleet.yaml` to a FleetSpec, or to every problem in it with line and column.
// spec-schema.ts describes the format. Pure.

import { type Document, LineCounter, parseDocument, visit, type YAMLError } from 'yaml'
import { digestOf, type Json } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type FleetSpec, resolveEntry } from './intent.ts'
import {
  type Finding,
  findingsOf,
  locate,
  lowerFirst,
  type Source,
  type SpecProblem,
} from './spec-problems.ts'
import { resolveRollout } from './rollout-spec.ts'
import { FleetDocument } from './spec-schema.ts'

export type ParsedFleetSpec =
  | {
      readonly kind: 'ok'
      readonly spec: FleetSpec
      /** Of the meaning: formatting, comments and where a default is written do not matter. */
      readonly digest: string
      /** Places problems that are found later, by compile. */
      readonly locate: (finding: Finding) => SpecProblem
    }
  | { readonly kind: 'invalid'; readonly problems: readonly SpecProblem[] }

// More problems at once tell nothing new.
const PROBLEMS_MAX = 20
// Anchors are fine, documents that blow up to gigabytes are not.
const ALIASES_MAX = 100

export function parseFleetSpec(text: string): ParsedFleetSpec {
  const lines = new LineCounter()
  const source = readYaml(text, lines)
  if (source instanceof OperationalError)
    return {
      kind: 'invalid',
      problems: [{ message: source.message, line: 1, column: 1, path: '' }],
    }

  const broken = source.document.errors.map(error => yamlProblem(error, source))
  // A key given twice leaves a tree that can be judged further; broken syntax does not.
  if (source.document.errors.some(error => error.code !== 'DUPLICATE_KEY')) return invalid(broken)

  const value = toValue(source)
  if (value instanceof OperationalError)
    return invalid([...broken, { message: value.message, line: 1, column: 1, path: '' }])
  const parsed = FleetDocument.safeParse(value.value)
  const place = (finding: Finding) => locate(source, finding)
  if (!parsed.success)
    return invalid([...broken, ...findingsOf(parsed.error.issues, value.value).map(place)])

  const findings: Finding[] = []
  const spec: FleetSpec = {
    fleet: parsed.data.fleet,
    services: parsed.data.services.map((entry, index) =>
      resolveEntry(entry, parsed.data.defaults ?? {}, (path, message) => {
        const stands = Object.hasOwn(entry, path[0] ?? '')
        findings.push({
          path: stands ? ['services', index, ...path] : ['defaults', ...path],
          message,
        })
      }),
    ),
    ...resolveRollout(parsed.data, (path, message) => findings.push({ path, message })),
  }
  const problems = [...broken, ...findings.map(place)]
  if (problems.length > 0) return invalid(problems)
  return { kind: 'ok', spec, digest: digestOf(asJson(spec)), locate: place }
}

function invalid(problems: readonly SpecProblem[]): ParsedFleetSpec {
  const seen = new Set<string>()
  const unique = problems.filter(problem => {
    const key = `${problem.line}:${problem.column}:${problem.message}`
    return !seen.has(key) && seen.add(key)
  })
  const sorted = unique.toSorted((a, b) => a.line - b.line || a.column - b.column)
  return { kind: 'invalid', problems: sorted.slice(0, PROBLEMS_MAX) }
}

// A tree that is nested too deeply ends the parser's recursion; that is the text's fault.
function readYaml(text: string, lines: LineCounter): Source | OperationalError {
  try {
    return {
      document: parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true }),
      lines,
    }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    return new OperationalError('invalid-spec', 'the document is nested too deeply', { cause })
  }
}

function toValue({ document }: Source): { readonly value: unknown } | OperationalError {
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX })
    return { value }
  } catch (cause) {
    const why =
      cause instanceof ReferenceError
        ? lowerFirst(cause.message)
        : cause instanceof RangeError
          ? 'the document is nested too deeply'
          : undefined
    if (why === undefined) throw cause
    return new OperationalError('invalid-spec', why, { cause })
  }
}

function yamlProblem(error: YAMLError, { lines, document }: Source): SpecProblem {
  const place = lines.linePos(error.pos[0])
  const at = { line: Math.max(1, place.line), column: Math.max(1, place.col), path: '' }
  if (error.code === 'DUPLICATE_KEY') {
    const key = keyAt(document, error.pos[0])
    return {
      ...at,
      message: key === undefined ? 'a key is given twice' : `key \`${key}\` is given twice`,
    }
  }
  if (error.code === 'MULTIPLE_DOCS')
    return { ...at, message: 'a second document starts here (`---`); a fleet spec is one document' }
  return { ...at, message: lowerFirst(error.message) }
}

// The text of the scalar that starts at an offset.
function keyAt(document: Document, offset: number): string | undefined {
  let found: string | undefined
  visit(document, {
    Scalar(_, node) {
      if (node.range?.[0] === offset) {
        found = String(node.value)
        return visit.BREAK
      }
      return undefined
    },
  })
  return found
}

function asJson(spec: FleetSpec): Json {
  const json: Json = JSON.parse(JSON.stringify(spec))
  return json
}
