// InfluxDB, OSS or Enterprise, and Telegraf on a sandbox node. Every name is localhost.

import { dirname, join } from 'node:path'
import { productUnit } from '../support/product-units.ts'
import {
  account,
  edited,
  findProgram,
  makeDirectories,
  quote,
  readStock,
  SIMULATORS,
  simpleUnit,
  simulated,
  write,
  writeProgram,
  writeUnit,
} from './layout.ts'

export interface SandboxInfluxdb {
  readonly service: 'influxdb'
  readonly port: number
  /** A simulator of this version; undefined: the real program where there is one. */
  readonly version?: string
  /** Enterprise: only by the simulator of InfluxDB. */
  readonly build?: 'OSS' | 'Enterprise'
  /** The real program at another place than findProgram looks. */
  readonly program?: string
  /** Of the RPC between data nodes; any when absent, which OSS can do with. */
  readonly rpcPort?: number
}

export interface SandboxInfluxdbMeta {
  readonly service: 'influxdb-meta'
  readonly port: number
  readonly raftPort: number
  readonly version: string
}

export interface SandboxTelegraf {
  readonly service: 'telegraf'
  readonly version: string
  /** Of its one output. */
  readonly urls: readonly string[]
}

/** Where a simulated telegraf counts what became of every metric. */
export const TELEGRAF_STATUS = 'var/lib/telegraf/status.json'
// Go knows only the machine's own roots otherwise, and those are nobody's to change here.
const ROOTS = 'etc/ssl/certs/ca-certificates.crt'

/** As Debian's package of OSS 1.6.7; an Enterprise data node looks almost the same. */
export function layOutInfluxdb(root: string, service: SandboxInfluxdb): void {
  const data = join(root, 'var/lib/influxdb')
  const { port, rpcPort = 0, build } = service
  const stock = edited(readStock(join(import.meta.dirname, 'stock/influxdb.conf')), [
    ['"/var/lib/influxdb', `"${data}`],
    ['# bind-address = "127.0.0.1:8088"', `bind-address = "127.0.0.1:${rpcPort}"`],
    ['# bind-address = ":8086"', `bind-address = "127.0.0.1:${port}"`],
  ])
  write(
    root,
    'etc/influxdb/influxdb.conf',
    build === 'Enterprise' ? enterprise(stock, data) : stock,
  )
  write(root, 'etc/default/influxdb', '')
  makeDirectories(root, 'var/lib/influxdb')
  writeProgram(join(root, 'usr/bin/influxd'), `exec ${commandFor(root, service)} "$@"`)
  const unit = simpleUnit('InfluxDB is an open-source, distributed, time series database', [
    'EnvironmentFile=-/etc/default/influxdb',
    `ExecStart=${join(root, 'usr/bin/influxd')} -config ${join(root, 'etc/influxdb/influxdb.conf')} $INFLUXD_OPTS`,
    'KillMode=control-group',
    'Restart=on-failure',
  ])
  writeUnit(root, 'influxdb', unit)
}

function enterprise(stock: string, data: string): string {
  const text = edited(stock, [
    ['\n[coordinator]\n', '\n[cluster]\n'],
    [
      'reporting-enabled = false\n',
      'reporting-enabled = false\nhostname = "localhost"\ngossip-frequency = "500ms"\n',
    ],
  ])
  return `${text}\n[hinted-handoff]\n  dir = "${data}/hh"\n  retry-max-interval = "2s"\n`
}

function commandFor(root: string, { version, build, program }: SandboxInfluxdb): string {
  const isSimulated = version !== undefined || build === 'Enterprise'
  const found = isSimulated ? undefined : (program ?? findProgram('influxd'))
  if (found !== undefined) return quote(found)
  return simulated('influxdb/influxd-sim.ts', {
    ...(version === undefined ? {} : { SIM_VERSION: version }),
    ...(build === undefined ? {} : { SIM_BUILD: build, SSL_CERT_FILE: join(root, ROOTS) }),
  })
}

export function layOutInfluxdbMeta(root: string, service: SandboxInfluxdbMeta): void {
  const { port, raftPort, version } = service
  const stock = edited(readStock(join(SIMULATORS, 'influxdb-meta/influxdb-meta.conf')), [
    ['hostname = ""', 'hostname = "localhost"'],
    ['dir = "/var/lib/influxdb', `dir = "${join(root, 'var/lib/influxdb')}`],
    ['# bind-address = ":8089"', `bind-address = "127.0.0.1:${raftPort}"`],
    ['# http-bind-address = ":8091"', `http-bind-address = "127.0.0.1:${port}"`],
    ['# gossip-frequency = "5s"', 'gossip-frequency = "500ms"'],
  ])
  write(root, 'etc/influxdb/influxdb-meta.conf', stock)
  write(root, 'etc/default/influxdb-meta', '')
  makeDirectories(root, 'var/lib/influxdb')
  const settings = { SIM_VERSION: version, SSL_CERT_FILE: join(root, ROOTS) }
  for (const program of ['influxd-meta', 'influxd-ctl']) {
    const command = simulated(`influxdb-meta/${program}-sim.ts`, settings)
    writeProgram(join(root, 'usr/bin', program), `exec ${command} "$@"`)
  }
  layOutRoots(root)
  writeUnit(root, 'influxdb-meta', productUnit('influxdb-meta', { root, account: account() }))
}

/** The CA store of the node and the program that makes it, as ca-certificates has them. */
function layOutRoots(root: string): void {
  write(root, ROOTS, '')
  makeDirectories(root, 'usr/local/share/ca-certificates')
  const [bundle, local] = [ROOTS, 'usr/local/share/ca-certificates'].map(path => join(root, path))
  writeProgram(
    join(root, 'usr/sbin/update-ca-certificates'),
    `find ${quote(local ?? '')} -name '*.crt' -exec cat {} + >${quote(`${bundle}.new`)}\n` +
      `mv ${quote(`${bundle}.new`)} ${quote(bundle ?? '')}`,
  )
}

export function layOutTelegraf(root: string, { version, urls }: SandboxTelegraf): void {
  const stock = edited(readStock(join(SIMULATORS, 'telegraf/telegraf.conf')), [
    ['\n  interval = "10s"', '\n  interval = "500ms"'],
    ['\n  flush_interval = "10s"', '\n  flush_interval = "500ms"'],
    ['\n[[outputs.influxdb]]\n', `\n[[outputs.influxdb]]\n  urls = ${JSON.stringify(urls)}\n`],
  ])
  write(root, 'etc/telegraf/telegraf.conf', stock, 0o640)
  write(root, 'etc/default/telegraf', '')
  makeDirectories(root, 'etc/telegraf/telegraf.d', dirname(TELEGRAF_STATUS))
  const settings = { SIM_VERSION: version, SIM_STATUS_FILE: join(root, TELEGRAF_STATUS) }
  const command = simulated('telegraf/telegraf-sim.ts', settings)
  writeProgram(join(root, 'usr/bin/telegraf'), `exec ${command} "$@"`)
  writeUnit(root, 'telegraf', productUnit('telegraf', { root, account: account() }))
}
