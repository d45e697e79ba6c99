// Runs the tests with tap, prints one line a file and, last of all, `N passed, N failed[, N skipped]`.
// A skipped test is always listed with its reason; in CI a skip for want of the lab is a failure,
// because a green run must not have tested nothing.

import { spawn, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { Parser, type Result } from 'tap-parser'
import { LAB_UNAVAILABLE, labUnavailable } from './lab/availability.ts'
import { prepareLab } from './lab/prepare.ts'

const ROOT = dirname(import.meta.dirname)
const TAP = join(
  dirname(createRequire(import.meta.url).resolve('tap/package.json')),
  'dist/esm/run.mjs',
)
// A lab boots several hosts; on a busy machine of two cores one file may take minutes.
const FILE_TIMEOUT_S = 300
// Each file is a process of its own, and a lab is a dozen more: more in parallel only slows each down.
const JOBS = 2

export type Selection = 'all' | 'fast' | 'lab'

/** What stays of `files` for a selection and the filters (parts of a path) given on the command line. */
export function selectFiles(
  files: readonly string[],
  selection: Selection,
  filters: readonly string[],
): readonly string[] {
  return files
    .filter(file => selection === 'all' || needsMachine(file) === (selection === 'lab'))
    .filter(file => filters.length === 0 || filters.some(filter => file.includes(filter)))
    .toSorted()
}

/** Tests in these folders boot hosts or run real services; all others need nothing but Node. */
function needsMachine(file: string): boolean {
  return file.startsWith('test/lab/') || file.startsWith('test/integration/')
}

export interface Skip {
  readonly name: string
  readonly reason: string
}

export interface Tally {
  passed: number
  failed: number
  readonly skipped: Skip[]
}

/** The line that ends every run. */
export function closingLine(tally: Tally): string {
  const skipped = tally.skipped.length === 0 ? '' : `, ${tally.skipped.length} skipped`
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`
}

/** Why a run whose tests all passed is a failure nevertheless, or undefined. */
export function verdict(tally: Tally, context: { readonly ci: boolean }): string | undefined {
  if (tally.failed > 0) return 'tests failed'
  if (tally.passed === 0) return 'no test ran'
  const missing = tally.skipped.filter(skip => skip.reason.startsWith(LAB_UNAVAILABLE))
  if (context.ci && missing.length > 0)
    return `${missing.length} tests needed the lab, and CI is set`
  return undefined
}

/** Feeds TAP text to the returned parser; counts in `tally`, reports one line a file to `print`. */
export function createTally(tally: Tally, print: (line: string) => void): Parser {
  const parser = new Parser()
  // Of the file that is being read: files do not interleave, whatever runs in parallel.
  let passed = 0
  parser.on('result', (result: Result) => {
    if (result.skip || result.todo) {
      tally.skipped.push({ name: result.fullname, reason: reasonOf(result) })
    } else if (result.ok) {
      tally.passed++
      passed++
    } else {
      tally.failed++
      print(describeFailure(result))
    }
  })
  parser.on('assert', (file: Result) => {
    print(`${markOf(file)} ${file.name}  ${passed} passed${seconds(file.time)}`)
    passed = 0
  })
  parser.on('bailout', (reason: string) => {
    tally.failed++
    print(`FAIL bailed out: ${reason}`)
  })
  return parser
}

function markOf(file: Result): string {
  if (!file.ok) return 'FAIL'
  return file.skip ? 'skip' : 'ok  '
}

function seconds(timeMs: number | null): string {
  return timeMs === null ? '' : `  ${(timeMs / 1000).toFixed(1)} s`
}

function reasonOf(result: Result): string {
  const reason = result.skip || result.todo
  return typeof reason === 'string' && reason !== '' ? reason : 'no reason given'
}

function describeFailure(failure: Result): string {
  const diag: unknown = failure.diag
  const lines = [`not ok: ${failure.fullname}`]
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

/** Runs the files under tap; resolves with tap's own exit code. */
function runTap(files: readonly string[], parser: Parser): Promise<number> {
  const argv = [`--jobs=${JOBS}`, `--timeout=${FILE_TIMEOUT_S}`, '--reporter=tap', ...files]
  const child = spawn(process.execPath, [TAP, ...argv], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    child.stdout.pipe(parser)
    child.once('error', reject)
    let code: number | undefined
    let parsed = false
    const settle = () => code !== undefined && parsed && resolve(code)
    child.once('exit', (status, signal) => {
      code = status ?? (signal === null ? 1 : 128)
      settle()
    })
    parser.on('complete', () => {
      parsed = true
      settle()
    })
  })
}

// npm ci brings tap as published, with a plugin that compiles TypeScript and fails under TypeScript 7.
// tap rebuilds itself after `.taprc`, but too late for the run that notices the difference.
function buildTap(print: (line: string) => void): void {
  const built = createRequire(TAP).resolve('@tapjs/test/package.json')
  const signature = readFileSync(join(dirname(built), 'test-built/dist/esm/index.js'), 'utf8')
  if (!signature.includes('@tapjs/typescript')) return
  print('# building tap without its TypeScript plugin, once after npm ci')
  const { status, stderr } = spawnSync(process.execPath, [TAP, 'build'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`tap build: exit ${status}: ${stderr}`)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { fast: { type: 'boolean' }, lab: { type: 'boolean' } },
    allowPositionals: true,
  })
  const selection = values.fast ? 'fast' : values.lab ? 'lab' : 'all'
  const found = globSync('test/**/*.test.ts', { cwd: ROOT })
  const files = selectFiles(found, selection, positionals)
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const ci = (process.env['CI'] ?? '') !== ''

  buildTap(print)
  if (files.some(needsMachine)) {
    prepareLab(print)
    const why = labUnavailable()
    if (why !== undefined) print(`# ${why}`)
  }
  const startedMs = performance.now()
  const tally: Tally = { passed: 0, failed: 0, skipped: [] }
  const status = files.length === 0 ? 0 : await runTap(files, createTally(tally, print))
  // A file that failed without a failed assertion, as by a timeout of tap's, still counts.
  if (status !== 0 && tally.failed === 0) tally.failed = 1

  for (const skip of tally.skipped) print(`skipped: ${skip.name}: ${skip.reason}`)
  print(`# ${files.length} files in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  const why = verdict(tally, { ci })
  if (why !== undefined) print(`# ${why}`)
  print(closingLine(tally))
  return why === undefined ? 0 : 1
}

if (import.meta.main) process.exitCode = await main()
