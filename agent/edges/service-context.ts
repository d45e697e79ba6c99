// A program in the surroundings of a unit: a transient unit with the same user, sandbox and
// environment, so that it can read what the service can read, and nothing else.

import { OperationalError } from '../../shared/errors.ts'
import type { CommandResult, UnitState } from '../host.ts'
import type { Properties } from './systemctl.ts'
import { transientUnitArgv } from './transient-unit.ts'

/** What decides who the process is and which files it sees. Not copied: limits, network, system calls. */
export const CONTEXT_PROPERTIES = [
  'User',
  'Group',
  'SupplementaryGroups',
  'DynamicUser',
  'UMask',
  'WorkingDirectory',
  'RootDirectory',
  'RootImage',
  'MountAPIVFS',
  'ProtectHome',
  'ProtectSystem',
  'ProtectProc',
  'ProcSubset',
  'ProtectKernelTunables',
  'ProtectKernelModules',
  'ProtectKernelLogs',
  'ProtectControlGroups',
  'PrivateTmp',
  'PrivateDevices',
  'PrivateUsers',
  'PrivateMounts',
  'ReadWritePaths',
  'ReadOnlyPaths',
  'InaccessiblePaths',
  'ExecPaths',
  'NoExecPaths',
  'TemporaryFileSystem',
  'BindPaths',
  'BindReadOnlyPaths',
  'NoNewPrivileges',
  'CapabilityBoundingSet',
  'AmbientCapabilities',
  'UnsetEnvironment',
] as const

// Values that mean the same as no setting; systemd-run does not take all of them.
const DEFAULTS: ReadonlySet<string> = new Set(['', 'no', 'default', 'all'])

export interface TransientOptions {
  readonly systemdRun: string
  readonly argv: readonly string[]
  readonly unit: UnitState
  readonly properties: Properties
  readonly timeoutMs: number
}

export function transientArgv(options: TransientOptions): readonly string[] {
  const { systemdRun, argv, unit, properties, timeoutMs } = options
  const files = unit.environmentFiles.map(
    ({ path, optional }) => `EnvironmentFile=${optional ? '-' : ''}${path}`,
  )
  const settings = [...CONTEXT_PROPERTIES.flatMap(name => settingOf(name, properties)), ...files]
  // LC_ALL last: messages are parsed by no one, but read in reports.
  const environment = Object.entries({ ...unit.environment, LC_ALL: 'C' })
  return transientUnitArgv({
    systemdRun,
    argv,
    settings,
    environment,
    timeoutMs,
    stopSeconds: 1,
  })
}

function settingOf(name: string, properties: Properties): readonly string[] {
  const value = properties.get(name)?.[0]
  // Only for the bounding set is empty a value of its own: no capability at all.
  if (name === 'CapabilityBoundingSet') return value === undefined ? [] : [`${name}=${value}`]
  if (value === undefined || DEFAULTS.has(value) || value.startsWith('[')) return []
  // `!` is how the directory is shown that may be missing, and `-` how that is said.
  if (name === 'WorkingDirectory') return [`${name}=${value.replace(/^!/, '-')}`]
  return [`${name}=${value}`]
}

/** Throws where not the program but its transient unit failed. */
export function transientResult(file: string, unit: string, result: CommandResult): CommandResult {
  const { code, stdout, stderr } = result
  if (code === 1 && stderr.startsWith('Failed to find executable '))
    throw new OperationalError('command-missing', `could not run ${file}`, { details: { file } })
  const refused = code === 1 && stdout === '' && REFUSED.test(stderr)
  const [first, last] = SETUP_FAILURES
  const unprepared = code !== undefined && code >= first && code <= last
  if ((refused || unprepared) && (stdout + stderr === '' || refused))
    throw new OperationalError(
      'command-failed-to-start',
      `could not start ${file} in the surroundings of ${unit}`,
      { details: { file, unit, code, stderr: stderr.slice(0, 1000) } },
    )
  return result
}

// Of systemd-run itself; checkers also begin with "Failed to".
const REFUSED =
  /^(Failed to (start transient service unit|connect to bus|create bus connection|get D-Bus connection)|Job for run-)/

// systemd.exec(5), "Process Exit Codes": the child ended before the program was reached.
const SETUP_FAILURES = [200, 245] as const
