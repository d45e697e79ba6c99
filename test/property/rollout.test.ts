// The production controller on simulated fleets: whatever fails, whatever operators do, R1 to R22 hold.
// `npm run simulate -- --seeds N --from FIRST` looks longer; SEED=n runs one alone.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as z from 'zod/mini'
import { runSeed } from '../simulation/run.ts'
import { from, runSeeds } from '../simulation/seeds.ts'

const SEEDS = 1_000
const given = process.env['SEED']
const TWICE = 12

t.setTimeout(900_000)

const REGRESSIONS = z
  .array(z.object({ seed: z.int(), what: z.string() }))
  .parse(
    JSON.parse(readFileSync(join(import.meta.dirname, '../simulation/regressions.json'), 'utf8')),
  )

function seeds(): readonly number[] {
  if (given !== undefined) return [Number(given)]
  return [...REGRESSIONS.map(({ seed }) => seed), ...from(1, SEEDS)]
}

await t.test('any fleet, any faults: every invariant holds, and every rollout ends', async t => {
  const result = await runSeeds(seeds())
  if (result.kind === 'violated') {
    t.comment(result.trace.slice(-40).join('\n'))
    t.fail(`SEED=${result.seed}: ${String(result.error)}`, { error: result.error })
    return
  }
  t.comment([...result.ends].map(([end, count]) => `${count} ${end}`).join(', '))
  const all = ['succeeded', 'partial', 'failed', 'aborted', 'superseded']
  t.same(given === undefined ? [...result.ends.keys()].toSorted() : all.toSorted(), all.toSorted())
})

await t.test(
  'a seed gives the same run again, also when the wall clock jumps by years',
  async t => {
    for (let seed = 1; seed <= TWICE; seed++) {
      const [once, again, jumping] = [
        await runSeed(seed),
        await runSeed(seed),
        await runSeed(seed, { wallJumps: true }),
      ]
      t.same(again.trace, once.trace, `seed ${seed}, again`)
      t.same(jumping.trace, once.trace, `seed ${seed}, R22: with a clock that jumps`)
    }
  },
)
