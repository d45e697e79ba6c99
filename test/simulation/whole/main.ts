// `npm run simulate -- --whole --seeds N --from FIRST`: exit 1 and the seed of the first violation.

import { from } from '../seeds.ts'
import { runWholeSeeds } from './seeds.ts'

const TRACE_LINES = 60
/** That they happened at all, tells that something was looked at. */
const SCENES = [
  'verified',
  'between',
  'rotation-completed',
  'frozen',
  'stale-plan',
  'contradicted',
  'node-broken',
  'node-reverted',
  'lease-forced',
  'restored',
  'outdated',
]

export async function simulateWhole(first: number, count: number): Promise<void> {
  const startedMs = performance.now()
  const result = await runWholeSeeds(from(first, count), () => false)
  if (result.kind === 'violated') {
    const { seed, error, trace } = result
    console.error(trace.slice(-TRACE_LINES).join('\n'))
    console.error(error)
    console.error(`seed ${seed}: run it again with --whole --seeds 1 --from ${seed}`)
    process.exitCode = 1
  }
  const minutes = (performance.now() - startedMs) / 60_000
  const done = result.seeds.length
  const rollouts = Object.fromEntries(result.ends)
  const seedsPerMinute = Math.round(done / minutes)
  const seen = Object.fromEntries([...result.counts].filter(([what]) => SCENES.includes(what)))
  const told = { whole: true, seeds: done, from: first, rollouts, seen, seedsPerMinute }
  console.log(JSON.stringify(told))
}
