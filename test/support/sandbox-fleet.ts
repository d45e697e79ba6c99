// A real controller, the operator's command line in this process, and agents as processes on sandbox
// nodes that are enrolled and run.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { storeContext } from '../../controller/cli/context.ts'
import { type Running, startController } from '../controller/api/support.ts'
import { type Outcome, tlsfleet } from '../controller/cli/command.ts'
import { runCommand } from '../lab/command.ts'
import { createSandboxNode, type SandboxNode, type SandboxService } from '../sandbox/sandbox.ts'

export interface SandboxFleet {
  readonly running: Running
  /** For whatever the test writes; gone when it has ended. */
  readonly directory: string
  readonly cli: (...argv: readonly string[]) => Promise<Outcome>
  /** Resolves when its agent runs. It is known as `localhost`, `NAME.example.org` and 127.0.0.1. */
  readonly addNode: (
    name: string,
    services: readonly SandboxService[],
    /** Puts more files there before the agent starts. */
    prepare?: (sandbox: SandboxNode) => void,
  ) => Promise<SandboxNode>
  /** Without letting it finish anything. */
  readonly killAgent: (name: string) => Promise<void>
  readonly stopAgent: (name: string) => Promise<void>
  readonly startAgent: (name: string) => void
  /** In place of the identity that it has. */
  readonly enroll: (name: string, token: string) => Promise<void>
  /** The same with a new token of this controller. */
  readonly enrollAgain: (name: string) => Promise<void>
}

const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')

export async function createSandboxFleet(t: Test): Promise<SandboxFleet> {
  // Short, because the path of a socket in it must be.
  const directory = mkdtempSync(join(tmpdir(), 'fleet-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const config = join(directory, 'cli.json')
  const running = await startController(t)
  storeContext(config, 'test', {
    url: running.controller.urls.operator,
    token: running.adminToken,
    ca: [running.controller.identityRoot],
  })
  const cli: SandboxFleet['cli'] = (...argv) => tlsfleet(argv, { config, nowMs: Date.now() })
  const agents = new Map<string, ChildProcess>()
  const places = new Map<string, readonly string[]>()
  const placeOf = (name: string) => places.get(name) ?? []
  const startAgent = (name: string) => {
    const argv = [AGENT, 'run', ...placeOf(name)]
    agents.set(name, spawn(process.execPath, argv, { stdio: 'ignore' }))
  }
  const stopAgent = async (name: string) => {
    const child = agents.get(name)
    if (child !== undefined) await ended(child)
  }
  const enroll = async (name: string, token: string) => {
    const argv = [AGENT, 'enroll', '--token', token, ...placeOf(name)]
    const enrolled = await runCommand(process.execPath, argv)
    if (enrolled.code !== 0) throw new Error(enrolled.stderr)
  }
  return {
    running,
    directory,
    cli,
    startAgent,
    stopAgent,
    enroll,
    async enrollAgain(name) {
      const { code, out, err } = await cli('--json', 'node', 'token', name)
      if (code !== 0) throw new Error(err)
      await enroll(name, JSON.parse(out).token)
    },
    async killAgent(name) {
      const child = agents.get(name)
      if (child !== undefined) await ended(child, 'SIGKILL')
    },
    async addNode(name, services, prepare) {
      const sandbox = await createSandboxNode({ dir: directory, name, services })
      prepare?.(sandbox)
      places.set(name, ['--root', sandbox.root, '--systemctl', sandbox.systemctl])
      const names = ['--dns', 'localhost', '--dns', `${name}.example.org`, '--ip', '127.0.0.1']
      const added = await cli('--json', 'node', 'add', name, ...names)
      if (added.code !== 0) throw new Error(added.err)
      const { token } = JSON.parse(added.out).enrollment
      await enroll(name, token)
      startAgent(name)
      t.teardown(async () => {
        await stopAgent(name)
        await sandbox.stop()
      })
      return sandbox
    },
  }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise(resolve => child.once('exit', resolve))
  child.kill(signal)
  await exit
}
