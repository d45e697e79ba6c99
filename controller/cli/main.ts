#!/usr/bin/env node
// `tlsfleet`: the operator's command line. Reads the arguments; every command is a file of its own
// under commands/, imported when it is called, so that help and mistakes answer at once.

import { Command, CommanderError, Option } from 'commander'
import metadata from '../../package.json' with { type: 'json' }
import { systemClock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import { EXIT, EXIT_CODES_HELP, type ExitCode } from './exit-codes.ts'
import {
  type Session,
  type Terminal,
  colourPaint,
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
  readonly context?: string
  readonly color: boolean
}

function createProgram(edges: Edges, finish: (code: ExitCode) => void): Command {
  const program = new Command('tlsfleet')
    .description('Keeps TLS right on fleets: plan, apply and watch what tlsfleet-controller does')
    .version(metadata.version)
    .option('--json', 'one JSON document on standard output; events as JSON lines')
    .option('--context <name>', 'login context to use instead of the current one')
    .option('--no-color', 'no colours, also with NO_COLOR in the environment')
    .addHelpText('after', `\n${EXIT_CODES_HELP}`)
  configure(program, edges)

  // Global options are known once the arguments are parsed, so commands make their session late.
  const act = async (command: (session: Session) => Promise<ExitCode>) =>
    finish(await command(createSession(program.opts(), edges)))
  addStart(program, act)
  addNode(program, act)
  addChange(program, act)
  addRollout(program, act)

  const exitCodes = program.command('exit-codes', { hidden: true })
  exitCodes.helpInformation = () => `${EXIT_CODES_HELP}\n`
  exitCodes.action(() => exitCodes.outputHelp())
  return program
}

type Act = (command: (session: Session) => Promise<ExitCode>) => Promise<void>

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

function addStart(program: Command, act: Act): void {
  program
    .command('init')
    .description('make a controller on this machine and log in to it')
    .option('--dir <dir>', 'where the controller keeps everything (/var/lib/tlsfleet/controller)')
    .option('--fleet <name>', 'name of the fleet', 'main')
    .option(
      '--host <name...>',
      'names and IP addresses that the controller is reached by (name of this machine)',
    )
    .option('--passphrase-file <file>', 'passphrase that seals the CA keys (one is made)')
    .action(options =>
      act(async session => (await import('./commands/init.ts')).init(session, options)),
    )
  program
    .command('login')
    .description('log in to a controller and remember it as a context')
    .requiredOption('--url <url>', 'operator port of the controller, https://host:8443')
    .option('--token-file <file>', 'file that holds the token')
    .option('--token <token>', '- reads the token from standard input')
    .option('--ca-pin <pin>', 'sha256:… of the CA, as `tlsfleet init` printed it')
    .option('--ca-file <file>', 'PEM file with the CA, instead of a pin')
    .action(options =>
      act(async session => (await import('./commands/login.ts')).login(session, options)),
    )
}

function addNode(program: Command, act: Act): void {
  const node = program.command('node').description('add, list, show and remove nodes')
  const load = () => import('./commands/node.ts')
  node
    .command('add <name>')
    .description('add a node; prints the one line to paste on it')
    .option('--label <key=value...>', 'labels that the fleet spec selects nodes by')
    .option('--dns <name...>', 'DNS names for its certificates')
    .option('--ip <address...>', 'IP addresses for its certificates')
    .action((name: string, options) =>
      act(async session => (await load()).addNode(session, name, options)),
    )
  node
    .command('ls')
    .description('list nodes')
    .addOption(labelFilter())
    .action(options => act(async session => (await load()).listNodes(session, options)))
  node
    .command('show <name>')
    .description('everything about one node')
    .action((name: string) => act(async session => (await load()).showNode(session, name)))
  node
    .command('rm <name>')
    .description('remove a node and revoke its identity')
    .option('--yes', 'do not ask')
    .action((name: string, options) =>
      act(async session => (await load()).removeNode(session, name, options)),
    )
  node
    .command('token <name>')
    .description('a new enrollment token for a node')
    .action((name: string) => act(async session => (await load()).nodeToken(session, name)))
}

function labelFilter(): Option {
  return new Option('--label <key=value...>', 'only nodes with these labels')
}

function addChange(program: Command, act: Act): void {
  const withSpec = (command: Command) =>
    command
      .requiredOption('-f, --file <file>', 'fleet spec; - is standard input')
      .option('--wait <time>', 'how long to wait for the answers of nodes', '15s')
      .option('--no-diff', 'without unified diffs')
  withSpec(program.command('plan').description('what applying the fleet spec would change'))
    .addHelpText('after', '\nExit codes: 0 nothing would change, 2 something would, 1 error')
    .action(options =>
      act(async session => (await import('./commands/plan.ts')).plan(session, options)),
    )
  withSpec(program.command('apply').description('show the plan, roll it out and follow it'))
    .option('--yes', 'do not ask')
    .option('--quiet', 'with --yes: without the plan')
    .option('--detach', 'start the rollout and do not follow it')
    .addHelpText('after', '\nExit codes: 0 succeeded, 3 the rollout did not succeed, 1 error')
    .action(options =>
      act(async session => (await import('./commands/apply.ts')).apply(session, options)),
    )
  program
    .command('trust')
    .description('the CA certificates that clients of the services must trust, as PEM')
    .action(() => act(async session => (await import('./commands/trust.ts')).trust(session)))

  program
    .command('status')
    .description('the fleet: nodes, services, served certificates')
    .addOption(labelFilter())
    .action(options =>
      act(async session => (await import('./commands/status.ts')).status(session, options)),
    )
}

function addRollout(program: Command, act: Act): void {
  const rollout = program.command('rollout').description('list, follow and abort rollouts')
  const load = () => import('./commands/rollout.ts')
  rollout
    .command('ls')
    .description('list rollouts')
    .action(() => act(async session => (await load()).listRollouts(session)))
  rollout
    .command('follow <id>')
    .description('follow a rollout to its end')
    .addHelpText('after', '\nExit codes: 0 succeeded, 3 the rollout did not succeed, 1 error')
    .action((id: string) => act(async session => (await load()).follow(session, id)))
  rollout
    .command('abort <id>')
    .description('stop a rollout; nodes that are done stay as they are')
    .option('--yes', 'do not ask')
    .action((id: string, options) =>
      act(async session => (await load()).abortRollout(session, id, options)),
    )
}

function createSession(options: GlobalOptions, edges: Edges): Session {
  const { terminal, environment, clock, signal } = edges
  const json = options.json === true
  const isColoured = options.color && !json && terminal.size !== undefined && mayColour(environment)
  return {
    terminal,
    json,
    paint: isColoured ? colourPaint : plainPaint,
    width: terminal.size?.columns,
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
  if (argv.includes('--json')) terminal.err(toJsonLine({ error: view }))
  else {
    const isColoured =
      terminal.errorIsTerminal && !argv.includes('--no-color') && mayColour(environment)
    terminal.err(errorText(view, isColoured ? colourPaint : plainPaint))
  }
  return view.code === 'interrupted' ? EXIT.interrupted : EXIT.error
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
