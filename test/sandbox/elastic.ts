// Elasticsearch, Kibana and Metricbeat on a sandbox node as their packages leave them, security on and
// HTTP in plaintext. One node is the whole cluster.

import { join } from 'node:path'
import { autoconfigure } from '../simulators/elasticsearch/stock.ts'
import { encodeKeystore } from '../simulators/elasticsearch/keystore-format.ts'
import { writeKeystore as writeKibanaKeystore } from '../simulators/kibana/keystore.ts'
import { writeKeystore as writeBeatsKeystore } from '../simulators/metricbeat/keystore.ts'
import { beatPaths, productUnit } from '../support/product-units.ts'
import {
  account,
  edited,
  makeDirectories,
  quote,
  readStock,
  SIMULATORS,
  simulated,
  write,
  writeProgram,
  writeUnit,
} from './layout.ts'

export interface SandboxElasticsearch {
  readonly service: 'elasticsearch'
  readonly port: number
  readonly transportPort: number
  readonly version: string
  /** As the first installation of 8.0 or later leaves it: with TLS of its own. */
  readonly isAutoconfigured?: boolean
  /** With others; alone when absent. */
  readonly cluster?: {
    readonly nodeName: string
    /** `host:port` of the transport of each. */
    readonly seeds: readonly string[]
    readonly masters: readonly string[]
    /** How long a copy of a shard takes at least. */
    readonly recoveryMs: number
  }
}

export interface SandboxKibana {
  readonly service: 'kibana'
  readonly port: number
  readonly version: string
  /** URLs. */
  readonly elasticsearch: readonly string[]
}

export interface SandboxMetricbeat {
  readonly service: 'metricbeat'
  readonly version: string
  /** `host:port`. */
  readonly elasticsearch: readonly string[]
  /** URL. */
  readonly kibana: string
}

/** Of the user `elastic`. */
export const ELASTIC_PASSWORD = 'of-elastic'
/** Of `kibana_system` and `metricbeat_writer`, who get them from the API. */
export const KIBANA_PASSWORD = 'of-kibana'
export const WRITER_PASSWORD = 'of-the-writer'

const OURS = 0o660
const SECURITY = 'xpack.security.enabled: true\n'
const ALONE = 'node.name: n1\ndiscovery.type: single-node\n'
const QUICK = `# Not of the package: tests do not wait for five seconds.
resource.reload.interval.high: 500ms
`

export function layOutElasticsearch(root: string, service: SandboxElasticsearch): void {
  const { version, port, transportPort } = service
  const [home, conf] = ['usr/share/elasticsearch', 'etc/elasticsearch']
  const stock = readStock(join(SIMULATORS, 'elasticsearch/stock-elasticsearch.yml'))
  const ports = `http.port: ${port}\ntransport.port: ${transportPort}\n`
  const paths = edited(stock, [
    ['/var/lib/', `${root}/var/lib/`],
    ['/var/log/', `${root}/var/log/`],
  ])
  if (service.isAutoconfigured === true) {
    write(root, `${conf}/elasticsearch.yml`, paths + ports + QUICK, OURS)
    autoconfigure({ directory: join(root, conf), version, nowMs: Date.now() })
  } else {
    write(
      root,
      `${conf}/elasticsearch.yml`,
      paths + ports + QUICK + membership(service) + SECURITY,
      OURS,
    )
    const secrets = { 'keystore.seed': 'seed-of-tests', 'bootstrap.password': ELASTIC_PASSWORD }
    const entries = new Map(Object.entries(secrets).map(([key, text]) => [key, Buffer.from(text)]))
    const keystore = encodeKeystore(entries, { format: 4, password: '' })
    write(root, `${conf}/elasticsearch.keystore`, keystore, OURS)
  }
  write(root, 'etc/default/elasticsearch', '', OURS)
  write(root, `${home}/lib/elasticsearch-${version}.jar`, '')
  makeDirectories(root, 'var/lib/elasticsearch', 'var/log/elasticsearch', 'var/run/elasticsearch')
  for (const program of ['elasticsearch', 'elasticsearch-keystore']) {
    const command = simulated(`elasticsearch/${program}-sim.ts`, {
      SIM_VERSION: version,
      SIM_RECOVERY_MS: `${service.cluster?.recoveryMs ?? 0}`,
    })
    writeProgram(join(root, home, 'bin', program), `exec ${command} "$@"`)
  }
  const start = `exec ${quote(join(root, home, 'bin/elasticsearch'))} "$@"`
  writeProgram(join(root, home, 'bin/systemd-entrypoint'), start)
  writeUnit(root, 'elasticsearch', productUnit('elasticsearch', { root, account: account() }))
}

