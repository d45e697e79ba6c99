// Nodes without root or systemd: a root directory each, real processes, and a systemctl that drives
// them as the real one would. The agent runs on one with `--root ROOT --systemctl ROOT/usr/bin/systemctl`.
//
// Services run on this machine's file system, so their units, flags and configuration files name
// whole paths, ROOT in front. What only the service manager reads (EnvironmentFile=, and what
// systemctl prints as FragmentPath and DropInPaths) is relative to the root, as on any node.

import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { type Outcome, runCommand } from '../lab/command.ts'

export interface SandboxService {
  readonly service: 'prometheus' | 'influxdb'
  readonly port: number
  /** A simulator of this version; undefined: the real program where there is one. */
  readonly version?: string
  /** Enterprise: only by the simulator of InfluxDB. */
  readonly build?: 'OSS' | 'Enterprise'
  /** The real program at another place than findProgram looks. */
  readonly program?: string
}

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
const SIMULATORS = join(dirname(HERE), 'simulators')

/** Lays out the node and starts its services; everything ends with this process at the latest. */
export async function createSandboxNode({
  dir,
  name,
  services,
}: SandboxOptions): Promise<SandboxNode> {
  const root = join(dir, name)
  layOutNode(root, name)
  for (const service of services) {
    if (service.service === 'prometheus') layOutPrometheus(root, service)
    else layOutInfluxdb(root, service)
  }
  const systemctl = join(root, 'usr/bin/systemctl')
  writeProgram(
    systemctl,
    `TLSFLEET_NODE=${quote(process.execPath)} TLSFLEET_SANDBOX_ROOT=${quote(root)}\n` +
      `export TLSFLEET_NODE TLSFLEET_SANDBOX_ROOT\nexec ${quote(join(HERE, 'systemctl'))} "$@"`,
  )
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
  for (const directory of [
    'etc/systemd/system',
    'etc/ssl/certs',
    'run/systemd/units',
    'var/lib',
    'tmp',
    'usr/local/bin',
  ]) {
    mkdirSync(join(root, directory), { recursive: true })
  }
}

/** As Debian's package: flags in /etc/default/prometheus, the configuration file by default. */
function layOutPrometheus(root: string, service: SandboxService): void {
  const listen = `127.0.0.1:${service.port}`
  const stock = readFileSync(join(HERE, 'stock/prometheus.yml'), 'utf8')
  // Only the self-scrape stays: nothing else listens on a sandbox node.
  const [scrapeSelf = ''] = stock.split('  - job_name: node')
  write(
    root,
    'etc/prometheus/prometheus.yml',
    scrapeSelf.replace('localhost:9090', `localhost:${service.port}`),
  )
  write(
    root,
    'etc/default/prometheus',
    `# Flags of the server.\nARGS="--web.listen-address=${listen}"\n`,
  )
  mkdirSync(join(root, 'var/lib/prometheus'), { recursive: true })
  const defaults = [
    ['--config.file', join(root, 'etc/prometheus/prometheus.yml')],
    ['--storage.tsdb.path', join(root, 'var/lib/prometheus/metrics2')],
  ] as const
  for (const program of ['prometheus', 'promtool'] as const) {
    const path = join(root, 'usr/bin', program)
    const command = commandFor(program, service)
    writeProgram(
      path,
      program === 'prometheus' ? withDefaults(command, defaults) : `exec ${command} "$@"`,
    )
  }
  writeUnit(root, 'prometheus', {
    description: 'Monitoring system and time series database',
    service: [
      'Restart=on-failure',
      'EnvironmentFile=/etc/default/prometheus',
      `ExecStart=${join(root, 'usr/bin/prometheus')} $ARGS`,
      'ExecReload=/bin/kill -HUP $MAINPID',
      'TimeoutStopSec=20s',
    ],
  })
}

