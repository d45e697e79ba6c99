// What a change interrupts although every node is switched with care: a port speaks plaintext or
// TLS, never both, so whoever connects to it waits between its own switch and the other's. Said
// with the plan. Pure.

import { ABSENCE_TOLD } from '../../shared/contract/debts.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { Names, Reason } from '../../shared/contract/schema.ts'
import { isServer, type ServiceName } from '../../shared/contract/service.ts'

export interface SwitchedNode {
  readonly content: DesiredContent
  /** What the node said of its services when it was asked for its plan. */
  readonly services: readonly ServiceReport[]
}

interface Edge {
  readonly server: ServiceName
  readonly client: ServiceName
  readonly message: string
}

// Facts: influx-telegraf-prometheus 2(h), 3(h), 4(h), 5(h); elastic 2(h), 3(h), 4(h).
const EDGES: readonly Edge[] = [
  {
    server: 'influxdb',
    client: 'telegraf',
    message:
      'telegraf keeps its metrics in its buffer from its own switch until that of influxdb; beyond metric_buffer_limit the oldest are lost, and outputs of influxdb_v2 drop theirs on the way back to plaintext',
  },
  {
    server: 'influxdb-meta',
    client: 'influxdb-meta',
    message:
      'from 1.7.3 on a switched and an unswitched meta node cannot talk: there is no leader for seconds while the majority changes sides',
  },
  {
    server: 'influxdb-meta',
    client: 'influxdb',
    message:
      'data nodes work from cached metadata until they are switched after the meta nodes: databases, users and shard groups cannot be made meanwhile',
  },
  {
    server: 'elasticsearch',
    client: 'kibana',
    message:
      'kibana does not reach a node of Elasticsearch between the switch of that node and its own, and answers 503 while it reaches none',
  },
  {
    server: 'elasticsearch',
    client: 'metricbeat',
    message:
      'metricbeat keeps its events in its queue from its own switch until the first node of Elasticsearch has switched; a full queue loses them',
  },
  {
    server: 'kibana',
    client: 'metricbeat',
    message: 'metricbeat setup cannot load dashboards between the switch of kibana and its own',
  },
  {
    server: 'node-exporter',
    client: 'prometheus',
    message: 'prometheus misses scrapes of node-exporter between its switch and its own',
  },
  {
    server: 'alertmanager',
    client: 'prometheus',
    message:
      'prometheus cannot send alerts between the switch of alertmanager and its own; it sends them again',
  },
]

const CLUSTER_MESSAGE =
  'data nodes that differ in TLS between them cannot talk: writes wait in hinted handoff, remote reads fail until all are switched'

const COPIES_MESSAGE =
  'Elasticsearch is not told before its nodes restart, because the agent of a node has no credentials that it may show it: the next one restarts as soon as the one before it serves, not when copies of shards have recovered, so indices can be unavailable for that long'

/** The interruptions of a change, in the order of the products; empty when no listener changes sides. */
export function windowsOf(nodes: readonly SwitchedNode[]): readonly Reason[] {
  const switched = new Set(
    nodes.flatMap(({ services }) => services.filter(changesSides).map(one => one.service)),
  )
  const present = new Set(
    nodes.flatMap(({ content }) => content.services.map(({ service }) => service)),
  )
  const windows = EDGES.filter(
    ({ server, client }) =>
      switched.has(server) && present.has(client) && !isBesideItself(nodes, server, client),
  ).map(({ server, client, message }) => ({ code: `window-${server}-${client}`, message }))
  const more = [
    ...(switched.has('influxdb') && hasClusterTls(nodes) && !isWhole(nodes, 'influxdb')
      ? [{ code: 'window-influxdb-cluster', message: CLUSTER_MESSAGE }]
      : []),
    ...(nodes.some(restartsUntold) && countOf(nodes, 'elasticsearch') > 1
      ? [{ code: 'window-elasticsearch-copies', message: COPIES_MESSAGE }]
      : []),
  ]
  return [...windows, ...more, ...unknownCertificates(nodes)]
}

// Who is told to speak plaintext to a listener that is to have TLS waits for its certificate.
function unknownCertificates(nodes: readonly SwitchedNode[]): readonly Reason[] {
  const awaited = new Set(
    nodes.flatMap(({ content }) =>
      content.services.flatMap(tls =>
        isServer(tls) && tls.tls === 'on' && tls.certificate.issuer === 'self-signed'
          ? [placeOf(tls.service, tls.certificate.names)]
          : [],
      ),
    ),
  )
  const pairs = nodes.flatMap(({ content }) =>
    content.services.flatMap(({ service, upstreams }) =>
      upstreams
        .filter(one => one.tls === 'off' && awaited.has(placeOf(one.service, one.names)))
        .map(one => ({ client: service, server: one.service })),
    ),
  )
  const unique = new Map(pairs.map(one => [`${one.server} ${one.client}`, one]))
  return [...unique.values()].map(({ client, server }) => ({
    code: `window-self-signed-${server}-${client}`,
    message: `${client} is given the certificates of ${server} after those are made: a second rollout follows by itself, and until then ${client} does not reach what has switched`,
  }))
}

function placeOf(service: ServiceName, names: Names): string {
  return JSON.stringify([service, names])
}

// One node has nobody to talk to, and those that are changed as a whole are never on different sides.
function isBesideItself(
  nodes: readonly SwitchedNode[],
  server: ServiceName,
  client: ServiceName,
): boolean {
  return server === client && (countOf(nodes, server) < 2 || isWhole(nodes, server))
}

// What that interrupts is said of the group.
function isWhole(nodes: readonly SwitchedNode[], name: ServiceName): boolean {
  return nodes.some(({ services }) =>
    services.some(one => one.service === name && isCoordinated(one)),
  )
}

function isCoordinated({ planned }: ServiceReport): boolean {
  return planned?.disruption === 'coordinated'
}

function countOf(nodes: readonly SwitchedNode[], name: ServiceName): number {
  return nodes.filter(({ content }) => content.services.some(({ service }) => service === name))
    .length
}

function changesSides({ served }: ServiceReport): boolean {
  return served.some(
    ({ reason }) => reason.code === 'served-plaintext' || reason.code === 'served-tls',
  )
}

// Of one that is told, the agent waits for the cluster as well.
function restartsUntold({ services }: SwitchedNode): boolean {
  return services.some(
    one =>
      one.service === 'elasticsearch' &&
      (changesSides(one) || one.activation === 'restart') &&
      !one.notices.some(({ code }) => code === ABSENCE_TOLD),
  )
}

function hasClusterTls(nodes: readonly SwitchedNode[]): boolean {
  return nodes.some(({ content }) =>
    content.services.some(tls => tls.service === 'influxdb' && tls.options.cluster !== 'leave'),
  )
}
