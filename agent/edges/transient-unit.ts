// A program as a transient unit that is waited for, with its output passed through.

export interface TransientUnit {
  readonly systemdRun: string
  readonly argv: readonly string[]
  /** Undefined: systemd names it. */
  readonly unit?: string | undefined
  /** Properties, `Name=value`. */
  readonly settings: readonly string[]
  readonly environment: readonly (readonly [name: string, value: string])[]
  readonly timeoutMs: number
  /** From its SIGTERM to its SIGKILL. */
  readonly stopSeconds: number
}

/** The words of `systemd-run`, for a manager of version 247 or later. */
export function transientUnitArgv(options: TransientUnit): readonly string[] {
  const { systemdRun, argv, unit, settings, environment, timeoutMs, stopSeconds } = options
  const limits = [
    // A second more than our own timeout: only where nobody is left to end it does it matter.
    `RuntimeMaxSec=${Math.ceil(timeoutMs / 1000) + 1}`,
    `TimeoutStopSec=${stopSeconds}`,
  ]
  return [
    systemdRun,
    '--quiet',
    '--pipe',
    '--wait',
    '--collect',
    ...(unit === undefined ? [] : [`--unit=${unit}`]),
    '--service-type=exec',
    ...[...settings, ...limits].map(setting => `--property=${setting}`),
    ...environment.map(([name, value]) => `--setenv=${name}=${value}`),
    '--',
    // The service manager would expand variables in it, as in ExecStart=.
    ...argv.map(word => word.replaceAll('$', '$$$$')),
  ]
}
