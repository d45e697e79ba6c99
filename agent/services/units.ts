// What the units of each product are called, best first. Apart from the drivers, so that a unit can be asked
// for while they are still being loaded.

import type { ServiceName } from '../../shared/contract/service.ts'

export const UNITS: Readonly<Record<ServiceName, readonly string[]>> = {
  alertmanager: ['prometheus-alertmanager.service', 'alertmanager.service'],
  elasticsearch: ['elasticsearch.service'],
  influxdb: ['influxdb.service', 'influxd.service'],
  'influxdb-meta': ['influxdb-meta.service'],
  kibana: ['kibana.service'],
  metricbeat: ['metricbeat.service'],
  'node-exporter': [
    'prometheus-node-exporter.service',
    'node_exporter.service',
    'node-exporter.service',
  ],
  prometheus: ['prometheus.service'],
  telegraf: ['telegraf.service'],
}
