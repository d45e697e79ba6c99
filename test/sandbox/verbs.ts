// systemctl's verbs over the units of a sandbox: output, error texts and exit codes of systemd 252.

import { parseArgs } from 'node:util'
import { showUnit } from './show.ts'
import type { JobResult, Unit } from './unit.ts'
import { parseSignal } from './unit-file.ts'
import type { ServiceResult } from './unit-status.ts'

export interface Units {
  /** Loads the unit when it is not; units that do not exist have load state `not-found`. */
  get(name: string): Unit
  /** Those that are loaded. */
  list(): readonly Unit[]
  needsDaemonReload(unit: Unit): boolean
  daemonReload(): void
}

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

const VERSION = 'systemd 252 (252-sandbox)\n'

/** What of systemctl's options is looked at; the others are known and change nothing here. */
const OPTIONS = {
  property: { type: 'string', short: 'p', multiple: true },
  signal: { type: 'string', short: 's' },
  'kill-who': { type: 'string' },
  'kill-whom': { type: 'string' },
  value: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  version: { type: 'boolean' },
  'no-block': { type: 'boolean' },
  'no-legend': { type: 'boolean' },
  'no-pager': { type: 'boolean' },
  'no-ask-password': { type: 'boolean' },
  plain: { type: 'boolean' },
  all: { type: 'boolean', short: 'a' },
  full: { type: 'boolean', short: 'l' },
  system: { type: 'boolean' },
  now: { type: 'boolean' },
  failed: { type: 'boolean' },
  root: { type: 'string' },
  type: { type: 'string', short: 't' },
  state: { type: 'string' },
  'job-mode': { type: 'string' },
  timestamp: { type: 'string' },
} as const

type Options = ReturnType<typeof parseOptions>['values']

function parseOptions(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
}

