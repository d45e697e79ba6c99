// Runs the tests, each file in a process of its own, prints one line a file and, last of all,
// `N passed, N failed[, N skipped]`. A skipped test is always listed with its reason; in CI a skip
// is a failure, because a green run must not have tested nothing, unless its reason says that CI is without it.

import { spawnSync } from 'node:child_process'
import { globSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { labUnavailable } from './lab/availability.ts'
import { prepareLab } from './lab/prepare.ts'
import { inOrder, needsMachine, placesOn, runInPlaces } from './schedule.ts'
import { type FileOutcome, NOT_IN_CI, runTestFile, type Skip } from './test-file.ts'

const ROOT = dirname(import.meta.dirname)
const TAP = join(
  dirname(createRequire(import.meta.url).resolve('tap/package.json')),
  'dist/esm/run.mjs',
)
// A lab boots several hosts; on a busy machine of two cores one file takes many minutes.
const FILE_TIMEOUT_S = 1_200
// What Node has compiled of sources and packages: half of the time that a program takes to start.
const COMPILED = join(ROOT, 'node_modules/.cache/compiled')

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
  const missing = tally.skipped.filter(skip => !skip.reason.startsWith(NOT_IN_CI))
  if (context.ci && missing.length > 0) return `${missing.length} tests were skipped, and CI is set`
  return undefined
}

/** Adds a file to `tally`; the lines that tell of it. */
export function addOutcome(tally: Tally, outcome: FileOutcome, tookMs: number): readonly string[] {
  const { file, ok, passed, failures, skipped, isSkipped } = outcome
  tally.passed += passed
  tally.failed += failures.length
  tally.skipped.push(...skipped)
  const mark = isSkipped ? 'skip' : ok ? 'ok  ' : 'FAIL'
  const line = `${mark} ${file}  ${passed} passed  ${(tookMs / 1000).toFixed(1)} s`
  return [...failures.map(failure => `not ok: ${failure}`), line]
}

/**
 * Removes the directories that `t.testdir()` made for these files. tap would remove each before the
 * teardowns registered after it have run, under the programs that still write there.
 */
function removeFixtures(files: readonly string[]): void {
  const directory = join(ROOT, '.tap/fixtures')
  const prefixes = files.map(file => file.replaceAll(/[^a-zA-Z0-9._-]+/g, '-'))
  const found = globSync('*', { cwd: directory })
  for (const name of found) {
    if (!prefixes.some(prefix => name.startsWith(prefix))) continue
    rmSync(join(directory, name), { recursive: true, force: true, maxRetries: 3 })
  }
}

async function runFiles(
  files: readonly string[],
  tally: Tally,
  print: (line: string) => void,
): Promise<void> {
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: COMPILED,
    TAP_TIMEOUT: String(FILE_TIMEOUT_S),
    TAP_SAVE_FIXTURE: '1',
  }
  const options = { cwd: ROOT, env, timeoutMs: FILE_TIMEOUT_S * 1000 }
  await runInPlaces(inOrder(files), placesOn(availableParallelism()), async file => {
    const startedMs = performance.now()
    const outcome = await runTestFile(file, options)
    for (const line of addOutcome(tally, outcome, performance.now() - startedMs)) print(line)
    removeFixtures([file])
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
  removeFixtures(files)
  const startedMs = performance.now()
  const tally: Tally = { passed: 0, failed: 0, skipped: [] }
  await runFiles(files, tally, print)

  for (const skip of tally.skipped) print(`skipped: ${skip.name}: ${skip.reason}`)
  print(`# ${files.length} files in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  const why = verdict(tally, { ci })
  if (why !== undefined) print(`# ${why}`)
  print(closingLine(tally))
  return why === undefined ? 0 : 1
}

if (import.meta.main) process.exitCode = await main()
