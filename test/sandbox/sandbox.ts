// Nodes without root or systemd: a root directory each, real processes, and a systemctl that drives
// them as the real one would. The agent runs on one with `--root ROOT --systemctl ROOT/usr/bin/systemctl`.
//
// Services run on this machine's file system, so their units, flags and configuration files name
// whole paths, ROOT in front. What only the service manager reads (EnvironmentFile=, and what
// systemctl prints as FragmentPath and DropInPaths) is relative to the root, as on any node.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { unreachable } from '../../shared/assert.ts'
import { type Outcome, runCommand } from '../lab/command.ts'
import {
  layOutElasticsearch,
  layOutKibana,
  layOutMetricbeat,
  type SandboxElasticsearch,
  type SandboxKibana,
  type SandboxMetricbeat,
} from './elastic.ts'
import {
  layOutInfluxdb,
  layOutInfluxdbMeta,
  layOutTelegraf,
  type SandboxInfluxdb,
  type SandboxInfluxdbMeta,
  type SandboxTelegraf,
} from './influx.ts'
import { makeDirectories, quote, write, writeProgram } from './layout.ts'
import {
  layOutAlertmanager,
  layOutNodeExporter,
  layOutPrometheus,
  type SandboxAlertmanager,
  type SandboxNodeExporter,
  type SandboxPrometheus,
} from './monitoring.ts'

export { freePort } from '../support/free-port.ts'
export { findProgram } from './layout.ts'

export type SandboxService =
  | SandboxAlertmanager
  | SandboxElasticsearch
  | SandboxInfluxdb
  | SandboxInfluxdbMeta
  | SandboxKibana
  | SandboxMetricbeat
  | SandboxNodeExporter
  | SandboxPrometheus
  | SandboxTelegraf

export interface SandboxOptions {
  /** The node's root becomes DIR/NAME. */
  readonly dir: string
  readonly name: string
  readonly services: readonly SandboxService[]
}

export interface SandboxNode {
  readonly name: string
  readonly root: string
  /** The executable to give to the agent. */
  readonly systemctl: string
  run(...argv: readonly string[]): Promise<Outcome>
  /** What a unit's service has printed. */
  log(unit: string): string
  /** After stop or powerOff: starts the enabled units again. */
  start(): Promise<void>
  /** Orderly: services get SIGTERM. */
  stop(): Promise<void>
  /** SIGKILL to everything. */
  powerOff(): Promise<void>
  /** systemctl hangs, services go on. */
  freeze(): void
  thaw(): void
}

const HERE = import.meta.dirname

/** Lays out the node and starts its services; everything ends with this process at the latest. */
export async function createSandboxNode({
  dir,
  name,
  services,
}: SandboxOptions): Promise<SandboxNode> {
  const root = join(dir, name)
  layOutNode(root, name)
  for (const service of services) layOut(root, service)
  const systemctl = join(root, 'usr/bin/systemctl')
  writeProgram(systemctl, `exec perl ${quote(join(HERE, 'systemctl.pl'))} ${quote(root)} "$@"`)
  let supervisor = await startSupervisor(root)
  const end = async (signal: NodeJS.Signals) => {
    if (supervisor.exitCode !== null || supervisor.signalCode !== null) return
    const exited = new Promise(resolve => supervisor.once('exit', resolve))
    supervisor.ref()
    supervisor.kill(signal)
    await exited
  }
  return {
    name,
    root,
    systemctl,
    run: (...argv) => runCommand(systemctl, argv),
    log: unit => {
      const file = join(root, 'var/log/units', `${unit}.log`)
      return existsSync(file) ? readFileSync(file, 'utf8') : ''
    },
    start: async () => {
      supervisor = await startSupervisor(root)
    },
    stop: () => end('SIGTERM'),
    // The kernel takes the services along, see process.ts.
    powerOff: () => end('SIGKILL'),
    freeze: () => supervisor.kill('SIGSTOP'),
    thaw: () => supervisor.kill('SIGCONT'),
  }
}

async function startSupervisor(root: string): Promise<ChildProcess> {
  mkdirSync(join(root, 'var/log'), { recursive: true })
  const log = openSync(join(root, 'var/log/supervisor.log'), 'a')
  // A group of its own, so that Ctrl-C leaves its end to this process.
  const child = spawn(process.execPath, [join(HERE, 'supervisor.ts'), '--root', root], {
    stdio: ['pipe', 'pipe', log],
    detached: true,
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`supervisor of ${root}: exit ${code}`)))
    child.stdout?.once('data', () => resolve())
  })
  child.removeAllListeners('exit')
  // It holds the supervisor up only by its standard input, and is not held up by it.
  child.unref()
  child.stdout?.destroy()
  return child
}

function layOutNode(root: string, name: string): void {
  const { username, uid, gid, homedir } = userInfo()
  write(root, 'etc/hostname', `${name}\n`)
  write(
    root,
    'etc/os-release',
    'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  )
  write(root, 'etc/passwd', `${username}:x:${uid}:${gid}::${homedir}:/bin/sh\n`)
  write(root, 'etc/group', `${username}:x:${gid}:\n`)
  makeDirectories(
    root,
    'etc/systemd/system',
    'etc/ssl/certs',
    'run/systemd/units',
    'var/lib',
    'tmp',
    'usr/local/bin',
  )
}

function layOut(root: string, service: SandboxService): void {
  switch (service.service) {
    case 'alertmanager':
      return layOutAlertmanager(root, service)
    case 'elasticsearch':
      return layOutElasticsearch(root, service)
    case 'influxdb':
      return layOutInfluxdb(root, service)
    case 'influxdb-meta':
      return layOutInfluxdbMeta(root, service)
    case 'kibana':
      return layOutKibana(root, service)
    case 'metricbeat':
      return layOutMetricbeat(root, service)
    case 'node-exporter':
      return layOutNodeExporter(root, service)
    case 'prometheus':
      return layOutPrometheus(root, service)
    case 'telegraf':
      return layOutTelegraf(root, service)
    default:
      return unreachable(service)
  }
}
