// Unit files and their drop-ins as systemd reads them, the subset that the services of a sandbox use.

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { type ExecCommand, parseCommand, splitWords } from './command-line.ts'

export interface UnitDefinition {
  readonly name: string
  readonly loadState: 'loaded' | 'not-found' | 'bad-setting' | 'masked'
  /** Paths as a node sees them, without the sandbox's root. */
  readonly fragmentPath: string
  readonly dropInPaths: readonly string[]
  readonly unitFileState: 'enabled' | 'disabled' | 'static' | 'masked' | ''
  readonly description: string
  readonly type: 'simple' | 'exec' | 'notify' | 'forking' | 'oneshot'
  readonly execStart: readonly ExecCommand[]
  readonly execReload: readonly ExecCommand[]
  /** `NAME=value` in the order of the files. */
  readonly environment: readonly string[]
  readonly environmentFiles: readonly { readonly path: string; readonly optional: boolean }[]
  readonly user: string
  readonly group: string
  readonly workingDirectory: string
  readonly pidFile: string
  readonly restart: string
  readonly restartMs: number
  readonly timeoutStartMs: number
  readonly timeoutStopMs: number
  readonly killSignal: NodeJS.Signals
  readonly sendSigkill: boolean
  readonly remainAfterExit: boolean
  /** Numbers of `SuccessExitStatus=`; names are not known here. */
  readonly successStatuses: readonly number[]
  readonly startLimitBurst: number
  readonly startLimitIntervalMs: number
  /** Every other setting of [Service] as written, the last value of each. */
  readonly settings: ReadonlyMap<string, string>
  /** Differs once a file that this was read from does. */
  readonly version: string
}

// In the order of precedence.
const DIRECTORIES = ['etc/systemd/system', 'run/systemd/system', 'lib/systemd/system'] as const
const LINES_MAX = 10_000

/** Section → key → values, where an empty value has forgotten the ones before it. */
type Sections = Map<string, Map<string, string[]>>

export function loadUnit(root: string, name: string): UnitDefinition {
  const fragment = DIRECTORIES.map(directory => `/${directory}/${name}`).find(
    path => existsSync(join(root, path)) || isMask(join(root, path)),
  )
  const dropIns = listDropIns(root, name)
  const sections: Sections = new Map()
  const masked = fragment !== undefined && isMask(join(root, fragment))
  for (const path of masked || fragment === undefined ? [] : [fragment, ...dropIns]) {
    readSections(readFileSync(join(root, path), 'utf8'), sections)
  }
  const definition = define(root, name, sections)
  const version = versionOf(root, name, fragment, dropIns)
  if (fragment === undefined)
    return { ...definition, loadState: 'not-found', unitFileState: '', version }
  const files = { fragmentPath: fragment, dropInPaths: dropIns, version }
  if (masked) return { ...definition, ...files, loadState: 'masked', unitFileState: 'masked' }
  return { ...definition, ...files }
}

/** What systemd compares to tell that a daemon-reload is needed. */
export function versionOf(
  root: string,
  name: string,
  fragment: string | undefined,
  dropIns: readonly string[] = listDropIns(root, name),
): string {
  const times = [...(fragment === undefined ? [] : [fragment]), ...dropIns].map(path => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false })
    return `${path} ${stat?.mtimeMs}`
  })
  return times.join('\n')
}

/** Names of the units that start with the node: those that a target wants. */
export function listEnabled(root: string): readonly string[] {
  return list(join(root, 'etc/systemd/system'))
    .filter(name => name.endsWith('.wants'))
    .flatMap(name => list(join(root, 'etc/systemd/system', name)))
    .filter(name => name.endsWith('.service'))
}

