// What a scrape answers: the fleet as it was last looked at, and what is counted.

import { exposition, single } from '../../shared/exposition.ts'
import type { WakeBoard } from '../api/wake-board.ts'
import { fleetMetrics } from './fleet-metrics.ts'
import type { Measures } from './measures.ts'
import { SNAPSHOT_AGE_MS, type Snapshots } from './snapshot.ts'

export interface MetricsPage {
  text(): Promise<string>
}

export interface PageSources {
  readonly snapshots: Snapshots
  readonly measures: Measures
  readonly desiredWakes: WakeBoard
  readonly rolloutWakes: WakeBoard
  readonly version: string
  readonly fleet: string
}

export function createMetricsPage(sources: PageSources): MetricsPage {
  const { snapshots, measures, desiredWakes, rolloutWakes, version, fleet } = sources
  return {
    async text() {
      const snapshot = await snapshots.read(SNAPSHOT_AGE_MS)
      return exposition([
        {
          name: 'tlsfleet_controller_info',
          help: 'The controller, always 1.',
          type: 'gauge',
          samples: [{ labels: { version, fleet }, value: 1 }],
        },
        ...fleetMetrics(snapshot),
        ...measures.families(),
        {
          name: 'tlsfleet_long_polls_open',
          help: 'Callers that wait for news: agents for their desired state, operators for a rollout.',
          type: 'gauge',
          samples: [
            { labels: { of: 'agents' }, value: desiredWakes.waiting() },
            { labels: { of: 'operators' }, value: rolloutWakes.waiting() },
          ],
        },
        ...processMetrics(),
      ])
    },
  }
}

// Under the names that every dashboard knows.
function processMetrics() {
  const { user, system } = process.cpuUsage()
  return [
    single(
      'counter',
      'process_cpu_seconds_total',
      'User and system time of the process.',
      (user + system) / 1e6,
    ),
    single(
      'gauge',
      'process_resident_memory_bytes',
      'Resident memory of the process.',
      process.memoryUsage.rss(),
    ),
    single(
      'gauge',
      'process_start_time_seconds',
      'When the process was started.',
      Math.round(performance.timeOrigin) / 1000,
    ),
  ]
}
