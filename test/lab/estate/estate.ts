// The whole estate, in plaintext and at work.

import type { LabFleet } from '../../support/lab-fleet.ts'
import type { Lab } from '../lab.ts'
import {
  ELASTICSEARCH_YML,
  installElasticsearch,
  installKibana,
  installMetricbeat,
  KIBANA_YML,
  METRICBEAT_YML,
  prepareCluster,
  transportStore,
} from './elastic.ts'
import {
  DATA_CONF,
  formCluster,
  installDataNode,
  installMetaNode,
  installTelegraf,
  META_CONF,
  TELEGRAF_CONF,
} from './influx.ts'
import { without } from './install.ts'
import { hostsOf, type Member, MEMBERS, type Role } from './members.ts'
import { installMonitoring } from './monitoring.ts'

/** Configuration files of each product, that of monitoring all of its products. */
export const CONFIGURATION: Readonly<Record<Role, readonly string[]>> = {
  'influxdb-meta': [META_CONF],
  influxdb: [DATA_CONF],
  telegraf: [TELEGRAF_CONF],
  elasticsearch: [ELASTICSEARCH_YML],
  kibana: [KIBANA_YML],
  metricbeat: [METRICBEAT_YML, '/etc/metricbeat/modules.d/system.yml'],
  monitoring: [
    '/etc/prometheus/prometheus.yml',
    '/etc/default/prometheus',
    '/etc/default/prometheus-node-exporter',
    '/etc/default/prometheus-alertmanager',
  ],
}

// As 8.x writes it at its first start, and as operators then switch it off again.
const NESTED_OFF = 'xpack.security.http.ssl:\n  enabled: false\n'

/** `scratch`: a directory for the keys of the transport layer. */
export async function buildEstate(lab: Lab, scratch: string): Promise<void> {
  const nodes = hostsOf('elasticsearch')
  const store = transportStore(scratch)
  const urls = JSON.stringify(hostsOf('influxdb').map(host => `http://${host}:8086`))
  const onAll = (role: Role, run: (host: string, index: number) => Promise<void>) =>
    Promise.all(hostsOf(role).map(run))
  await Promise.all([
    onAll('influxdb-meta', host => installMetaNode(lab, host)),
    onAll('influxdb', host => installDataNode(lab, host)),
    onAll('elasticsearch', (host, index) =>
      installElasticsearch(lab, host, { nodes, store, http: index === 2 ? NESTED_OFF : '' }),
    ),
    onAll('monitoring', host => installMonitoring(lab, host)),
  ])
  await Promise.all([formCluster(lab), prepareCluster(lab, nodes)])
  await Promise.all([
    onAll('telegraf', async host => {
      await lab.output(host, ['sh', '-c', without('prometheus', 'influxdb')])
      await installTelegraf(lab, host, { output: `  urls = ${urls}` })
    }),
    onAll('kibana', host => installKibana(lab, host, { urls: nodes.map(httpOf) })),
    onAll('metricbeat', host => installMetricbeat(lab, host)),
  ])
}

function httpOf(node: string): string {
  return `http://${node}:9200`
}

/** Every configuration file of a member, by its path. */
export async function configurationOf(
  lab: Lab,
  { host, role }: Member,
): Promise<Readonly<Record<string, string>>> {
  const texts: Record<string, string> = {}
  for (const path of CONFIGURATION[role]) texts[path] = await lab.readFile(host, path)
  return texts
}

/** Of the listeners of a member that are managed. */
export const PORTS: Readonly<Record<Role, readonly number[]>> = {
  'influxdb-meta': [8091],
  influxdb: [8086],
  telegraf: [],
  elasticsearch: [9200],
  kibana: [5601],
  metricbeat: [],
  monitoring: [9090, 9093, 9100],
}

// Two cores have enough to do with three agents that begin.
const AT_ONCE = 3

/** Agents of all members, as services; nothing is wanted of them yet. */
export async function enrollAll(lab: Lab, fleet: LabFleet): Promise<void> {
  const left = [...MEMBERS]
  const worker = async () => {
    for (let member = left.shift(); member !== undefined; member = left.shift()) {
      const { host, name, role } = member
      const token = await fleet.addNode(host, { name, labels: [`role=${role}`] })
      const { code, stderr } = await fleet.enroll(host, token)
      if (code !== 0) throw new Error(`${name}: ${stderr}`)
      await fleet.startAgent(host)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await fleet.untilAll('idle')
}

/** Every managed file of a member with its times, and the identity of its processes. */
export function stateOf(fleet: LabFleet, { host, role, units }: Member): Promise<string> {
  const directories = CONFIGURATION[role].map(path => path.slice(0, path.lastIndexOf('/')))
  return fleet.state(host, { directories: [...new Set(directories)], units })
}
