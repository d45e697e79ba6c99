// The explicit list of drivers. A new product is one driver, one test, and one line in each function
// here.

import { unreachable } from '../../shared/assert.ts'
import type { ServiceName, ServiceTls } from '../../shared/contract/service.ts'
import { influxdb } from './influxdb.ts'
import { prometheus } from './prometheus.ts'
import type { Compilation, Driver, DriverContext, Input, Seen } from './service.ts'

export const DRIVERS = { influxdb, prometheus } as const satisfies {
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
    case 'influxdb':
      return DRIVERS.influxdb.compile(tls, seen, context)
    case 'prometheus':
      return DRIVERS.prometheus.compile(tls, seen, context)
    default:
      return unreachable(tls)
  }
}
