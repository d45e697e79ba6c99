// What a unit of a sandbox gives to its processes, and leaves about them in the root.

import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expandVariables } from './command-line.ts'
import { type Exit, type ProcessOptions, SEARCH_PATH, signalProcess } from './process.ts'
import { parseEnvironmentFile, type UnitDefinition } from './unit-file.ts'

type Environment = Readonly<Record<string, string>>

/** Undefined where a file is missing that must not be. */
export function environmentOf(
  root: string,
  { user, environment, environmentFiles }: UnitDefinition,
  invocationId: string,
): Environment | undefined {
  const variables: Record<string, string> = {
    LANG: 'C.UTF-8',
    PATH: SEARCH_PATH.join(':'),
    INVOCATION_ID: invocationId,
    ...(user === '' ? {} : { USER: user, LOGNAME: user }),
  }
  for (const entry of environment) {
    const equals = entry.indexOf('=')
    if (equals > 0) variables[entry.slice(0, equals)] = entry.slice(equals + 1)
  }
  for (const { path, optional } of environmentFiles) {
    try {
      Object.assign(variables, parseEnvironmentFile(readFileSync(join(root, path), 'utf8')))
    } catch {
      if (!optional) return undefined
    }
  }
  return variables
}

export function processOptions(
  root: string,
  { name, user, group, workingDirectory }: UnitDefinition,
  command: { readonly argv: readonly string[]; readonly environment: Environment },
): ProcessOptions {
  const logFile = join(root, 'var/log/units', `${name}.log`)
  mkdirSync(dirname(logFile), { recursive: true })
  const { environment } = command
  const argv = expandVariables(command.argv, environment)
  const directory = workingDirectory === '' ? '/' : workingDirectory
  return { argv, environment, user, group, directory, logFile }
}

/** The link that systemd keeps while a unit runs: its target is the InvocationID. */
export function linkInvocation(root: string, unit: string, invocationId: string | undefined): void {
  const link = join(root, 'run/systemd/units', `invocation:${unit}`)
  mkdirSync(dirname(link), { recursive: true })
  rmSync(link, { force: true })
  if (invocationId !== undefined) symlinkSync(invocationId, link)
}

/** 0 where the file holds none. */
export function readPid(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return 0
  }
}

export function untilGone(pid: number): Promise<Exit> {
  return new Promise(resolve => {
    const timer = setInterval(() => {
      if (pid > 0 && signalProcess(pid, 0)) return
      clearInterval(timer)
      resolve({ code: 'exited', status: 0 })
    }, 100)
  })
}
