// The agent as it runs on a node: a daemon under a controller of its own, converged to what a fleet
// spec wants of the node.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { askAgent } from '../../agent/commands/control.ts'
import { AGENT_FLAGS } from '../../systemd/flags.ts'
import { describeOutcome, type Outcome, runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createBenchNode } from './bench-node.ts'
import { ENVIRONMENT, type Programs } from './programs.ts'

const STATE = 'var/lib/tlsfleet/agent'

const SPEC = `version: 1
fleet: bench
defaults:
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: prometheus
    nodes: all
  - service: influxdb
    nodes: all
`

export interface Daemon {
  readonly node: SandboxNode
  readonly pid: number
  /** Resolves when the loop has not passed for `quietMs`. */
  idle(quietMs: number): Promise<void>
  stop(): Promise<void>
}

export async function startDaemon(dir: string, programs: Programs): Promise<Daemon> {
  const node = await createBenchNode(dir, 'daemon')
  const children: ChildProcess[] = []
  const stop = async () => {
    await Promise.all(children.map(endOf))
    await node.stop()
  }
  try {
    const cli = await startController(dir, programs, children)
    const enrollment = await cli('node', 'add', 'daemon', '--ip', '127.0.0.1', '--dns', 'localhost')
    const token: string = JSON.parse(enrollment).enrollment.token
    const where = ['--root', node.root, '--systemctl', node.systemctl]
    await succeed('enroll', [programs.agent, 'enroll', '--token-file', '-', ...where], {
      input: token,
    })
    const pid = await startAgent([...AGENT_FLAGS, programs.agent, 'run', ...where], children)
    writeFileSync(join(dir, 'fleet.yaml'), SPEC)
    await cli('apply', '-f', join(dir, 'fleet.yaml'), '--yes', '--quiet')
    const socket = join(node.root, STATE, 'agent.sock')
    return { node, pid, stop, idle: quietMs => untilQuiet(socket, quietMs) }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Returns the operator's command, logged in. */
async function startController(
  dir: string,
  { controller, cli }: Programs,
  children: ChildProcess[],
) {
  const data = join(dir, 'controller')
  const ports = { operator: await freePort(), agent: await freePort(), enroll: await freePort() }
  const listen = Object.entries(ports).flatMap(([name, port]) => [
    `--listen-${name}`,
    `127.0.0.1:${port}`,
  ])
  const fleet = ['--fleet', 'bench', '--public-name', '127.0.0.1']
  const init = [controller, 'init', '--json', '--data-dir', data, ...fleet, ...listen]
  const made: { pin: string; adminToken: string } = JSON.parse(await succeed('init', init))
  const serve = [controller, 'serve', '--data-dir', data, '--log-level', 'warn']
  children.push(spawn(process.execPath, serve, { stdio: ['ignore', 'ignore', 'inherit'] }))

  const env = { TLSFLEET_CONFIG: join(dir, 'cli.json') }
  const url = ['--url', `https://127.0.0.1:${ports.operator}`]
  const login = [cli, 'login', ...url, '--ca-pin', made.pin, '--token', '-']
  await until(async () => succeed('login', login, { input: made.adminToken, env }), {
    what: 'login at the controller',
    everyMs: 200,
  })
  return (...argv: readonly string[]) => succeed(argv[0] ?? '', [cli, '--json', ...argv], { env })
}

async function succeed(
  what: string,
  argv: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const outcome: Outcome = await runCommand(process.execPath, argv, {
    ...options,
    env: { ...process.env, ...options.env },
    timeoutMs: 120_000,
  })
  if (outcome.code !== 0) throw new Error(describeOutcome(what, outcome))
  return outcome.stdout
}

async function startAgent(argv: readonly string[], children: ChildProcess[]): Promise<number> {
  const child = spawn(process.execPath, argv, {
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4096)
  })
  await until(() => said.includes('agent ready'), { what: 'the agent is ready' }).catch(cause => {
    throw new Error(`the agent did not start: ${said}`, { cause })
  })
  return child.pid ?? 0
}

async function untilQuiet(socket: string, quietMs: number): Promise<void> {
  let last: number | undefined
  let sinceMs = performance.now()
  for (;;) {
    const { lastPassAtMs } = await askAgent(socket, 'status')
    const nowMs = performance.now()
    if (lastPassAtMs !== last) sinceMs = nowMs
    last = lastPassAtMs
    if (nowMs - sinceMs >= quietMs) return
    await sleep(quietMs / 4)
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

/** Resident memory of a process, MiB. */
export function rssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
