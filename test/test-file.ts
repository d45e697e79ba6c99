// One test file: a process that prints TAP, and what came of it.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Parser, type FinalResults, type Result } from 'tap-parser'

/** How the reason of a test begins that CI does without. */
export const NOT_IN_CI = 'not part of CI'

export interface Skip {
  readonly name: string
  readonly reason: string
}

export interface FileOutcome {
  readonly file: string
  readonly ok: boolean
  readonly passed: number
  /** In words, each with its name. At least one where it is not ok. */
  readonly failures: readonly string[]
  readonly skipped: readonly Skip[]
  /** The file as a whole was skipped. */
  readonly isSkipped: boolean
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: string | null
  /** It was ended because it took longer than its time. */
  readonly isLate: boolean
}

export interface TestReader {
  readonly parser: Parser
  /** Once the process has ended and all of its output is read. */
  readonly outcome: (end: ProcessEnd) => FileOutcome
}

/** Counts assertions at the leaves. */
export function readTests(file: string): TestReader {
  const parser = new Parser({ name: file })
  const failures: string[] = []
  const skipped: Skip[] = []
  let passed = 0
  let last = ''
  let final: FinalResults | undefined
  parser.on('result', (result: Result) => {
    last = result.fullname
    if (result.skip || result.todo)
      skipped.push({ name: result.fullname, reason: reasonOf(result.skip || result.todo) })
    else if (result.ok) passed++
    else failures.push(describeFailure(result))
  })
  parser.on('bailout', (reason: string) => failures.push(`bailed out: ${reason}`))
  parser.on('complete', (results: FinalResults) => {
    final = results
  })
  return {
    parser,
    outcome(end) {
      const why = skipReasonOf(final)
      const isSkipped = why !== undefined
      if (isSkipped) skipped.push({ name: file, reason: why })
      const isEmpty = final?.count === 0 && !isSkipped
      const ok = final?.ok === true && !isEmpty && end.code === 0 && failures.length === 0
      // Such as one that ended in the middle, or threw after its last assertion.
      if (!ok && failures.length === 0) failures.push(`${file}: ${describeEnd(end, final, last)}`)
      return { file, ok, passed, failures, skipped, isSkipped }
    },
  }
}

/** Why nothing of a file was run; undefined where it does not say so itself. */
function skipReasonOf(final: FinalResults | undefined): string | undefined {
  if (final?.plan.skipAll !== true) return undefined
  const reason = final.plan.skipReason.replace(/^SKIP:? */i, '')
  return reason === '' || reason === 'no tests found' ? undefined : reason
}

function reasonOf(reason: unknown): string {
  return typeof reason === 'string' && reason !== '' ? reason : 'no reason given'
}

function describeEnd(
  { code, signal, isLate }: ProcessEnd,
  final: FinalResults | undefined,
  last: string,
): string {
  if (isLate) return last === '' ? 'did not end in time' : `did not end in time, after: ${last}`
  if (signal !== null) return `was ended by ${signal}`
  if (code !== 0) return `ended with ${code}, though no assertion failed`
  const errors = final?.failures.flatMap(({ tapError }) => tapError ?? []) ?? []
  return errors.length === 0 ? 'nothing was asserted' : errors.join(', ')
}

function describeFailure(failure: Result): string {
  const diag: unknown = failure.diag
  const lines = [failure.fullname]
  if (typeof diag !== 'object' || diag === null) return lines.join('\n')
  const entries: readonly (readonly [string, unknown])[] = Object.entries(diag)
  for (const [key, value] of entries) {
    if (UNTOLD.has(key) || value === undefined || value === null) continue
    const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 1)
    lines.push(`  ${key}: ${text.trimEnd().replaceAll('\n', '\n    ')}`)
  }
  return lines.join('\n')
}

// Details of tap's own that tell a reader nothing beyond `stack` and `source`.
const UNTOLD = new Set([
  'tapCaller',
  'cwd',
  'command',
  'args',
  'stdio',
  'env',
  'externalID',
  'jobId',
])

export interface RunOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
}

// In which tap says what it was at.
const PARTING_MS = 5_000

const PRELOAD = join(import.meta.dirname, 'promise-hooks.ts')

/** Much as `node FILE` by hand: no loader comes between a test and the programs that it starts. */
export function runTestFile(
  file: string,
  { cwd, env, timeoutMs }: RunOptions,
): Promise<FileOutcome> {
  const { parser, outcome } = readTests(file)
  const argv = ['--import', PRELOAD, file]
  const child = spawn(process.execPath, argv, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  let isLate = false
  let last: NodeJS.Timeout | undefined
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGTERM')
    last = setTimeout(() => {
      child.kill('SIGKILL')
      // Also where a process that it left behind holds the pipe.
      child.stdout.destroy()
    }, PARTING_MS)
  }, timeoutMs)
  child.stdout.on('data', (chunk: Buffer) => parser.write(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      clearTimeout(last)
      parser.end()
      resolve(outcome({ code, signal, isLate }))
    })
  })
}
