// Prometheus, alertmanager and node-exporter on a sandbox node, as Debian's packages leave them: flags
// in /etc/default, the configuration file by default.

import { dirname, join } from 'node:path'
import {
  edited,
  findProgram,
  makeDirectories,
  quote,
  readStock,
  simpleUnit,
  simulated,
  write,
  writeProgram,
  writeUnit,
} from './layout.ts'

export interface SandboxPrometheus {
  readonly service: 'prometheus'
  readonly port: number
  /** A simulator of this version; undefined: the real program where there is one. */
  readonly version?: string
  /** The real program at another place than findProgram looks. */
  readonly program?: string
  /** Ports of its neighbours, which the stock configuration knows; absent: nothing else listens. */
  readonly alertmanager?: number
  readonly nodeExporter?: number
}

/** Always the real programs. */
export interface SandboxAlertmanager {
  readonly service: 'alertmanager'
  readonly port: number
}

export interface SandboxNodeExporter {
  readonly service: 'node-exporter'
  readonly port: number
}

const SIMULATOR_OF = {
  prometheus: 'prometheus/prometheus-sim.ts',
  promtool: 'prometheus/promtool-sim.ts',
} as const

export function layOutPrometheus(root: string, service: SandboxPrometheus): void {
  write(root, 'etc/prometheus/prometheus.yml', prometheusYml(service))
  writeFlags(root, 'prometheus', `--web.listen-address=127.0.0.1:${service.port}`)
  makeDirectories(root, 'var/lib/prometheus')
  const defaults = [
    ['--config.file', join(root, 'etc/prometheus/prometheus.yml')],
    ['--storage.tsdb.path', join(root, 'var/lib/prometheus/metrics2')],
  ] as const
  writeProgram(
    join(root, 'usr/bin/prometheus'),
    withDefaults(commandFor('prometheus', service), defaults),
  )
  writeProgram(join(root, 'usr/bin/promtool'), `exec ${commandFor('promtool', service)} "$@"`)
  const unit = simpleUnit('Monitoring system and time series database', [
    ...started(root, 'prometheus'),
    'TimeoutStopSec=20s',
  ])
  writeUnit(root, 'prometheus', unit)
}

function prometheusYml({ port, alertmanager, nodeExporter }: SandboxPrometheus): string {
  const stock = readStock(join(import.meta.dirname, 'stock/prometheus.yml'))
  const [before = '', node = ''] = stock.split('  - job_name: node')
  const text = edited(before, [
    ['localhost:9090', `localhost:${port}`],
    ...(alertmanager === undefined
      ? []
      : ([['localhost:9093', `localhost:${alertmanager}`]] as const)),
    // Tests do not wait for five seconds.
    ...(nodeExporter === undefined
      ? []
      : ([
          ['scrape_interval: 5s', 'scrape_interval: 1s'],
          ['scrape_timeout: 5s', 'scrape_timeout: 1s'],
          ['scrape_interval:     15s', 'scrape_interval:     1s'],
          ['# scrape_timeout is', 'scrape_timeout: 1s # not'],
        ] as const)),
  ])
  if (nodeExporter === undefined) return text
  return `${text}  - job_name: node${node.replace('localhost:9100', `localhost:${nodeExporter}`)}`
}

export function layOutAlertmanager(root: string, { port }: SandboxAlertmanager): void {
  write(root, 'etc/prometheus/alertmanager.yml', ALERTMANAGER_YML)
  // Gossip needs a private address, and a port.
  const flags = `--cluster.listen-address= --web.listen-address=127.0.0.1:${port}`
  writeFlags(root, 'prometheus-alertmanager', flags)
  makeDirectories(root, 'var/lib/prometheus/alertmanager')
  const defaults = [
    ['--config.file', join(root, 'etc/prometheus/alertmanager.yml')],
    ['--storage.path', join(root, 'var/lib/prometheus/alertmanager')],
  ] as const
  const program = 'prometheus-alertmanager'
  writeProgram(join(root, 'usr/bin', program), withDefaults(quote(real(program)), defaults))
  writeUnit(root, program, simpleUnit('Alertmanager for Prometheus', started(root, program)))
}

const ALERTMANAGER_YML = `route:
  receiver: team-X-mails

receivers:
- name: team-X-mails
`

export function layOutNodeExporter(root: string, { port }: SandboxNodeExporter): void {
  const program = 'prometheus-node-exporter'
  // One collector: the others read all of the machine at every scrape.
  const flags = `--collector.disable-defaults --collector.time --web.listen-address=127.0.0.1:${port}`
  writeFlags(root, program, flags)
  writeProgram(join(root, 'usr/bin', program), `exec ${quote(real(program))} "$@"`)
  writeUnit(
    root,
    program,
    simpleUnit('Prometheus exporter for machine metrics', started(root, program)),
  )
}

function writeFlags(root: string, name: string, flags: string): void {
  write(root, `etc/default/${name}`, `# Flags of the server.\nARGS="${flags}"\n`)
}

function started(root: string, name: string): readonly string[] {
  return [
    'Restart=on-failure',
    `EnvironmentFile=/etc/default/${name}`,
    `ExecStart=${join(root, 'usr/bin', name)} $ARGS`,
    'ExecReload=/bin/kill -HUP $MAINPID',
  ]
}

/** The real program, or the simulator with its version, quoted for a shell. */
function commandFor(program: 'prometheus' | 'promtool', service: SandboxPrometheus): string {
  const { version, program: given } = service
  const beside = given === undefined ? undefined : join(dirname(given), program)
  const found = version === undefined ? (beside ?? findProgram(program)) : undefined
  if (found !== undefined) return quote(found)
  return simulated(SIMULATOR_OF[program], version === undefined ? {} : { SIM_VERSION: version })
}

function real(program: string): string {
  const found = findProgram(program)
  if (found === undefined) throw new Error(`${program} is not installed`)
  return found
}

/** A shell script that adds flags which are not given: kingpin refuses a repeated one. */
function withDefaults(command: string, defaults: readonly (readonly [string, string])[]): string {
  const lines = defaults.map(
    ([flag, value]) =>
      `case " $* " in *" ${flag}="*|*" ${flag} "*) ;; *) set -- ${quote(`${flag}=${value}`)} "$@" ;; esac`,
  )
  return [...lines, `exec ${command} "$@"`].join('\n')
}