export async function runVerb(units: Units, argv: readonly string[]): Promise<Answer> {
  let parsed: ReturnType<typeof parseOptions>
  try {
    parsed = parseOptions(argv)
  } catch (error) {
    return refuse(`systemctl: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { values, positionals } = parsed
  if (values.version === true) return say(VERSION)
  const [verb = 'list-units', ...names] = positionals
  const named = names.map(name => (/\.[a-z]+$/.test(name) ? name : `${name}.service`))
  switch (verb) {
    case 'show':
      return show(units, named, values)
    case 'start':
    case 'restart':
    case 'try-restart':
    case 'reload':
    case 'stop':
      return await activate(units, verb, named, values['no-block'] === true)
    case 'kill':
      return kill(units, named, values)
    case 'reset-failed':
      return resetFailed(units, named)
    case 'is-active':
      return stateOf(units, named, values, ['active', 'reloading'], 3)
    case 'is-failed':
      return stateOf(units, named, values, ['failed'], 1)
    case 'is-enabled':
      return isEnabled(units, named)
    case 'daemon-reload':
      units.daemonReload()
      return say('')
    case 'list-units':
      return say(listUnits(units, named, values))
    case 'is-system-running': {
      const degraded = units.list().some(unit => activeState(unit) === 'failed')
      return degraded ? { stdout: 'degraded\n', stderr: '', code: 1 } : say('running\n')
    }
    default:
      return refuse(`Unknown command verb ${verb}.`)
  }
}

function show(units: Units, names: readonly string[], options: Options): Answer {
  const properties = (options.property ?? []).flatMap(list => list.split(','))
  const manager = [
    ['Version', '252-sandbox'],
    ['SystemState', 'running'],
  ] as const
  const blocks = names.map(name => {
    const unit = units.get(name)
    const needsDaemonReload = units.needsDaemonReload(unit)
    const microseconds = options.timestamp?.startsWith('us') === true
    return showUnit(
      { definition: unit.definition(), status: unit.status(), needsDaemonReload, microseconds },
      properties,
    )
  })
  if (names.length === 0) {
    blocks.push(manager.filter(([name]) => properties.length === 0 || properties.includes(name)))
  }
  const lines = ([name, value]: readonly [string, string]) =>
    options.value === true ? `${value}\n` : `${name}=${value}\n`
  return say(blocks.map(block => block.map(lines).join('')).join('\n'))
}

type Activation = 'start' | 'restart' | 'try-restart' | 'reload' | 'stop'

async function activate(
  units: Units,
  verb: Activation,
  names: readonly string[],
  noBlock: boolean,
): Promise<Answer> {
  const refusals: Answer[] = []
  const accepted: Unit[] = []
  for (const name of names) {
    const unit = units.get(name)
    const refusal = refusalOf(unit, verb)
    if (refusal === undefined) accepted.push(unit)
    else refusals.push(refusal)
  }
  const jobs = accepted.map(async unit => ({ unit, result: await queue(unit, verb) }))
  if (noBlock) {
    // The jobs go on; what becomes of them is seen by `show`.
    void Promise.all(jobs)
    return join(refusals)
  }
  const failures = (await Promise.all(jobs))
    .filter(job => job.result === 'failed')
    .map(job => refuse(explain(job.unit)))
  return join([...refusals, ...failures])
}

function queue(unit: Unit, verb: Activation): Promise<JobResult> {
  switch (verb) {
    case 'start':
      return unit.start()
    case 'restart':
      return unit.restart()
    case 'try-restart':
      return isDown(unit) ? Promise.resolve('done') : unit.restart()
    case 'reload':
      return unit.reload()
    case 'stop':
      return unit.stop().then(() => 'done')
  }
}

/** Why systemd does not even queue the job, or undefined. */
function refusalOf(unit: Unit, verb: Activation): Answer | undefined {
  const { name, loadState, execReload } = unit.definition()
  const word = verb === 'try-restart' ? 'restart' : verb
  const failed = (why: string, code: number) => refuse(`Failed to ${word} ${name}: ${why}`, code)
  if (loadState === 'not-found')
    return failed(`Unit ${name} not ${verb === 'stop' ? 'loaded' : 'found'}.`, 5)
  if (verb === 'stop') return undefined
  if (loadState === 'masked') return failed(`Unit ${name} is masked.`, 1)
  if (loadState === 'bad-setting') {
    const hint = `See system logs and 'systemctl status ${name}' for details.`
    return failed(`Unit ${name} has a bad unit file setting.\n${hint}`, 1)
  }
  if (verb !== 'reload') return undefined
  if (execReload.length === 0)
    return failed(`Job type reload is not applicable for unit ${name}.`, 3)
  return isDown(unit) ? refuse(`${name} is not active, cannot reload.`) : undefined
}

/** systemctl's sentence about a job that failed. */
function explain(unit: Unit): string {
  const { name } = unit.definition()
  const { result, state } = unit.status()
  // A failed reload leaves the service and its result as they were.
  const because = state.startsWith('active') ? '' : BECAUSE[result]
  const lines = [
    `Job for ${name} failed${because === '' ? '' : ` because ${because}`}.`,
    `See "systemctl status ${name}" and "journalctl -xeu ${name}" for details.`,
  ]
  if (result === 'start-limit-hit') {
    lines.push(`To force a start use "systemctl reset-failed ${name}"`)
    lines.push(`followed by "systemctl start ${name}" again.`)
  }
  return lines.join('\n')
}

const BECAUSE: Readonly<Record<ServiceResult, string>> = {
  success: '',
  'exit-code': 'the control process exited with error code',
  signal: 'a fatal signal was delivered to the control process',
  timeout: 'a timeout was exceeded',
  protocol: 'the service did not take the steps required by its unit configuration',
  resources: 'of unavailable resources or another system error',
  'start-limit-hit': 'start of the service was attempted too often',
}

function kill(units: Units, names: readonly string[], options: Options): Answer {
  const text = (options.signal ?? 'TERM').replace(/^SIG/, '')
  const signal = parseSignal(text)
  if (signal === undefined) return refuse(`Failed to parse signal string "${text}".`)
  const who = options['kill-who'] ?? options['kill-whom'] ?? 'all'
  return join(
    names.map(name => {
      const unit = units.get(name)
      const failed = (why: string) => refuse(`Failed to kill unit ${name}: ${why}`)
      if (!isLoaded(unit)) return failed(`Unit ${name} not loaded.`)
      if (unit.kill(signal, who === 'main' ? 'main' : 'all')) return say('')
      return failed(who === 'main' ? 'No main process to kill' : 'No process to kill')
    }),
  )
}

function resetFailed(units: Units, names: readonly string[]): Answer {
  if (names.length === 0) for (const unit of units.list()) unit.resetFailed()
  return join(
    names.map(name => {
      const unit = units.get(name)
      if (!isLoaded(unit)) {
        return refuse(`Failed to reset failed state of unit ${name}: Unit ${name} not loaded.`)
      }
      unit.resetFailed()
      return say('')
    }),
  )
}

function stateOf(
  units: Units,
  names: readonly string[],
  options: Options,
  wanted: readonly string[],
  otherwise: number,
): Answer {
  const states = names.map(name => activeState(units.get(name)))
  const stdout = options.quiet === true ? '' : states.map(state => `${state}\n`).join('')
  return { stdout, stderr: '', code: states.some(state => wanted.includes(state)) ? 0 : otherwise }
}

function isEnabled(units: Units, names: readonly string[]): Answer {
  return join(
    names.map(name => {
      const { loadState, unitFileState } = units.get(name).definition()
      if (loadState === 'not-found') {
        return refuse(`Failed to get unit file state for ${name}: No such file or directory`)
      }
      const code = unitFileState === 'enabled' || unitFileState === 'static' ? 0 : 1
      return { stdout: `${unitFileState}\n`, stderr: '', code }
    }),
  )
}

function listUnits(units: Units, names: readonly string[], options: Options): string {
  return units
    .list()
    .filter(unit => options.all === true || !isDown(unit) || activeState(unit) === 'failed')
    .filter(unit => options.failed !== true || activeState(unit) === 'failed')
    .filter(unit => names.length === 0 || names.includes(unit.definition().name))
    .map(unit => {
      const { name, loadState, description } = unit.definition()
      return `${name} ${loadState} ${unit.status().state.replace('/', ' ')} ${description}\n`
    })
    .join('')
}

/** systemd unloads a unit that nothing enables and that is down; then some verbs do not know it. */
function isLoaded(unit: Unit): boolean {
  return unit.definition().unitFileState === 'enabled' || unit.status().state !== 'inactive/dead'
}

function isDown(unit: Unit): boolean {
  return ['inactive', 'failed'].includes(activeState(unit))
}

function activeState(unit: Unit): string {
  return unit.status().state.split('/')[0] ?? ''
}

function say(stdout: string): Answer {
  return { stdout, stderr: '', code: 0 }
}

function refuse(text: string, code = 1): Answer {
  return { stdout: '', stderr: `${text}\n`, code }
}

/** The first failure gives the exit code. */
function join(answers: readonly Answer[]): Answer {
  return {
    stdout: answers.map(answer => answer.stdout).join(''),
    stderr: answers.map(answer => answer.stderr).join(''),
    code: answers.find(answer => answer.code !== 0)?.code ?? 0,
  }
}
