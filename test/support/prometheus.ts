// The Prometheus of Debian, for tests that ask it outside the lab.

import { existsSync } from 'node:fs'
import { LAB_UNAVAILABLE } from '../lab/availability.ts'

export const PROMETHEUS = '/usr/bin/prometheus'

/** Why it cannot be asked; false: it can. In CI that is a failure. */
export const PROMETHEUS_UNAVAILABLE: string | false = existsSync(PROMETHEUS)
  ? false
  : `${LAB_UNAVAILABLE}: Prometheus is not installed (apt-get install prometheus)`
