// A real Prometheus and its promtool, on PATH or in the image of the lab's nodes, for tests that ask them
// outside the lab.

import { LAB_UNAVAILABLE } from '../lab/availability.ts'
import { findProgram } from '../sandbox/layout.ts'

const [prometheus, promtool] = [findProgram('prometheus'), findProgram('promtool')]

export const PROMETHEUS = prometheus ?? 'prometheus'
export const PROMTOOL = promtool ?? 'promtool'

/** Why it cannot be asked; false: it can. In CI that is a failure. */
export const PROMETHEUS_UNAVAILABLE = prometheus === undefined && missing('prometheus')
export const PROMTOOL_UNAVAILABLE = promtool === undefined && missing('promtool')

function missing(program: string): string {
  return `${LAB_UNAVAILABLE}: ${program} is not installed (apt-get install prometheus)`
}
