// The arguments that a unit's program gets, each with the place where it could be edited: ExecStart
// with the variables that systemd puts in, from `Environment=` and the environment files.

import { readVariable, splitWords } from '../formats/env-file.ts'
import { findFlag } from '../formats/env-words.ts'
import { logicalPath } from './paths.ts'
import { refusal, type Refusal } from './reasons.ts'
import type { DriverContext, Input, Seen } from './service.ts'

/** A variable of an environment file. */
export interface FileVariable {
  readonly path: string
  readonly name: string
}

export interface Word {
  readonly text: string
  /** Undefined: it stands in the unit or in a drop-in, which are not edited. */
  readonly variable: FileVariable | undefined
}

export interface CommandLine {
  readonly kind: 'command-line'
  readonly program: string
  readonly words: readonly Word[]
  /** Where more arguments can be put. */
  readonly room: FileVariable | undefined
}

export interface Flag {
  readonly value: string
  readonly variable: FileVariable | undefined
}

/** A variable as a process gets it, and the last file that sets it. */
export interface Setting {
  readonly value: string
  readonly path: string | undefined
}

export function environmentPaths(seen: Seen, context: DriverContext): readonly string[] {
  const paths = seen.unit.environmentFiles.map(file => logicalPath(file.path, context))
  return [...new Set(paths)]
}

export function environmentInputs(seen: Seen, context: DriverContext): readonly Input[] {
  return environmentPaths(seen, context)
    .filter(path => !isPattern(path))
    .map(path => ({ kind: 'file', path }))
}

/** Environment files override `Environment=`, later ones override earlier ones (systemd.exec). */
export function settingOf(name: string, seen: Seen, context: DriverContext): Setting | undefined {
  for (const path of environmentPaths(seen, context).toReversed()) {
    const value = fileSetting(name, path, seen)
    if (value !== undefined) return { value, path }
  }
  const value = seen.unit.environment[name]
  return value === undefined ? undefined : { value, path: undefined }
}

export function fileSetting(name: string, path: string, seen: Seen): string | undefined {
  const file = seen.file(path)
  return file?.kind === 'text' ? readVariable(file.text, name) : undefined
}

/** A reason not to trust the environment: part of it cannot be seen. */
export function unclearEnvironment(seen: Seen, context: DriverContext): Refusal | undefined {
  for (const path of environmentPaths(seen, context)) {
    const file = seen.file(path)
    if (isPattern(path) || file === undefined)
      return refusal(
        'command-line-unclear',
        `environment files ${path} of the unit cannot be followed`,
      )
    if (file.kind === 'unreadable')
      return refusal('config-unreadable', `${path}: ${file.reason.message}`)
  }
  return undefined
}

export function commandLine(seen: Seen, context: DriverContext): CommandLine | Refusal {
  const unclear = unclearEnvironment(seen, context)
  if (unclear !== undefined) return unclear
  const [program, ...args] = seen.unit.execStart
  if (program === undefined || !program.startsWith('/'))
    return refusal(
      'program-unknown',
      `unit ${seen.unit.unit} has no ExecStart with an absolute path`,
    )
  const words = args.flatMap(arg => expand(arg, seen, context))
  return { kind: 'command-line', program, words, room: roomIn(args, seen, context) }
}

/** All uses of a flag, in every spelling. */
export function flagsNamed(words: readonly Word[], name: string): readonly Flag[] {
  const texts = words.map(word => word.text)
  return findFlag(texts, name).map(({ index, length, value = '' }) => {
    const first = words[index]?.variable
    const last = words[index + length - 1]?.variable
    // A flag and a value of different origin cannot be edited as one.
    const isOne = first?.path === last?.path && first?.name === last?.name
    return { value, variable: isOne ? first : undefined }
  })
}

// `$NAME` alone is split into words, `${NAME}` is put in as it is (systemd.service).
function expand(arg: string, seen: Seen, context: DriverContext): readonly Word[] {
  const name = splitName(arg)
  if (name === undefined) {
    const text = arg.replace(
      /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
      (whole, variable: string | undefined) =>
        variable === undefined ? whole.slice(1) : (settingOf(variable, seen, context)?.value ?? ''),
    )
    return [{ text, variable: undefined }]
  }
  const setting = settingOf(name, seen, context)
  if (setting === undefined) return []
  const variable = setting.path === undefined ? undefined : { path: setting.path, name }
  return splitWords(setting.value).map(text => ({ text, variable }))
}

function roomIn(
  args: readonly string[],
  seen: Seen,
  context: DriverContext,
): FileVariable | undefined {
  const names = args.map(splitName).filter(name => name !== undefined)
  for (const name of names) {
    const path = settingOf(name, seen, context)?.path
    if (path !== undefined) return { path, name }
  }
  // A variable that only the unit sets would lose its words if a file set it as well.
  const name = names.find(candidate => settingOf(candidate, seen, context) === undefined)
  const paths = environmentPaths(seen, context)
  const path = paths.find(candidate => seen.file(candidate)?.kind === 'text') ?? paths[0]
  return name === undefined || path === undefined ? undefined : { path, name }
}

function splitName(arg: string): string | undefined {
  return /^\$([A-Za-z_][A-Za-z0-9_]*)$/.exec(arg)?.[1]
}

function isPattern(path: string): boolean {
  return /[*?[]/.test(path)
}
