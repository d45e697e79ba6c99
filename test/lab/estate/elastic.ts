// Elasticsearch, Kibana and Metricbeat as their packages leave them: security on and the nodes of the
// cluster speaking TLS among themselves, because both are prerequisites; HTTP in plaintext.

import { createCa } from '../../simulators/certificates.ts'
import {
  issueForBoth,
  keyEntry,
  p12,
  TRANSPORT,
  trustedEntry,
} from '../../simulators/elasticsearch-scene.ts'
import { beatPaths, productUnit } from '../../support/product-units.ts'
import { type Lab, until } from '../lab.ts'
import {
  account,
  bytes,
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
import { hostsOf } from './members.ts'

const VERSION = '8.15.0'
const HOME = '/usr/share/elasticsearch'
export const ELASTICSEARCH_KEYSTORE = `${HOME}/bin/elasticsearch-keystore`
export const CONF = '/etc/elasticsearch'
export const ELASTICSEARCH_YML = `${CONF}/elasticsearch.yml`
export const KIBANA_YML = '/etc/kibana/kibana.yml'
/** What went with each stop of it; metricbeat's own list. */
export const METRICBEAT_GONE = '/var/lib/metricbeat/sim-gone'
export const METRICBEAT_YML = '/etc/metricbeat/metricbeat.yml'
export const ELASTIC_PASSWORD = 'of-elastic'
const KIBANA_PASSWORD = 'of-kibana'
const WRITER_PASSWORD = 'of-the-writer'
const TRANSPORT_PASSWORD = 'of-the-transport-store'

const OURS = { mode: '660', owner: 'root:elasticsearch' } as const

/** One store for the keys of all nodes of the cluster, as the vendor's instructions make it. */
export function transportStore(scratch: string): Buffer {
  const ca = createCa(scratch, 'transport-ca')
  const leaf = issueForBoth(ca, 'instance', 'DNS:instance')
  const entries = [keyEntry('instance', leaf, ca), trustedEntry('ca', ca)]
  return p12(entries, TRANSPORT_PASSWORD)
}

const TRANSPORT_LINES = `${TRANSPORT}.enabled: true
${TRANSPORT}.verification_mode: certificate
${TRANSPORT}.client_authentication: required
${TRANSPORT}.keystore.path: elastic-certificates.p12
${TRANSPORT}.truststore.path: elastic-certificates.p12
`

export interface NodeOptions {
  /** All nodes of its cluster. */
  readonly nodes: readonly string[]
  /** Of the transport layer; `plaintext`: without TLS, as an older version may run on trial. */
  readonly store: Buffer | 'plaintext'
  readonly version?: string
  /** Lines of elasticsearch.yml about HTTP. */
  readonly http: string
  /** Lines of the script, before the first start. */
  readonly before?: readonly string[]
}

export async function installElasticsearch(
  lab: Lab,
  node: string,
  { nodes, store, http, version = VERSION, before = [] }: NodeOptions,
): Promise<void> {
  const all = JSON.stringify(nodes)
  const environment = { SIM_VERSION: version }
  const tool = `${HOME}/bin/elasticsearch-keystore`
  const settings = `
cluster.name: estate
node.name: ${node}
network.host: ["_site_", "_local_"]
http.host: 0.0.0.0
discovery.seed_hosts: ${all}
cluster.initial_master_nodes: ${all}
xpack.security.enabled: true
${store === 'plaintext' ? 'xpack.license.self_generated.type: trial\n' : TRANSPORT_LINES}# Not of the package: tests do not wait for five seconds.
resource.reload.interval.high: 500ms
${http}`
  await install(lab, node, [
    without('prometheus', 'influxdb'),
    account('elasticsearch'),
    program(`${HOME}/bin/elasticsearch`, 'elasticsearch/elasticsearch-sim.ts', environment),
    program(ELASTICSEARCH_KEYSTORE, 'elasticsearch/elasticsearch-keystore-sim.ts', environment),
    file(`${HOME}/bin/systemd-entrypoint`, `#!/bin/sh\nexec ${HOME}/bin/elasticsearch "$@"\n`, {
      mode: '755',
    }),
    file(`${HOME}/lib/elasticsearch-${version}.jar`, '', { mode: '644' }),
    ...['lib', 'log'].map(kind =>
      directory(`/var/${kind}/elasticsearch`, {
        mode: '2750',
        owner: 'elasticsearch:elasticsearch',
      }),
    ),
    directory(CONF, { mode: '2750', owner: 'root:elasticsearch' }),
    file('/etc/default/elasticsearch', '', OURS),
    stock(ELASTICSEARCH_YML, 'elasticsearch/stock-elasticsearch.yml', OURS),
    `cat >>${ELASTICSEARCH_YML} <<'END'${settings}END`,
    `${tool} create`,
    `chgrp elasticsearch ${CONF}/elasticsearch.keystore`,
    `echo ${ELASTIC_PASSWORD} | ${tool} add -x -f bootstrap.password`,
    ...(store === 'plaintext'
      ? []
      : [
          bytes(`${CONF}/elastic-certificates.p12`, store, OURS),
          `printf '%s\\n' ${TRANSPORT_PASSWORD} ${TRANSPORT_PASSWORD} | ${tool} add -x -f ${TRANSPORT}.keystore.secure_password ${TRANSPORT}.truststore.secure_password`,
        ]),
    ...before,
    unit('elasticsearch.service', productUnit('elasticsearch')),
    started('elasticsearch'),
  ])
}

/** Users of the other products, once the cluster is there; `caFile` where it speaks TLS already. */
export async function prepareCluster(
  lab: Lab,
  nodes: readonly string[],
  caFile?: string,
): Promise<void> {
  const [host = ''] = nodes
  const base = `${caFile === undefined ? 'http' : 'https'}://${host}:9200`
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await lab.http(host, `${base}${path}`, {
      method,
      headers: { authorization: basic('elastic', ELASTIC_PASSWORD) },
      ...(caFile === undefined ? {} : { caFile }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body}`)
    return answer.body
  }
  const green = new RegExp(`"status":"green".*"number_of_nodes":${nodes.length},`)
  await until(async () => green.test(await ask('GET', '/_cluster/health')), {
    what: 'the cluster is green',
    everyMs: 200,
  })
  await ask('PUT', '/_security/user/kibana_system/_password', { password: KIBANA_PASSWORD })
  await ask('PUT', '/_security/role/metricbeat_writer', {
    cluster: ['monitor', 'read_ilm'],
    indices: [{ names: ['metricbeat-*'], privileges: ['create_doc', 'auto_configure'] }],
  })
  await ask('PUT', '/_security/user/metricbeat_writer', {
    password: WRITER_PASSWORD,
    roles: ['metricbeat_writer'],
  })
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

export interface KibanaOptions {
  /** URLs of Elasticsearch. */
  readonly urls: readonly string[]
  /** More lines of kibana.yml. */
  readonly more?: string
}

export async function installKibana(
  lab: Lab,
  node: string,
  { urls, more = '' }: KibanaOptions,
): Promise<void> {
  const settings = `
server.host: "0.0.0.0"
server.publicBaseUrl: "http://${node}:5601"
elasticsearch.hosts: ${JSON.stringify(urls)}
elasticsearch.username: "kibana_system"
elasticsearch.healthCheck.delay: 500
${more}`
  const conf = { mode: '660', owner: 'root:kibana' }
  await install(lab, node, [
    without('prometheus', 'influxdb'),
    account('kibana'),
    program('/usr/share/kibana/bin/kibana', 'kibana/kibana-sim.ts', { SIM_VERSION: VERSION }),
    program('/usr/share/kibana/bin/kibana-keystore', 'kibana/kibana-keystore-sim.ts', {
      SIM_VERSION: VERSION,
    }),
    file(
      '/usr/share/kibana/package.json',
      `{\n  "name": "kibana",\n  "version": "${VERSION}"\n}\n`,
      {
        mode: '644',
      },
    ),
    ...['lib', 'log'].map(kind =>
      directory(`/var/${kind}/kibana`, { mode: '2750', owner: 'kibana:kibana' }),
    ),
    directory('/etc/kibana', { mode: '2750', owner: 'root:kibana' }),
    file('/etc/default/kibana', '', { mode: '660', owner: 'root:kibana' }),
    stock(KIBANA_YML, 'kibana/stock/kibana.yml', conf),
    `cat >>${KIBANA_YML} <<'END'${settings}END`,
    'export KBN_PATH_CONF=/etc/kibana',
    '/usr/share/kibana/bin/kibana-keystore create',
    `echo ${KIBANA_PASSWORD} | /usr/share/kibana/bin/kibana-keystore add elasticsearch.password -x`,
    'chown root:kibana /etc/kibana/kibana.keystore; chmod 660 /etc/kibana/kibana.keystore',
    unit('kibana.service', productUnit('kibana')),
    started('kibana'),
  ])
}

export async function installMetricbeat(lab: Lab, node: string): Promise<void> {
  const [kibana = ''] = hostsOf('kibana')
  const hosts = JSON.stringify(hostsOf('elasticsearch').map(host => `${host}:9200`))
  const file600 = { mode: '600' } as const
  await install(lab, node, [
    without('prometheus', 'influxdb'),
    program('/usr/share/metricbeat/bin/metricbeat', 'metricbeat/metricbeat-sim.ts', {
      SIM_VERSION: VERSION,
    }),
    file(
      '/usr/bin/metricbeat',
      `#!/bin/sh\nexec /usr/share/metricbeat/bin/metricbeat ${beatPaths()} "$@"\n`,
      { mode: '755' },
    ),
    directory('/var/lib/metricbeat', { mode: '750' }),
    directory('/etc/metricbeat/modules.d', { mode: '755' }),
    stock(METRICBEAT_YML, 'metricbeat/stock/metricbeat.yml', file600),
    edited(METRICBEAT_YML, [
      String.raw`s|^  hosts: \["localhost:9200"\]|  hosts: ${hosts}\n  backoff.init: 200ms\n  backoff.max: 500ms|`,
      's|^  #username: "elastic"|  username: "metricbeat_writer"|',
      's|^  #password: "changeme"|  password: "${ES_WRITER}"|',
      `s|^  #host: "localhost:5601"|  host: "http://${kibana}:5601"|`,
    ]),
    `printf %s ${WRITER_PASSWORD} | metricbeat keystore add ES_WRITER --stdin --force`,
    stock(
      '/etc/metricbeat/modules.d/elasticsearch-xpack.yml.disabled',
      'metricbeat/stock/modules.d/elasticsearch-xpack.yml.disabled',
      { mode: '644' },
    ),
    file(
      '/etc/metricbeat/modules.d/system.yml',
      '- module: system\n  period: 200ms\n  metricsets:\n    - cpu\n',
      { mode: '644' },
    ),
    unit('metricbeat.service', productUnit('metricbeat')),
    started('metricbeat'),
  ])
}
