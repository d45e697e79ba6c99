// A sandbox node with both products, and one that the agent's own standalone pass has made converge:
// where single passes and whole processes are measured.

import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { COMMAND_FLAGS } from '../../systemd/flags.ts'
import { describeOutcome, runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, findProgram, freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createCa } from '../simulators/certificates.ts'
import { probe } from '../simulators/probe.ts'
import { oneShotEnvironment, type Programs } from './programs.ts'

/** Both products up, as their packages leave them. */
export async function createBenchNode(dir: string, name: string): Promise<SandboxNode> {
  const [prometheus, influxdb] = [await freePort(), await freePort()]
  const node = await createSandboxNode({
    dir,
    name,
    services: [
      { service: 'prometheus', port: prometheus },
      { service: 'influxdb', port: influxdb },
    ],
  })
  const answers = async (port: number, path: string) => (await probe({ port, path })).status < 300
  await until(() => answers(prometheus, '/-/ready'), { what: 'prometheus is ready' })
  await until(() => answers(influxdb, '/ping'), { what: 'influxd is ready' })
  return { ...node, systemctl: quickSystemctl(node) }
}

// The sandbox's own systemctl starts a Node for every question, ten times what the real one costs.
function quickSystemctl(node: SandboxNode): string {
  const perl = '/usr/bin/perl'
  if (!existsSync(perl)) return node.systemctl
  const file = join(node.root, 'usr/bin/quick-systemctl')
  const program = join(import.meta.dirname, 'systemctl.pl')
  writeFileSync(file, `#!/bin/sh\nexec ${perl} '${program}' '${node.root}' "$@"\n`)
  chmodSync(file, 0o755)
  return file
}

/** Which of the products are real here. */
export function productsHere(): string {
  return ['prometheus', 'influxd']
    .map(program => `${program} ${findProgram(program) === undefined ? 'simulated' : 'real'}`)
    .join(', ')
}

export interface Standalone {
  readonly node: SandboxNode
  /** The file for `--desired`. */
  readonly desired: string
  /** One-shot commands of the agent as arguments for Node, as the installed program has them. */
  readonly argv: (command: 'plan' | 'apply') => readonly string[]
  /** Their environment. */
  readonly env: NodeJS.ProcessEnv
}

/** A node that a standalone pass has brought to TLS, with leaves of a local CA. */
export async function convergeStandalone(dir: string, { agent }: Programs): Promise<Standalone> {
  const node = await createBenchNode(dir, 'standalone')
  const desired = join(dir, 'desired.json')
  writeFileSync(desired, JSON.stringify(desiredState(dir, node)))
  const where = ['--root', node.root, '--systemctl', node.systemctl, '--json']
  const argv = (command: string) => [
    ...COMMAND_FLAGS,
    agent,
    command,
    '--desired',
    desired,
    ...where,
  ]
  const env = oneShotEnvironment(dir)
  const applied = await runCommand(process.execPath, argv('apply'), { env, timeoutMs: 120_000 })
  if (applied.code !== 0) {
    await node.stop()
    throw new Error(describeOutcome('the node did not converge', applied))
  }
  return { node, desired, argv, env }
}

function desiredState(dir: string, node: SandboxNode): object {
  const ca = createCa(dir)
  mkdirSync(join(node.root, 'root'))
  copyFileSync(ca.certFile, join(node.root, 'root/ca.crt'))
  copyFileSync(ca.keyFile, join(node.root, 'root/ca.key'))
  const services = ['prometheus', 'influxdb'].map(service => ({
    service,
    issuer: 'local-ca',
    names: { dns: ['localhost'], ip: ['127.0.0.1'] },
    verify: { stableFor: '1s', deadline: '60s' },
  }))
  const localCa = { certificate: '/root/ca.crt', privateKey: '/root/ca.key' }
  return { version: 1, services, issuers: { localCa } }
}
