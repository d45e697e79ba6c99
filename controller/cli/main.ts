#!/usr/bin/env node
// `tlsfleet`: the operator's command line. Reads the arguments; every command is declared
// under declarations/ and has a file of its own under commands/, imported when it is called.

import { Command, CommanderError } from 'commander'
import { systemClock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import { VERSION } from '../version.ts'
import { addAuthorities } from './declarations/authorities.ts'
import { addStart } from './declarations/start.ts'
import { addAudit } from './declarations/audit.ts'
import { addOperators } from './declarations/operators.ts'
import { addNode } from './declarations/node.ts'
import { addChange } from './declarations/change.ts'
import { addCertificates } from './declarations/certificates.ts'
import { addRequests } from './declarations/csr.ts'
import { addRollout } from './declarations/rollout.ts'
import { addCompletion } from './declarations/completion.ts'
import { addDoctor } from './declarations/doctor.ts'
import { addContext } from './declarations/context.ts'
import { addExplain } from './declarations/explain.ts'
import { addFreeze } from './declarations/freeze.ts'
import { addRotate } from './declarations/rotate.ts'
import { addElastic } from './declarations/elastic.ts'
import { addAcme } from './declarations/acme.ts'
import { addProvided } from './declarations/provided.ts'
import { addBackup } from './declarations/backup.ts'
import { EXIT, EXIT_CODES_HELP, type ExitCode } from './exit-codes.ts'
import { TOPICS_HELP } from './help-topics.ts'
import {
  OUTPUTS,
  type Session,
  type Terminal,
  colourPaint,
  formatOf,
  parseOutput,
  plainPaint,
  processTerminal,
  toJsonLine,
} from './output.ts'

export interface Edges {
  readonly terminal: Terminal
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Session['clock']
  readonly signal: AbortSignal
}

/** Runs one command line; never throws. */
export async function run(argv: readonly string[], edges: Edges): Promise<ExitCode> {
  try {
    let code: ExitCode = EXIT.ok
    const program = createProgram(edges, result => {
      code = result
    })
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    // Help that nobody asked for was shown in place of a message.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.error
    return await fail(argv, edges, error instanceof CommanderError ? usageError(error) : error)
  }
}

interface GlobalOptions {
  readonly json?: boolean
  readonly output?: string
  readonly context?: string
  readonly color: boolean
}

/** The whole tree of commands; documentation is generated from it. */
export function createProgram(edges: Edges, finish: (code: ExitCode) => void): Command {
  const program = new Command('tlsfleet')
    .description('Keeps TLS right on fleets: plan, apply and watch what tlsfleet-controller does')
    .version(VERSION)
    .option('-o, --output <format>', `${OUTPUTS.join(', ')}; wide: with more columns`)
    .option('--json', 'as --output json: one document, events as JSON lines')
    .option('--context <name>', 'login context to use instead of the current one')
    .option('--no-color', 'no colours, also with NO_COLOR in the environment')
    .addHelpText('after', `\n${EXIT_CODES_HELP}\n\n${TOPICS_HELP}`)
  configure(program, edges)

  // Global options are known once the arguments are parsed, so commands make their session late.
  const act = async (command: (session: Session) => Promise<ExitCode>) =>
    finish(await command(await createSession(program.opts(), edges)))
  addStart(program, act)
  addContext(program, act)
  addNode(program, act)
  addChange(program, act)
  addCertificates(program, act)
  addRotate(addAuthorities(program, act), act)
  addRequests(program, act)
  addRollout(program, act)
  addFreeze(program, act)
  addElastic(program, act)
  addProvided(program, act)
  addAcme(program, act)
  addBackup(program, act)
  addOperators(program, act)
  addAudit(program, act)

  addDoctor(program, act)
  addCompletion(program, act)
  addExplain(program, act)
  return program
}

function configure(program: Command, { terminal }: Edges): void {
  // Subcommands take these over when they are made.
  program
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: text => terminal.out(text),
      writeErr: text => terminal.err(text),
      // Mistakes are told in the form of all other errors; see usageError.
      outputError: () => {},
      getOutHelpWidth: () => terminal.size?.columns ?? HELP_COLUMNS,
      getErrHelpWidth: () => terminal.size?.columns ?? HELP_COLUMNS,
    })
}

const HELP_COLUMNS = 100

async function createSession(options: GlobalOptions, edges: Edges): Promise<Session> {
  const { terminal, environment, clock, signal } = edges
  const output = options.json === true ? 'json' : parseOutput(options.output ?? 'table')
  const format = await formatOf(output)
  const isColoured =
    options.color && !format.json && terminal.size !== undefined && mayColour(environment)
  return {
    terminal,
    ...format,
    paint: isColoured ? colourPaint : plainPaint,
    width: output === 'wide' ? 'wide' : terminal.size?.columns,
    contextName: options.context,
    environment,
    clock,
    signal,
  }
}

function mayColour(environment: Edges['environment']): boolean {
  return (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
}

function usageError(error: CommanderError): OperationalError {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const hint = suggestion?.replace(/^\((.*)\)$/, '$1').replace(/^Did/, 'did')
  return new OperationalError('usage', message, { hint: hint ?? 'see tlsfleet --help' })
}

async function fail(argv: readonly string[], edges: Edges, error: unknown): Promise<ExitCode> {
  const { terminal, environment } = edges
  const { errorText, errorView } = await import('./views/error.ts')
  const view = errorView(error)
  // The arguments may not have been understood, so the options are looked for in the text.
  // One JSON line is YAML too.
  if (argv.some(isForPrograms)) terminal.err(toJsonLine({ error: view }))
  else {
    const isColoured =
      terminal.errorIsTerminal && !argv.includes('--no-color') && mayColour(environment)
    terminal.err(errorText(view, isColoured ? colourPaint : plainPaint))
  }
  return view.code === 'interrupted' ? EXIT.interrupted : EXIT.error
}

function isForPrograms(argument: string, index: number, argv: readonly string[]): boolean {
  const isFormat = /^(json|yaml)$/.test(argv[index + 1] ?? '')
  return (
    argument === '--json' ||
    ((argument === '-o' || argument === '--output') && isFormat) ||
    /^(--output=|-o)(json|yaml)$/.test(argument)
  )
}

if (import.meta.main) {
  const interruption = new AbortController()
  process.once('SIGINT', () => interruption.abort())
  // Libraries that colour by themselves look at the environment only.
  if (process.argv.includes('--no-color')) process.env['NO_COLOR'] = '1'
  process.exitCode = await run(process.argv.slice(2), {
    terminal: processTerminal(),
    environment: process.env,
    clock: systemClock,
    signal: interruption.signal,
  })
}
