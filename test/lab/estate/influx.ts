// InfluxDB Enterprise and Telegraf as their packages leave them, of versions that are restarted for a
// certificate and know a private CA from the node's own store only.

import {
  account,
  directory,
  edited,
  file,
  install,
  program,
  started,
  stock,
  unit,
  without,
} from './install.ts'
import { productUnit } from '../../support/product-units.ts'
import { type Lab, until } from '../lab.ts'
import { hostsOf } from './members.ts'

const ENTERPRISE = '1.11.8-c1.11.8'
export const META_CONF = '/etc/influxdb/influxdb-meta.conf'
export const DATA_CONF = '/etc/influxdb/influxdb.conf'
export const TELEGRAF_CONF = '/etc/telegraf/telegraf.conf'
/** What became of every metric; telegraf's own count. */
export const TELEGRAF_STATUS = '/var/lib/telegraf/status.json'

/** `more`: at the end of its file. */
export async function installMetaNode(lab: Lab, node: string, more = ''): Promise<void> {
  const environment = { SIM_VERSION: ENTERPRISE }
  await install(lab, node, [
    without('prometheus', 'influxdb'),
    program('/usr/bin/influxd-meta', 'influxdb-meta/influxd-meta-sim.ts', environment),
    program('/usr/bin/influxd-ctl', 'influxdb-meta/influxd-ctl-sim.ts', environment),
    directory('/var/lib/influxdb', { mode: '755', owner: 'influxdb:influxdb' }),
    stock(META_CONF, 'influxdb-meta/influxdb-meta.conf', { mode: '644' }),
    edited(META_CONF, [
      `s|^hostname = ""|hostname = "${node}"|`,
      // Nobody is given up for what a busy machine does to its answers.
      's|^  # election-timeout = "1s"|  election-timeout = "4s"|',
      's|^  # heartbeat-timeout = "1s"|  heartbeat-timeout = "4s"|',
      's|^  # leader-lease-timeout = "500ms"|  leader-lease-timeout = "4s"|',
    ]),
    `cat >>${META_CONF} <<'END'\n${more}END`,
    unit('influxdb-meta.service', productUnit('influxdb-meta')),
    started('influxdb-meta'),
  ])
}

/** Debian's influxdb with the program and the tables of the vendor's data node. */
export async function installDataNode(lab: Lab, node: string): Promise<void> {
  await install(lab, node, [
    without('prometheus'),
    'systemctl stop influxdb',
    program('/usr/bin/influxd', 'influxdb/influxd-sim.ts', {
      SIM_VERSION: ENTERPRISE,
      SIM_BUILD: 'Enterprise',
    }),
    edited(DATA_CONF, [
      String.raw`s|^\[coordinator\]|[cluster]|`,
      `s|^reporting-enabled = false|&\\nhostname = "${node}"\\nbind-address = ":8088"|`,
      String.raw`$a [hinted-handoff]\n  dir = "/var/lib/influxdb/hh"\n  retry-max-interval = "2s"`,
    ]),
    started('influxdb'),
  ])
}

/** As an operator does it, on the first meta node. */
export async function formCluster(lab: Lab): Promise<void> {
  const [first = ''] = hostsOf('influxdb-meta')
  const ctl = (verb: string, address: string) =>
    until(
      async () => (await lab.exec(first, ['influxd-ctl', verb, address])).code === 0 || undefined,
      { what: `influxd-ctl ${verb} ${address}`, everyMs: 200 },
    )
  for (const host of hostsOf('influxdb-meta')) await ctl('add-meta', `${host}:8091`)
  for (const host of hostsOf('influxdb')) await ctl('add-data', `${host}:8088`)
}

export interface TelegrafOptions {
  readonly version?: string
  /** Lines of `[[outputs.influxdb]]`. */
  readonly output: string
  /** Its configuration is one that it refuses. */
  readonly isBroken?: boolean
}

export async function installTelegraf(
  lab: Lab,
  node: string,
  { version = '1.34.0', output, isBroken = false }: TelegrafOptions,
): Promise<void> {
  await install(lab, node, [
    account('telegraf'),
    program('/usr/bin/telegraf', 'telegraf/telegraf-sim.ts', {
      SIM_VERSION: version,
      SIM_STATUS_FILE: TELEGRAF_STATUS,
    }),
    directory('/etc/telegraf/telegraf.d', { mode: '755' }),
    directory('/var/lib/telegraf', { mode: '755', owner: 'telegraf:telegraf' }),
    file('/etc/default/telegraf', '', { mode: '644' }),
    stock(TELEGRAF_CONF, 'telegraf/telegraf.conf', { mode: '640', owner: 'root:telegraf' }),
    edited(TELEGRAF_CONF, [
      's|^  interval = "10s"|  interval = "200ms"|',
      's|^  flush_interval = "10s"|  flush_interval = "500ms"|',
      String.raw`s|^\[\[outputs.influxdb\]\]|&\n${output}|`,
    ]),
    unit('telegraf.service', productUnit('telegraf')),
    isBroken ? `${started('telegraf')} || true` : started('telegraf'),
  ])
}
