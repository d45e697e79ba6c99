// The one fleet.yaml of the estate.

import type { TlsSwitch } from '../../../shared/contract/service.ts'

export interface EstateSpec {
  /** More lines of `defaults`. */
  readonly defaults?: string
  /** More lines of the entry of Elasticsearch. */
  readonly elasticsearch?: string
  /** How nodes of InfluxDB change sides; undefined: as they do unless told otherwise. */
  readonly schemeChange?: 'rolling'
}

export function estateSpec(
  tls: TlsSwitch,
  { defaults = '', elasticsearch = '', schemeChange }: EstateSpec = {},
): string {
  const change = schemeChange === undefined ? '' : `, schemeChange: ${schemeChange}`
  // Between the nodes of the cluster, in the same step as their listeners.
  const links = tls === 'on' ? 'tls' : 'off'
  return `version: 1
fleet: lab
# As a smaller fleet has it by itself: one by one in the order of the edges, and nobody waits.
rollout: { minHealthy: 0s, canarySoak: 0s, soak: 0s, waitForOffline: 0s, ramp: [], maxParallel: 1 }
defaults:
  tls: ${tls}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 120s }
${defaults}services:
  - service: telegraf
    nodes: { labels: { role: telegraf } }
  - service: influxdb-meta
    nodes: { labels: { role: influxdb-meta } }
    options: { data: ${links}${change} }
  - service: influxdb
    nodes: { labels: { role: influxdb } }
    options: { meta: ${links}, cluster: ${links}${change} }
  - service: elasticsearch
    nodes: { labels: { role: elasticsearch } }
${elasticsearch}  - service: kibana
    nodes: { labels: { role: kibana } }
  - service: metricbeat
    nodes: { labels: { role: metricbeat } }
  - service: node-exporter
    nodes: { labels: { role: monitoring } }
  - service: alertmanager
    nodes: { labels: { role: monitoring } }
  - service: prometheus
    nodes: { labels: { role: monitoring } }
`
}
