// Who connects to whom, and therefore who is switched before whom.

import type { ServiceName, TlsSwitch } from '../../shared/contract/service.ts'

/** The products that a product connects to as a client. */
export const UPSTREAMS_OF: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  alertmanager: [],
  elasticsearch: [],
  influxdb: ['influxdb-meta', 'influxdb'],
  'influxdb-meta': ['influxdb-meta', 'influxdb'],
  kibana: ['elasticsearch'],
  metricbeat: ['elasticsearch', 'kibana'],
  'node-exporter': [],
  prometheus: ['alertmanager', 'node-exporter', 'prometheus'],
  telegraf: ['influxdb'],
}

// Telegraf before InfluxDB and Metricbeat before Elasticsearch, in both directions: they keep what
// their server does not take yet, but give it up when they are told new addresses. (A v2 output of
// Telegraf that speaks plaintext to a TLS server drops its metrics: back to plaintext that cannot be
// avoided.) Data nodes right after the meta nodes, which they cannot reach in between. What queries
// Elasticsearch after it; what scrapes last.
// Facts: influx-telegraf-prometheus 4(h) and 6.1, elastic 2(h), 3(h) and 4(h).
const ORDER: Readonly<Record<TlsSwitch, readonly ServiceName[]>> = {
  on: [
    'telegraf',
    'influxdb-meta',
    'influxdb',
    'metricbeat',
    'elasticsearch',
    'kibana',
    'node-exporter',
    'alertmanager',
    'prometheus',
  ],
  off: [
    'prometheus',
    'alertmanager',
    'node-exporter',
    'kibana',
    'metricbeat',
    'elasticsearch',
    'telegraf',
    'influxdb',
    'influxdb-meta',
  ],
}

/** Place of a service in the order of a change: smaller moves first. */
export function rankOf(service: ServiceName, tls: TlsSwitch): number {
  return ORDER[tls].indexOf(service)
}

/** Place of a node: the last of its services decides, so that what others stand on is not hurried. */
export function rankOfNode(
  services: readonly { readonly service: ServiceName; readonly tls: TlsSwitch }[],
): number {
  return Math.max(-1, ...services.map(({ service, tls }) => rankOf(service, tls)))
}

/** Nodes in the order in which their services are switched. */
export function inOrder<
  N extends { readonly content: { readonly services: Parameters<typeof rankOfNode>[0] } },
>(nodes: readonly N[]): N[] {
  return nodes.toSorted((a, b) => rankOfNode(a.content.services) - rankOfNode(b.content.services))
}
