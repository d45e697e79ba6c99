// What is asked of a product that runs on another node, whose configuration nobody here knows. Its own
// node asks better; this only has to tell one that works from one that does not.

import type { ServiceName } from '../../shared/contract/service.ts'

export interface HealthQuestion {
  readonly path: string
  /** Below 500 somebody answers who works, and may want credentials or another path. */
  readonly workingStatuses: readonly number[]
}

/** Undefined: the product has no listener. */
export function healthQuestion(service: ServiceName): HealthQuestion | undefined {
  return QUESTIONS[service]
}

const QUESTIONS: Readonly<Record<ServiceName, HealthQuestion | undefined>> = {
  alertmanager: { path: '/-/ready', workingStatuses: [] },
  elasticsearch: { path: '/', workingStatuses: [] },
  influxdb: { path: '/ping', workingStatuses: [] },
  'influxdb-meta': { path: '/status', workingStatuses: [] },
  // 503: it serves, but does not reach Elasticsearch, which is another's change to finish.
  kibana: { path: '/api/status', workingStatuses: [503] },
  metricbeat: undefined,
  'node-exporter': { path: '/', workingStatuses: [] },
  prometheus: { path: '/-/ready', workingStatuses: [] },
  telegraf: undefined,
}