/** As Debian's package of OSS 1.6.7; an Enterprise data node looks the same. */
function layOutInfluxdb(root: string, service: SandboxService): void {
  const data = join(root, 'var/lib/influxdb')
  const stock = readFileSync(join(HERE, 'stock/influxdb.conf'), 'utf8')
    .replaceAll('"/var/lib/influxdb', `"${data}`)
    .replace('# bind-address = "127.0.0.1:8088"', 'bind-address = "127.0.0.1:0"')
    .replace('# bind-address = ":8086"', `bind-address = "127.0.0.1:${service.port}"`)
  write(root, 'etc/influxdb/influxdb.conf', stock)
  mkdirSync(data, { recursive: true })
  writeProgram(join(root, 'usr/bin/influxd'), `exec ${commandFor('influxd', service)} "$@"`)
  writeUnit(root, 'influxdb', {
    description: 'InfluxDB is an open-source, distributed, time series database',
    service: [
      'EnvironmentFile=-/etc/default/influxdb',
      `ExecStart=${join(root, 'usr/bin/influxd')} -config ${join(root, 'etc/influxdb/influxdb.conf')} $INFLUXD_OPTS`,
      'KillMode=control-group',
      'Restart=on-failure',
    ],
  })
}

/** The real program, or the simulator with its version, quoted for a shell. */
function commandFor(
  program: 'prometheus' | 'promtool' | 'influxd',
  service: SandboxService,
): string {
  const { version, build, program: given } = service
  const simulated = version !== undefined || build === 'Enterprise'
  const beside = given === undefined ? undefined : join(dirname(given), program)
  const real = simulated ? undefined : (beside ?? findProgram(program))
  if (real !== undefined) return quote(real)
  const settings = [
    ...(version === undefined ? [] : [`SIM_VERSION=${version}`]),
    ...(build === undefined ? [] : [`SIM_BUILD=${build}`]),
  ]
  const file = join(SIMULATORS, SIMULATOR_OF[program])
  return ['/usr/bin/env', ...settings, process.execPath, file].map(quote).join(' ')
}

const SIMULATOR_OF = {
  prometheus: 'prometheus/prometheus-sim.ts',
  promtool: 'prometheus/promtool-sim.ts',
  influxd: 'influxdb/influxd-sim.ts',
} as const

/** On PATH, or in the image of the lab's nodes: its programs run here as well. */
export function findProgram(name: string): string | undefined {
  const cache = process.env['LAB_CACHE'] ?? '/var/cache/lab-image'
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/bin',
    // Not one that is still being made (X.tmp).
    ...globSync('+([0-9a-f])/usr/bin', { cwd: cache }).map(path => join(cache, path)),
  ]
  return directories.map(directory => join(directory, name)).find(path => existsSync(path))
}

/** A shell script that adds flags which are not given: kingpin refuses a repeated one. */
function withDefaults(command: string, defaults: readonly (readonly [string, string])[]): string {
  const lines = defaults.map(
    ([flag, value]) =>
      `case " $* " in *" ${flag}="*|*" ${flag} "*) ;; *) set -- ${quote(`${flag}=${value}`)} "$@" ;; esac`,
  )
  return [...lines, `exec ${command} "$@"`].join('\n')
}

function writeProgram(path: string, script: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
}

function writeUnit(
  root: string,
  name: string,
  unit: { readonly description: string; readonly service: readonly string[] },
): void {
  const user = `User=${userInfo().username}`
  const lines = [user, ...unit.service].join('\n')
  const text = `[Unit]\nDescription=${unit.description}\n\n[Service]\n${lines}\n\n[Install]\nWantedBy=multi-user.target\n`
  write(root, `lib/systemd/system/${name}.service`, text)
  const wants = join(root, 'etc/systemd/system/multi-user.target.wants')
  mkdirSync(wants, { recursive: true })
  symlinkSync(`/lib/systemd/system/${name}.service`, join(wants, `${name}.service`))
}

function write(root: string, path: string, contents: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), contents)
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** A port of the loopback address that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
