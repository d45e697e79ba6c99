// `npm run demo`: the main job from beginning to end, on real hosts where a lab can run, on sandbox
// nodes elsewhere. Ends with 0 only when every step held.

import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundle } from '../../systemd/bundle.ts'
import { prepareLab } from '../lab/prepare.ts'
import { labUnavailable } from '../lab/availability.ts'
import { createLabStage } from './lab-stage.ts'
import { createSandboxStage } from './sandbox-stage.ts'
import type { Stage } from './stage.ts'
import { type Recap, type Step, type Telling, tell } from './story.ts'

const HELP = `The main job of tlsfleet, from plaintext to TLS, with every step proven.

Usage: npm run demo -- [--keep] [--json] [--sandbox]

  --keep      leave it running at the end and say how to look at it; ends with Ctrl-C
  --json      last line: one JSON object with each step, its proof and its time
  --sandbox   sandbox nodes even where real hosts are possible
`

const PROJECT = dirname(dirname(import.meta.dirname))

const { values } = parseArgs({
  options: {
    keep: { type: 'boolean' },
    json: { type: 'boolean' },
    sandbox: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
})

// Progress is for people: with --json it goes to standard error.
const say = (line: string) =>
  void (values.json === true ? process.stderr : process.stdout).write(`${line}\n`)

async function demo(): Promise<boolean> {
  const startMs = performance.now()
  const steps: Step[] = []
  const telling: Telling = {
    begin: name => say(`\n▸ ${name}`),
    show: text => say(text.trimEnd().replaceAll(/^/gm, '    ')),
    end(step) {
      steps.push(step)
      say(`  ✔ ${step.proof}  (${(step.ms / 1000).toFixed(1)} s)`)
    },
  }
  let stage: Stage | undefined
  let directory: string | undefined
  const summary = {
    ok: false,
    stage: 'none',
    steps,
    recap: [] as readonly Recap[],
    ms: 0,
    error: '',
  }
  try {
    stage = await setUp()
    summary.stage = stage.kind
    say(`stage: ${stage.description}`)
    const told = await tell(stage, telling)
    directory = told.directory
    summary.recap = told.recap
    summary.ok = true
  } catch (error) {
    summary.error = error instanceof Error ? error.message : String(error)
    say(`\n✘ ${summary.error}`)
  }
  summary.ms = Math.round(performance.now() - startMs)
  say(`\n${recapTable(summary.recap)}`)
  say(
    `${summary.ok ? 'all of it held' : 'it did not hold'}: ${steps.length} steps in ${(summary.ms / 1000).toFixed(1)} s`,
  )
  if (values.json === true) process.stdout.write(`${JSON.stringify(withoutEmptyError(summary))}\n`)
  if (values.keep === true && stage !== undefined && directory !== undefined)
    await keep(stage, directory)
  await stage?.down()
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  return summary.ok
}

async function setUp(): Promise<Stage> {
  await bundle(join(PROJECT, 'dist'))
  if (values.sandbox === true) return createSandboxStage('--sandbox was given', say)
  // Names and installs what is missing, makes the image of the nodes once a machine.
  prepareLab(say)
  const why = labUnavailable()
  return why === undefined ? createLabStage(say) : createSandboxStage(why, say)
}

function withoutEmptyError<T extends { error: string }>({ error, ...rest }: T) {
  return error === '' ? rest : { ...rest, error }
}

async function keep(stage: Stage, directory: string): Promise<void> {
  say('\nleft running until Ctrl-C. To look at it:')
  for (const line of stage.howToLook()) say(`  ${line}`)
  say(
    `  the operator's login is in ${directory}/cli.json (TLSFLEET_CONFIG), the fleet spec in ${directory}/fleet.yaml`,
  )
  const forever = setInterval(() => undefined, 1 << 30)
  await new Promise(resolve => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  clearInterval(forever)
}

function recapTable(recap: readonly Recap[]): string {
  const rows = [
    ['NODE', 'SERVICE', 'VERSION', 'OUTCOME', 'SERVES'],
    ...recap.map(row => [row.node, row.service, row.version, row.outcome, row.fingerprint]),
  ]
  const widths = [0, 1, 2, 3, 4].map(column =>
    Math.max(...rows.map(row => row[column]?.length ?? 0)),
  )
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

if (values.help === true) process.stdout.write(HELP)
else process.exitCode = (await demo()) ? 0 : 1