function membership({ cluster }: SandboxElasticsearch): string {
  if (cluster === undefined) return ALONE
  const { nodeName, seeds, masters } = cluster
  return `node.name: ${nodeName}
discovery.seed_hosts: ${JSON.stringify(seeds)}
cluster.initial_master_nodes: ${JSON.stringify(masters)}
`
}

export function layOutKibana(root: string, service: SandboxKibana): void {
  const { version, port, elasticsearch } = service
  const home = 'usr/share/kibana'
  const stock = readStock(join(SIMULATORS, 'kibana/stock/kibana.yml'))
  const settings = `
server.port: ${port}
server.publicBaseUrl: "http://localhost:${port}"
elasticsearch.hosts: ${JSON.stringify(elasticsearch)}
elasticsearch.username: "kibana_system"
elasticsearch.healthCheck.delay: 500
`
  const paths = edited(stock, [
    ['fileName: /var/', `fileName: ${root}/var/`],
    ['pid.file: /run/', `pid.file: ${root}/run/`],
  ])
  write(root, 'etc/kibana/kibana.yml', paths + settings, OURS)
  write(root, 'etc/default/kibana', '', OURS)
  writeKibanaKeystore(
    join(root, 'etc/kibana/kibana.keystore'),
    { 'elasticsearch.password': KIBANA_PASSWORD },
    {},
  )
  write(root, `${home}/package.json`, `${JSON.stringify({ name: 'kibana', version })}\n`)
  makeDirectories(root, 'var/lib/kibana', 'var/log/kibana', 'run/kibana')
  const command = simulated('kibana/kibana-sim.ts', { SIM_VERSION: version })
  writeProgram(join(root, home, 'bin/kibana'), `exec ${command} "$@"`)
  writeUnit(root, 'kibana', productUnit('kibana', { root, account: account() }))
}

export function layOutMetricbeat(root: string, service: SandboxMetricbeat): void {
  const { version, elasticsearch, kibana } = service
  const home = 'usr/share/metricbeat'
  const stock = edited(readStock(join(SIMULATORS, 'metricbeat/stock/metricbeat.yml')), [
    [
      '  hosts: ["localhost:9200"]',
      `  hosts: ${JSON.stringify(elasticsearch)}\n  backoff.init: 200ms\n  backoff.max: 500ms`,
    ],
    ['  #username: "elastic"', '  username: "metricbeat_writer"'],
    ['  #password: "changeme"', '  password: "${ES_WRITER}"'],
    ['  #host: "localhost:5601"', `  host: "${kibana}"`],
  ])
  write(root, 'etc/metricbeat/metricbeat.yml', stock, 0o600)
  const modules = 'etc/metricbeat/modules.d'
  write(
    root,
    `${modules}/elasticsearch-xpack.yml.disabled`,
    readStock(join(SIMULATORS, 'metricbeat/stock/modules.d/elasticsearch-xpack.yml.disabled')),
  )
  const system = '- module: system\n  period: 500ms\n  metricsets:\n    - cpu\n'
  write(root, `${modules}/system.yml`, system)
  makeDirectories(root, 'var/lib/metricbeat', 'var/log/metricbeat')
  const keystore = join(root, 'var/lib/metricbeat/metricbeat.keystore')
  writeBeatsKeystore(keystore, { ES_WRITER: WRITER_PASSWORD })
  const program = join(root, home, 'bin/metricbeat')
  const command = simulated('metricbeat/metricbeat-sim.ts', { SIM_VERSION: version })
  writeProgram(program, `exec ${command} "$@"`)
  writeProgram(join(root, 'usr/bin/metricbeat'), `exec ${quote(program)} ${beatPaths(root)} "$@"`)
  writeUnit(root, 'metricbeat', productUnit('metricbeat', { root, account: account() }))
}
