#!/usr/bin/env node
// The agent's command line. The only file of the agent that knows all the edges.

import '../shared/node-version.ts'
import { join } from 'node:path'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { askAgent } from './commands/control.ts'
import { EXIT, HELP, type Options, parseOptions } from './commands/options.ts'
import { type AgentConfig, loadConfig } from './config.ts'
import { createHost } from './edges/host.ts'
import { presentResult } from './present.ts'
import { AGENT_VERSION } from './version.ts'

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (options.version) return say(`tlsfleet-agent ${AGENT_VERSION}\n`)
  if (options.help) return say(HELP)
  const { root, systemctl } = options
  const host = createHost({ root, systemctl })
  const config = await loadConfig(host.files, options.config)
  const stateDirectory = options.stateDirectory ?? config.stateDirectory
  const physicalPath = (path: string) => (root === undefined ? path : join(root, path))
  const context = {
    options,
    config,
    host,
    stateDirectory,
    socketPath: physicalPath(`${stateDirectory}/agent.sock`),
    physicalPath,
    log: options.command === 'run' ? await daemonLog(config) : SILENT,
    signal: untilStopped(),
    write: (text: string) => void process.stdout.write(text),
  }
  switch (options.command) {
    case 'run':
      return (await import('./commands/daemon.ts')).runCommand(context)
    case 'enroll':
      return (await import('./commands/daemon.ts')).enrollCommand(context)
    case 'status':
      return status(context.socketPath, options)
    case 'metrics':
      return say((await askAgent(context.socketPath, 'metrics')).metrics ?? '')
    case 'plan':
      return (await import('./commands/local.ts')).planCommand(context)
    case 'apply':
      return (await import('./commands/local.ts')).applyCommand(context)
    case 'renew':
      return (await import('./commands/local.ts')).renewCommand(context)
    case 'verify':
      return (await import('./commands/local.ts')).verifyCommand(context)
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctorCommand(context)
    case 'schema':
      return say(
        `${JSON.stringify((await import('./desired-file.ts')).desiredFileSchema(), null, 2)}\n`,
      )
    case 'facts':
      return say(
        `${JSON.stringify(await (await import('./edges/node-facts.ts')).readNodeFacts())}\n`,
      )
    case undefined:
      process.stderr.write(HELP)
      return EXIT.usage
    default:
      throw new OperationalError('usage', `unknown command ${options.command}`)
  }
}

/** Loaded for the daemon only: a plan would wait 8 ms for nothing. */
async function daemonLog({ logLevel }: AgentConfig): Promise<Logger> {
  const { createLogger } = await import('../shared/log.ts')
  return createLogger({ name: 'agent', level: logLevel })
}

// One-shot commands speak through their result.
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }

function say(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}

async function status(socketPath: string, options: Options): Promise<number> {
  const answer = await askAgent(socketPath, 'status')
  if (options.json) return say(`${JSON.stringify(answer)}\n`)
  const { node, fleet, controller, generation, mode, problem } = answer
  say(`node ${node} of fleet ${fleet}, controller ${controller}\n`)
  say(
    generation === undefined
      ? 'no desired state yet\n'
      : `generation ${generation}, mode ${mode}\n`,
  )
  if (problem !== undefined) say(`problem: ${problem.message} (${problem.code})\n`)
  return say(presentResult(answer.services))
}

/** Aborted by SIGTERM and SIGINT: a clean stop. */
function untilStopped(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => controller.abort())
  return controller.signal
}

function complain(error: unknown): number {
  if (!(error instanceof OperationalError)) {
    process.stderr.write(
      `tlsfleet-agent: this is a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    )
    return EXIT.failed
  }
  process.stderr.write(`tlsfleet-agent: ${describeError(error)} (${error.code})\n`)
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`)
  if (error.code !== 'usage') return EXIT.failed
  process.stderr.write('see "tlsfleet-agent --help"\n')
  return EXIT.usage
}

// Until it has come to its end; who ends before has lost what it waited for.
process.exitCode = EXIT.failed
void main(process.argv.slice(2))
  .catch(complain)
  .then(code => {
    process.exitCode = code
  })
