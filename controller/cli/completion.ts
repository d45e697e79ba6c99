// What could come next on a command line, for the shells: from the tree of commands, and where a name
// is wanted from the controller. Pure but for what `names` does.

import type { Argument, Command, Option } from 'commander'

export interface Candidate {
  readonly value: string
  readonly description: string
}

/** What a place on the command line wants the name of. */
export type Kind = 'node' | 'rollout' | 'rotation' | 'group' | 'freeze' | 'context' | 'pair'

/** Never rejects: who presses Tab wants no error. */
export type Names = (kind: Kind) => Promise<readonly string[]>

/**
 * `words` are those after `tlsfleet`; the last one is being typed and may be empty. Undefined: files.
 */
export async function complete(
  program: Command,
  words: readonly string[],
  names: Names,
): Promise<readonly Candidate[] | undefined> {
  const typed = words.at(-1) ?? ''
  const { command, path, positional, pending } = walk(program, words.slice(0, -1))
  if (pending !== undefined) return await valuesOf(pending, typed, names)
  if (typed.startsWith('-')) return matching(optionsOf(program, command), typed)
  const below = command.commands.filter(isShown).map(child => ({
    value: child.name(),
    description: child.description(),
  }))
  if (below.length > 0 && positional === 0) return matching(below, typed)
  const argument = command.registeredArguments[positional] ?? lastVariadic(command)
  if (argument === undefined) return matching(optionsOf(program, command), typed)
  return await argumentValues(argument, path, typed, names)
}

interface Place {
  readonly command: Command
  readonly path: readonly string[]
  /** Arguments given so far. */
  readonly positional: number
  /** The option that waits for its value. */
  readonly pending: Option | undefined
}

function walk(program: Command, words: readonly string[]): Place {
  let command = program
  const path: string[] = []
  let positional = 0
  let pending: Option | undefined
  for (const word of words) {
    if (pending !== undefined) {
      pending = undefined
      continue
    }
    if (word.startsWith('-')) {
      const option = [...command.options, ...program.options].find(
        one => one.short === word || one.long === word,
      )
      pending = option?.required === true ? option : undefined
      continue
    }
    const child = command.commands.find(one => one.name() === word)
    if (child !== undefined && positional === 0) {
      command = child
      path.push(word)
    } else positional++
  }
  return { command, path, positional, pending }
}

function lastVariadic(command: Command): Argument | undefined {
  const last = command.registeredArguments.at(-1)
  return last?.variadic === true ? last : undefined
}

// Hidden commands have no description.
function isShown(command: Command): boolean {
  return command.description() !== ''
}

function optionsOf(program: Command, command: Command): readonly Candidate[] {
  return [...command.options, ...(command === program ? [] : program.options)]
    .filter(option => !option.hidden)
    .map(option => ({
      value: option.long ?? option.short ?? option.flags,
      description: option.description,
    }))
}

async function valuesOf(
  option: Option,
  typed: string,
  names: Names,
): Promise<readonly Candidate[] | undefined> {
  if (option.long === '--output') return matching(OUTPUT_VALUES, typed)
  if (option.argChoices !== undefined) return matching(option.argChoices.map(plain), typed)
  const kind = KIND_OF_OPTION.get(option.long ?? '')
  if (kind !== undefined) return matching((await names(kind)).map(plain), typed)
  const wantsFile = /file|dir|path/i.test(`${option.flags} ${option.description}`)
  // What nobody can know is neither guessed nor taken for a file.
  return wantsFile ? undefined : []
}

async function argumentValues(
  argument: Argument,
  path: readonly string[],
  typed: string,
  names: Names,
): Promise<readonly Candidate[] | undefined> {
  if (argument.argChoices !== undefined) return matching(argument.argChoices.map(plain), typed)
  if (/file|dir|archive|path/i.test(argument.name())) return undefined
  const kind = kindOfArgument(argument.name(), path)
  return kind === undefined ? [] : matching((await names(kind)).map(plain), typed)
}

const OUTPUT_VALUES: readonly Candidate[] = [
  { value: 'table', description: 'for people' },
  { value: 'wide', description: 'with more columns' },
  { value: 'json', description: 'for programs' },
  { value: 'yaml', description: 'for programs' },
]

const KIND_OF_OPTION: ReadonlyMap<string, Kind> = new Map([
  ['--context', 'context'],
  ['--node', 'node'],
])

/** By the name of the argument where that says it, else by the command that it belongs to. */
function kindOfArgument(name: string, path: readonly string[]): Kind | undefined {
  if (name === 'node') return 'node'
  // New things have names that nobody knows yet.
  const verb = path.at(-1) ?? ''
  if (verb === 'add' || verb === 'set' || name.startsWith('new-')) return undefined
  return KIND_OF_COMMAND.get(path[0] ?? '')
}

const KIND_OF_COMMAND: ReadonlyMap<string, Kind> = new Map([
  ['node', 'node'],
  ['rollout', 'rollout'],
  ['group', 'group'],
  ['freeze', 'freeze'],
  ['context', 'context'],
  ['provided', 'pair'],
])

function plain(value: string): Candidate {
  return { value, description: '' }
}

function matching(candidates: readonly Candidate[], typed: string): readonly Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(typed))
}
