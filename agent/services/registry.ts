// The explicit list of drivers. A new product is one driver, one test, and one line in each function
// here.

import { unreachable } from '../../shared/assert.ts'
import type { ServiceName, ServiceTls } from '../../shared/contract/service.ts'
import { alertmanager } from './alertmanager.ts'
import { elasticsearch } from './elasticsearch.ts'
import { influxdbMeta } from './influxdb-meta.ts'
import { influxdb } from './influxdb.ts'
import { kibana } from './kibana.ts'
import { metricbeat } from './metricbeat.ts'
import { nodeExporter } from './node-exporter.ts'
import { prometheus } from './prometheus.ts'
import type { Compilation, Driver, DriverContext, Input, Seen } from './service.ts'
import { telegraf } from './telegraf.ts'

export const DRIVERS = {
  alertmanager,
  elasticsearch,
  influxdb,
  'influxdb-meta': influxdbMeta,
  kibana,
  metricbeat,
  'node-exporter': nodeExporter,
  prometheus,
  telegraf,
} as const satisfies {
  readonly [S in ServiceName]: Driver<S>
}

/** Unit names of a service, best first. */
export function unitsOf(service: ServiceName): readonly string[] {
  return DRIVERS[service].units
}

/** Everything that the driver wants to see, given what was seen so far. */
export function wantedInputs(
  tls: ServiceTls,
  seen: Seen,
  context: DriverContext = SAME_PATHS,
): readonly Input[] {
  return DRIVERS[tls.service].inputs(seen, context)
}

const SAME_PATHS: DriverContext = { servicePath: path => path }

export function compileService(tls: ServiceTls, seen: Seen, context: DriverContext): Compilation {
  switch (tls.service) {
    case 'alertmanager':
      return DRIVERS.alertmanager.compile(tls, seen, context)
    case 'elasticsearch':
      return DRIVERS.elasticsearch.compile(tls, seen, context)
    case 'influxdb':
      return DRIVERS.influxdb.compile(tls, seen, context)
    case 'influxdb-meta':
      return DRIVERS['influxdb-meta'].compile(tls, seen, context)
    case 'kibana':
      return DRIVERS.kibana.compile(tls, seen, context)
    case 'metricbeat':
      return DRIVERS.metricbeat.compile(tls, seen, context)
    case 'node-exporter':
      return DRIVERS['node-exporter'].compile(tls, seen, context)
    case 'prometheus':
      return DRIVERS.prometheus.compile(tls, seen, context)
    case 'telegraf':
      return DRIVERS.telegraf.compile(tls, seen, context)
    default:
      return unreachable(tls)
  }
}

/** The drivers as the stages see them; tests bring products of their own. */
export interface Registry {
  unitsOf(service: ServiceName): readonly string[]
  inputs(tls: ServiceTls, seen: Seen, context: DriverContext): readonly Input[]
  compile(tls: ServiceTls, seen: Seen, context: DriverContext): Compilation
}

export const REGISTRY: Registry = { unitsOf, inputs: wantedInputs, compile: compileService }
