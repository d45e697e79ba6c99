// Programs of the node: product versions, and the products' own checkers.

import { OperationalError } from '../../shared/errors.ts'
import { firstLine } from './systemctl.ts'
import type { Accounts, Commands, UnitState } from '../host.ts'
import { PLAIN_ENVIRONMENT, runProgram } from './run-program.ts'
import { CONTEXT_PROPERTIES, transientArgv, transientResult } from './service-context.ts'
import { createSystemctl, parseProperties, type SystemctlOptions } from './systemctl.ts'

export interface CommandsOptions extends SystemctlOptions {
  /** Undefined: services here are not run by systemd, so `asServiceOf` changes the user only. */
  readonly systemdRun: string | undefined
  readonly accounts: Pick<Accounts, 'user' | 'group'>
}

export function createCommands(options: CommandsOptions): Commands {
  const systemctl = createSystemctl(options)
  const { systemdRun } = options

  return {
    run(argv, { timeoutMs, asServiceOf }) {
      if (asServiceOf === undefined) return runProgram(argv, { timeoutMs })
      if (systemdRun === undefined) return runAsUser(argv, asServiceOf, timeoutMs)
      return runTransient(systemdRun, argv, asServiceOf, timeoutMs)
    },
  }

  async function runTransient(
    systemdRun: string,
    argv: readonly string[],
    unit: UnitState,
    timeoutMs: number,
  ) {
    const file = argv[0] ?? ''
    const property = `--property=${CONTEXT_PROPERTIES.join(',')}`
    const shown = await systemctl(['show', unit.unit, property])
    if (shown.code !== 0)
      throw new OperationalError('command-failed-to-start', `could not look at ${unit.unit}`, {
        details: { unit: unit.unit, stderr: firstLine(shown.stderr) },
      })
    const properties = parseProperties(shown.stdout)
    const result = await runProgram(
      transientArgv({ systemdRun, argv, unit, properties, timeoutMs }),
      { timeoutMs },
    )
    return transientResult(file, unit.unit, result)
  }

  async function runAsUser(argv: readonly string[], unit: UnitState, timeoutMs: number) {
    const environment = { ...unit.environment, ...PLAIN_ENVIRONMENT }
    return runProgram(argv, { timeoutMs, environment, ids: await idsOf(unit) })
  }

  /** Undefined: as ourselves, because it is the same user or because we cannot become another. */
  async function idsOf(unit: UnitState) {
    return process.geteuid?.() === 0 ? serviceIds(unit, options.accounts) : undefined
  }
}

/** Undefined: root. */
export async function serviceIds(
  unit: UnitState,
  accounts: Pick<Accounts, 'user' | 'group'>,
): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (unit.user === '' || unit.user === 'root') return undefined
  const user = await accounts.user(unit.user)
  if (user === undefined)
    throw new OperationalError('command-failed-to-start', `no such user: ${unit.user}`, {
      details: { unit: unit.unit, user: unit.user },
    })
  const gid = unit.group === '' ? undefined : await accounts.group(unit.group)
  return { uid: user.uid, gid: gid ?? user.gid }
}
