// How fast the simulation of rollouts is: what a run in CI can afford follows from it.

import { runSeed } from '../simulation/run.ts'
import { median, printMetric } from './metric.ts'

const SEEDS = 100
const RUNS = 5

/** Events of traces by second, and seeds by minute, of one core. */
export async function benchSimulation(): Promise<void> {
  const [events, seeds]: [number[], number[]] = [[], []]
  for (let run = 0; run < RUNS; run++) {
    const startMs = performance.now()
    let count = 0
    for (let seed = 1; seed <= SEEDS; seed++) count += (await runSeed(seed)).trace.length
    const tookMs = performance.now() - startMs
    events.push((count * 1_000) / tookMs)
    seeds.push((SEEDS * 60_000) / tookMs)
  }
  printMetric('simulation.events_per_s', median(events), 'count', RUNS)
  printMetric('simulation.seeds_per_min', median(seeds), 'count', RUNS)
}
