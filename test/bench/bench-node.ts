// A sandbox node with both products, made to converge by the agent's own standalone pass: where the
// measurements of single passes and of whole processes are made.

import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { createSandboxNode, findProgram, freePort, type SandboxNode } from '../sandbox/sandbox.ts'
import { createCa } from '../simulators/certificates.ts'
import { probe } from '../simulators/probe.ts'

export const AGENT = join(dirname(dirname(import.meta.dirname)), 'agent/main.ts')

/** Of the measured processes: what the agent's unit sets, and nothing that would speed Node up. */
export const ENVIRONMENT = { PATH: process.env['PATH'], LC_ALL: 'C', MALLOC_ARENA_MAX: '1' }

export interface BenchNode extends SandboxNode {
  readonly ports: { readonly prometheus: number; readonly influxdb: number }
}

/** Both products up, as their packages leave them. */
export async function createBenchNode(dir: string, name: string): Promise<BenchNode> {
  const ports = { prometheus: await freePort(), influxdb: await freePort() }
  const node = await createSandboxNode({
    dir,
    name,
    services: [
      { service: 'prometheus', port: ports.prometheus },
      { service: 'influxdb', port: ports.influxdb },
    ],
  })
  const answers = async (port: number, path: string) => (await probe({ port, path })).status < 300
  await until(() => answers(ports.prometheus, '/-/ready'), { what: 'prometheus is ready' })
  await until(() => answers(ports.influxdb, '/ping'), { what: 'influxd is ready' })
  return { ...node, ports, systemctl: quickSystemctl(node) }
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

export interface Standalone {
  readonly node: BenchNode
  /** The file for `--desired`. */
  readonly desired: string
  /** The agent's command as a whole process. */
  readonly argv: (command: 'plan' | 'apply') => readonly string[]
}

/** A node that a standalone pass has brought to TLS, with leaves of a local CA. */
export async function convergeStandalone(dir: string): Promise<Standalone> {
  const node = await createBenchNode(dir, 'standalone')
  const ca = createCa(dir)
  mkdirSync(join(node.root, 'root'))
  copyFileSync(ca.certFile, join(node.root, 'root/ca.crt'))
  copyFileSync(ca.keyFile, join(node.root, 'root/ca.key'))
  const desired = join(dir, 'desired.json')
  const services = ['prometheus', 'influxdb'].map(service => ({
    service,
    issuer: 'local-ca',
    names: { dns: ['localhost'], ip: ['127.0.0.1'] },
    verify: { stableFor: '1s', deadline: '60s' },
  }))
  const localCa = { certificate: '/root/ca.crt', privateKey: '/root/ca.key' }
  writeFileSync(desired, JSON.stringify({ version: 1, services, issuers: { localCa } }))
  const where = ['--root', node.root, '--systemctl', node.systemctl, '--json']
  const argv = (command: string) => [AGENT, command, '--desired', desired, ...where]
  const applied = await runCommand(process.execPath, argv('apply'), { timeoutMs: 120_000 })
  if (applied.code !== 0)
    throw new Error(`the node did not converge: ${applied.stderr}${applied.stdout}`)
  return { node, desired, argv }
}

/** Which of the products are real here. */
export function productsHere(): string {
  return ['prometheus', 'influxd']
    .map(program => `${program} ${findProgram(program) === undefined ? 'simulated' : 'real'}`)
    .join(', ')
}
