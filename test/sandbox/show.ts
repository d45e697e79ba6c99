// What `systemctl show` prints of a unit: systemd's order and formats, and its defaults for what a
// sandbox does not have. Compared with the real one in systemctl.test.ts.

import { constants } from 'node:os'
import type { ExecCommand } from './command-line.ts'
import { isFalse, type UnitDefinition } from './unit-file.ts'
import { type ExecStatus, type Moment, type UnitStatus } from './unit-status.ts'

export interface ShownUnit {
  readonly definition: UnitDefinition
  readonly status: UnitStatus
  readonly needsDaemonReload: boolean
  /** --timestamp=us: of all moments. */
  readonly microseconds: boolean
}

/** Undefined: not printed. Several: one line each. */
type Value = (unit: ShownUnit) => string | readonly string[] | undefined

/** The properties in `names` (all when empty), in systemd's order, as `systemctl show` prints them. */
export function showUnit(
  unit: ShownUnit,
  names: readonly string[],
): readonly (readonly [string, string])[] {
  const lines: (readonly [string, string])[] = []
  for (const [name, value] of PROPERTIES) {
    if (names.length > 0 && !names.includes(name)) continue
    const text = value(unit)
    // Without a list, what is empty is not shown.
    if (text === undefined || (names.length === 0 && text === '')) continue
    for (const line of typeof text === 'string' ? [text] : text) lines.push([name, line])
  }
  return lines
}

const service =
  (value: Value): Value =>
  unit =>
    unit.definition.loadState === 'loaded' ? value(unit) : ''

/** A setting of the unit file, which a sandbox does not act upon. */
function setting(name: string, otherwise: string): readonly [string, Value] {
  return [
    name,
    ({ definition }) => {
      const text = definition.settings.get(name)
      if (text === undefined) return otherwise
      if (otherwise !== 'yes' && otherwise !== 'no') return text
      // ProtectHome= and ProtectSystem= know more than yes and no.
      if (isFalse(text)) return 'no'
      return /^(yes|true|on|1)$/i.test(text) ? 'yes' : text
    },
  ]
}

const moment =
  (of: (status: UnitStatus) => Moment | undefined): Value =>
  unit =>
    formatTime(of(unit.status), unit)
const monotonic =
  (of: (status: UnitStatus) => Moment | undefined): Value =>
  unit =>
    String(of(unit.status)?.monotonicUs ?? 0)

const PROPERTIES: readonly (readonly [string, Value])[] = [
  ['Type', service(unit => unit.definition.type)],
  ['Restart', service(unit => unit.definition.restart)],
  ['PIDFile', unit => unit.definition.pidFile],
  [
    'NotifyAccess',
    unit => unit.definition.settings.get('NotifyAccess') ?? notifyAccess(unit.definition),
  ],
  ['RestartUSec', unit => formatSpan(unit.definition.restartMs)],
  ['TimeoutStartUSec', unit => formatSpan(unit.definition.timeoutStartMs)],
  ['TimeoutStopUSec', unit => formatSpan(unit.definition.timeoutStopMs)],
  ['MainPID', unit => String(unit.status.mainPid)],
  ['ControlPID', () => '0'],
  ['StatusText', () => ''],
  ['Result', unit => unit.status.result],
  ['NRestarts', unit => String(unit.status.restarts)],
  ['ExecMainStartTimestamp', moment(status => status.main.started)],
  ['ExecMainStartTimestampMonotonic', monotonic(status => status.main.started)],
  ['ExecMainExitTimestamp', moment(status => status.main.stopped)],
  ['ExecMainExitTimestampMonotonic', monotonic(status => status.main.stopped)],
  ['ExecMainPID', unit => String(unit.status.main.pid)],
  ['ExecMainCode', unit => exitCode(unit.status.main)],
  ['ExecMainStatus', unit => String(unit.status.main.exit?.status ?? 0)],
  [
    'ExecStart',
    unit => unit.definition.execStart.map(line => formatExec(line, unit.status.main, unit)),
  ],
  [
    'ExecReload',
    unit => unit.definition.execReload.map(line => formatExec(line, unit.status.reload, unit)),
  ],
  ['Slice', () => 'system.slice'],
  ['Environment', unit => unit.definition.environment.map(quote).join(' ')],
  [
    'EnvironmentFiles',
    unit =>
      unit.definition.environmentFiles.map(
        ({ path, optional }) => `${path} (ignore_errors=${optional ? 'yes' : 'no'})`,
      ),
  ],
  setting('UMask', '0022'),
  ['WorkingDirectory', unit => unit.definition.workingDirectory],
  setting('RootDirectory', ''),
  setting('RootImage', ''),
  ['User', unit => unit.definition.user],
  ['Group', unit => unit.definition.group],
  setting('DynamicUser', 'no'),
  setting('SupplementaryGroups', ''),
  setting('ReadWritePaths', ''),
  setting('ReadOnlyPaths', ''),
  setting('InaccessiblePaths', ''),
  setting('ExecPaths', ''),
  setting('NoExecPaths', ''),
  setting('PrivateTmp', 'no'),
  setting('PrivateDevices', 'no'),
  setting('ProtectKernelTunables', 'no'),
  setting('ProtectControlGroups', 'no'),
  setting('PrivateNetwork', 'no'),
  setting('PrivateUsers', 'no'),
  setting('PrivateMounts', 'no'),
  setting('ProtectHome', 'no'),
  setting('ProtectSystem', 'no'),
  setting('NoNewPrivileges', 'no'),
  setting('BindPaths', ''),
  setting('BindReadOnlyPaths', ''),
  setting('TemporaryFileSystem', ''),
  setting('KillMode', 'control-group'),
  ['SendSIGKILL', unit => (unit.definition.sendSigkill ? 'yes' : 'no')],
  ['Id', unit => unit.definition.name],
  ['Names', unit => unit.definition.name],
  ['Description', unit => unit.definition.description],
  ['LoadState', unit => unit.definition.loadState],
  ['ActiveState', unit => unit.status.state.split('/')[0]],
  ['FreezerState', () => 'running'],
  ['SubState', unit => unit.status.state.split('/')[1]],
  ['FragmentPath', unit => unit.definition.fragmentPath],
  ['SourcePath', () => ''],
  ['DropInPaths', unit => unit.definition.dropInPaths.join(' ')],
  ['UnitFileState', unit => unit.definition.unitFileState],
  ['ActiveEnterTimestamp', moment(status => status.activeEnter)],
  ['ActiveEnterTimestampMonotonic', monotonic(status => status.activeEnter)],
  ['CanStart', () => 'yes'],
  ['CanStop', () => 'yes'],
  ['CanReload', unit => (unit.definition.execReload.length > 0 ? 'yes' : 'no')],
  ['Job', unit => (unit.status.job === undefined ? '' : String(unit.status.job))],
  ['NeedDaemonReload', unit => (unit.needsDaemonReload ? 'yes' : 'no')],
  ['LoadError', () => ''],
  ['StartLimitIntervalUSec', unit => formatSpan(unit.definition.startLimitIntervalMs)],
  ['StartLimitBurst', unit => String(unit.definition.startLimitBurst)],
  ['InvocationID', unit => unit.status.invocationId],
]