function listDropIns(root: string, name: string): readonly string[] {
  // A drop-in hides those of the same name in directories of lower precedence; all sort by name.
  const found = new Map<string, string>()
  for (const directory of DIRECTORIES.toReversed()) {
    const path = `/${directory}/${name}.d`
    for (const file of list(join(root, path)))
      if (file.endsWith('.conf')) found.set(file, `${path}/${file}`)
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
}

function list(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function isMask(path: string): boolean {
  try {
    return readlinkSync(path) === '/dev/null'
  } catch {
    // No symlink, or nothing at all.
    return false
  }
}

/** Adds one file to `sections`. */
export function readSections(text: string, sections: Sections): void {
  let section = ''
  const lines = text.replaceAll(/\\\n/g, ' ').split('\n', LINES_MAX)
  for (const line of lines.map(line => line.trim())) {
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const header = /^\[(.*)\]$/.exec(line)?.[1]
    const equals = line.indexOf('=')
    if (header !== undefined) {
      section = header
    } else if (equals > 0) {
      const key = line.slice(0, equals).trimEnd()
      const value = line.slice(equals + 1).trimStart()
      const keys = sections.get(section) ?? new Map<string, string[]>()
      sections.set(section, keys)
      keys.set(key, value === '' ? [] : [...(keys.get(key) ?? []), value])
    }
  }
}

function define(root: string, name: string, sections: Sections): UnitDefinition {
  const service = sections.get('Service') ?? new Map<string, string[]>()
  const unit = sections.get('Unit') ?? new Map<string, string[]>()
  const all = (key: string) => service.get(key) ?? []
  const last = (key: string, otherwise = '') => all(key).at(-1) ?? otherwise
  const unitLast = (key: string, otherwise: string) => unit.get(key)?.at(-1) ?? last(key, otherwise)
  const commands = (key: string) => all(key).flatMap(text => parseCommand(text, name) ?? [])
  const execStart = commands('ExecStart')
  const type = typeOf(last('Type', 'simple'))
  const valid = execStart.length === 1 || (execStart.length > 1 && type === 'oneshot')
  return {
    name,
    loadState: valid ? 'loaded' : 'bad-setting',
    fragmentPath: '',
    dropInPaths: [],
    unitFileState: unitFileStateOf(root, name, sections),
    description: unit.get('Description')?.at(-1) ?? name,
    type,
    execStart: valid ? execStart : [],
    execReload: commands('ExecReload'),
    environment: all('Environment').flatMap(splitWords),
    environmentFiles: all('EnvironmentFile').map(path => ({
      path: path.replace(/^-/, ''),
      optional: path.startsWith('-'),
    })),
    user: last('User'),
    group: last('Group'),
    workingDirectory: last('WorkingDirectory'),
    pidFile: last('PIDFile'),
    restart: last('Restart', 'no'),
    restartMs: durationMs(last('RestartSec', '100ms')),
    timeoutStartMs: timeoutMs(last('TimeoutStartSec', last('TimeoutSec', '90s'))),
    timeoutStopMs: timeoutMs(last('TimeoutStopSec', last('TimeoutSec', '90s'))),
    killSignal: parseSignal(last('KillSignal')) ?? 'SIGTERM',
    sendSigkill: !isFalse(last('SendSIGKILL', 'yes')),
    remainAfterExit: !isFalse(last('RemainAfterExit', 'no')),
    successStatuses: all('SuccessExitStatus').flatMap(splitWords).map(Number),
    startLimitBurst: Number(unitLast('StartLimitBurst', '5')),
    startLimitIntervalMs: durationMs(
      unitLast('StartLimitIntervalSec', unitLast('StartLimitInterval', '10s')),
    ),
    settings: new Map([...service].map(([key, values]) => [key, values.join(' ')])),
    version: '',
  }
}

function typeOf(text: string): UnitDefinition['type'] {
  for (const type of ['exec', 'notify', 'forking', 'oneshot'] as const)
    if (text === type) return type
  return 'simple'
}

function unitFileStateOf(
  root: string,
  name: string,
  sections: Sections,
): UnitDefinition['unitFileState'] {
  if (listEnabled(root).includes(name)) return 'enabled'
  return sections.has('Install') ? 'disabled' : 'static'
}

export function isFalse(text: string): boolean {
  return ['no', 'false', 'off', '0'].includes(text.toLowerCase())
}

/** `100ms`, `1min 30s`, `20` (seconds), `infinity`. */
export function durationMs(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY
  let sumMs = 0
  for (const [, amount = '', unit = ''] of text.matchAll(/([\d.]+)\s*([a-z]*)/g)) {
    sumMs += Number(amount) * (UNIT_MS[unit] ?? 1000)
  }
  return sumMs
}

/** Of a start or stop, where 0 is none. */
function timeoutMs(text: string): number {
  const ms = durationMs(text)
  return ms === 0 ? Number.POSITIVE_INFINITY : ms
}

const UNIT_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  sec: 1000,
  min: 60_000,
  h: 3_600_000,
}
const LONGEST_MS = 2 ** 31 - 1

/** For setTimeout, which fires at once where it is given more than it can count. */
export function timerMs(durationMs: number): number {
  return Math.min(durationMs, LONGEST_MS)
}

/** An environment file: `NAME=value` lines, comments, quotes around values. */
export function parseEnvironmentFile(text: string): Readonly<Record<string, string>> {
  const entries: [string, string][] = []
  for (const line of text.replaceAll(/\\\n/g, '').split('\n')) {
    const match = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line)
    if (match === null) continue
    const [, name = '', value = ''] = match
    entries.push([name, unquote(value)])
  }
  return Object.fromEntries(entries)
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*)\1$/s.exec(value)
  if (quoted === null) return value
  const [, quote, inner = ''] = quoted
  return quote === '"' ? inner.replaceAll(/\\(["\\$`])/g, '$1') : inner
}

/** `HUP`, `SIGHUP` or `1`; undefined for what is no signal. */
export function parseSignal(text: string): NodeJS.Signals | undefined {
  const name = text.startsWith('SIG') ? text : `SIG${text}`
  for (const [signal, number] of Object.entries(constants.signals)) {
    if (signal === name || String(number) === text) return isSignal(signal) ? signal : undefined
  }
  return undefined
}

function isSignal(name: string): name is NodeJS.Signals {
  return name in constants.signals
}
