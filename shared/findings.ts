// What a check of an installation found, on either side, and its text for people. Pure.

export type FindingState = 'ok' | 'warning' | 'failed' | 'skipped'

export interface Finding {
  /** What was looked at, in a few words: `clock`, `controller`. */
  readonly check: string
  readonly state: FindingState
  readonly message: string
  /** What to do; every finding that is not `ok` has one, but for what was skipped for another. */
  readonly fix?: string
}

export interface FindingPaint {
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly red: (text: string) => string
  readonly dim: (text: string) => string
}

export const PLAIN: FindingPaint = {
  green: text => text,
  yellow: text => text,
  red: text => text,
  dim: text => text,
}

/** A line a finding, its fix below it, and a line that sums up. */
export function findingsText(findings: readonly Finding[], paint: FindingPaint = PLAIN): string {
  const width = Math.max(...findings.map(({ check }) => check.length), 0)
  const lines = findings.flatMap(({ check, state, message, fix }) => [
    `${mark(state, paint)}  ${check.padEnd(width)}  ${message}`,
    ...(fix === undefined ? [] : [`${' '.repeat(9 + width + 2)}→ ${fix}`]),
  ])
  return `${lines.join('\n')}\n\n${summary(findings)}\n`
}

export function hasFailed(findings: readonly Finding[]): boolean {
  return findings.some(({ state }) => state === 'failed')
}

const MARK_WIDTH = 7

function mark(state: FindingState, paint: FindingPaint): string {
  const text = state.padEnd(MARK_WIDTH)
  if (state === 'ok') return paint.green(text)
  if (state === 'warning') return paint.yellow(text)
  return state === 'failed' ? paint.red(text) : paint.dim(text)
}

function summary(findings: readonly Finding[]): string {
  const failed = findings.filter(({ state }) => state === 'failed').length
  const warnings = findings.filter(({ state }) => state === 'warning').length
  if (failed + warnings === 0) return 'nothing is wrong'
  const parts = [
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(warnings === 0 ? [] : [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`]),
  ]
  return parts.join(', ')
}