function notifyAccess(definition: UnitDefinition): string {
  return definition.type === 'notify' ? 'main' : 'none'
}

/** CLD_EXITED and CLD_KILLED of waitid(2). */
function exitCode({ exit }: ExecStatus): string {
  if (exit === undefined) return '0'
  return exit.code === 'exited' ? '1' : '2'
}

function formatExec(command: ExecCommand, status: ExecStatus, style: TimeStyle): string {
  const fields = [
    `path=${command.argv[0]}`,
    `argv[]=${command.argv.join(' ')}`,
    `ignore_errors=${command.ignoreErrors ? 'yes' : 'no'}`,
    `start_time=[${formatTime(status.started, style) || 'n/a'}]`,
    `stop_time=[${formatTime(status.stopped, style) || 'n/a'}]`,
    `pid=${status.pid}`,
    `code=${status.exit?.code ?? '(null)'}`,
    `status=${formatStatus(status)}`,
  ]
  return `{ ${fields.join(' ; ')} }`
}

function formatStatus({ exit }: ExecStatus): string {
  if (exit === undefined) return '0/0'
  if (exit.code === 'exited') return String(exit.status)
  const signal = Object.entries(constants.signals).find(([, number]) => number === exit.status)
  return `${exit.status}/${signal?.[0].replace('SIG', '') ?? ''}`
}

type TimeStyle = Pick<ShownUnit, 'microseconds'>

/** `Sun 2026-11-22 10:50:50 UTC`: a sandbox node lives in UTC. */
function formatTime(at: Moment | undefined, { microseconds }: TimeStyle): string {
  if (at === undefined) return ''
  const date = new Date(at.realMs)
  const day = date.toLocaleDateString('en-US', { weekday: 'short', timeZone: 'UTC' })
  const text = date.toISOString().replace('T', ' ')
  return `${day} ${microseconds ? text.replace('Z', '000') : text.slice(0, 19)} UTC`
}

/** `1min 30s`, `100ms`, `infinity`. */
function formatSpan(ms: number): string {
  if (!Number.isFinite(ms)) return 'infinity'
  const parts: string[] = []
  let rest = ms
  for (const [unit, size] of SPANS) {
    const count = Math.floor(rest / size)
    if (count > 0) parts.push(`${count}${unit}`)
    rest -= count * size
  }
  return parts.length === 0 ? '0' : parts.join(' ')
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

function quote(entry: string): string {
  return /[\s"'\\]/.test(entry) ? `"${entry.replaceAll(/(["\\])/g, '\\$1')}"` : entry
}
