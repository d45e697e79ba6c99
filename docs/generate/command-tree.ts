// The commands of `tlsfleet` as data, read from the tree that parses command lines: for the reference
// and for the manual page, which therefore cannot tell of commands that there are not.

import type { Argument, Command, Option } from 'commander'
import { createProgram } from '../../controller/cli/main.ts'
import type { Terminal } from '../../controller/cli/output.ts'
import { systemClock } from '../../shared/clock.ts'

export interface OptionDoc {
  readonly flags: string
  readonly description: string
}

export interface CommandDoc {
  /** `tlsfleet rollout show` */
  readonly name: string
  /** `tlsfleet rollout show [options] <id>` */
  readonly usage: string
  readonly description: string
  readonly arguments: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly OptionDoc[]
  /** What help adds below: exit codes, examples. */
  readonly notes: string
  readonly commands: readonly CommandDoc[]
}

export function tlsfleetProgram(): Command {
  const edges = {
    terminal: SILENT,
    environment: {},
    clock: systemClock,
    signal: new AbortController().signal,
  }
  return createProgram(edges, () => {})
}

export function commandTree(): CommandDoc {
  return describe(tlsfleetProgram(), '')
}

function describe(command: Command, above: string): CommandDoc {
  const name = above === '' ? command.name() : `${above} ${command.name()}`
  const help = command.createHelp()
  const commands = help.visibleCommands(command).filter(one => one.name() !== 'help')
  return {
    name,
    usage: `${above === '' ? '' : `${above} `}${command.name()} ${command.usage()}`.trim(),
    description: command.description(),
    arguments: command.registeredArguments.map(one => ({
      name: one.name(),
      description: describeArgument(one),
    })),
    options: help
      .visibleOptions(command)
      .filter(({ long }) => long !== '--help')
      .map(one => ({ flags: one.flags, description: describeOption(one) })),
    notes: notesOf(command),
    commands: commands.map(one => describe(one, name)),
  }
}

function describeArgument({ description, argChoices }: Argument): string {
  return withChoices(description, argChoices)
}

function describeOption(option: Option): string {
  const { description, argChoices, mandatory, defaultValue } = option
  const isShown = defaultValue !== undefined && typeof defaultValue !== 'boolean'
  return [
    withChoices(description, argChoices),
    ...(mandatory ? ['required'] : []),
    ...(isShown ? [`default ${String(defaultValue)}`] : []),
  ].join('; ')
}

function withChoices(description: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? description : `${description}: ${choices.join(', ')}`
}

// Texts that were added to help are known only from what it writes.
function notesOf(command: Command): string {
  let text = ''
  const writeOut = (piece: string) => {
    text += piece
  }
  command.configureOutput({ writeOut }).outputHelp()
  return text.slice(command.helpInformation().length).trim()
}

const never = (): Promise<never> => Promise.reject(new Error('nobody is asked here'))
const SILENT: Terminal = {
  out() {},
  err() {},
  canAsk: false,
  errorIsTerminal: false,
  size: { columns: 100, rows: 50 },
  ask: never,
  askSecretly: never,
  readInput: never,
}
