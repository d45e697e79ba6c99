// The second thousand of seeds, beside rollout.test.ts: files run side by side.

import t from 'tap'
import { from, runSeeds } from '../simulation/seeds.ts'

t.setTimeout(900_000)

await t.test('any fleet, any faults: every invariant holds, and every rollout ends', async t => {
  const result = await runSeeds(from(1_001, 1_000))
  if (result.kind === 'violated') {
    t.comment(result.trace.slice(-40).join('\n'))
    t.fail(`SEED=${result.seed}: ${String(result.error)}`, { error: result.error })
    return
  }
  const all = ['aborted', 'failed', 'partial', 'succeeded', 'superseded']
  t.same([...result.ends.keys()].toSorted(), all)
})
