// Programs of the node: product versions, and the products' own checkers.

import { OperationalError } from '../../shared/errors.ts'
import { firstLine } from './systemctl.ts'
import type { Accounts, CommandOptions, Commands, UnitState } from '../host.ts'
import { PLAIN_ENVIRONMENT, runProgram } from './run-program.ts'
import { ownUnitArgv } from './own-unit.ts'
import { CONTEXT_PROPERTIES, transientArgv, transientResult } from './service-context.ts'
import { createSystemctl, parseProperties, type SystemctlOptions } from './systemctl.ts'

export interface CommandsOptions extends SystemctlOptions {
  /** Undefined: services here are not run by systemd, so `asServiceOf` changes the user only. */
  readonly systemdRun: string | undefined
  readonly accounts: Pick<Accounts, 'user' | 'group'>
}

// Programs of operators expect it.
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
// What runs for hours may say how far it is.
const LONG_OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export function createCommands(options: CommandsOptions): Commands {
  const systemctl = createSystemctl(options)
  const { systemdRun } = options

  return {
    run(argv, given) {
      const { timeoutMs, asServiceOf, stdin, environment, unit } = given
      if (unit !== undefined) return runAsUnit(argv, { ...given, unit })
      if (asServiceOf === undefined)
        return runProgram(argv, {
          timeoutMs,
          stdin,
          environment: { ...environment, ...PLAIN_ENVIRONMENT },
        })
      if (systemdRun === undefined) return runAsUser(argv, asServiceOf, timeoutMs)
      return runTransient(systemdRun, argv, asServiceOf, timeoutMs)
    },
  }

  // A unit outlives whoever has asked for it: what an agent that was killed has begun is ended first,
  // and what we do not wait for any longer as well.
  async function runAsUnit(
    argv: readonly string[],
    { unit, timeoutMs, environment: more, signal }: CommandOptions & { readonly unit: string },
  ) {
    const environment = { ...more, PATH, ...PLAIN_ENVIRONMENT }
    const outputBytesMax = LONG_OUTPUT_BYTES_MAX
    if (systemdRun === undefined)
      return runProgram(argv, { timeoutMs, environment, signal, outputBytesMax })
    await systemctl(['stop', unit])
    const own = ownUnitArgv({ systemdRun, argv, unit, environment, timeoutMs })
    try {
      const result = await runProgram(own, { timeoutMs, signal, outputBytesMax })
      if (result.code === undefined) await systemctl(['stop', unit])
      return transientResult(argv[0] ?? '', unit, result)
    } catch (error) {
      await systemctl(['stop', unit])
      throw error
    }
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
