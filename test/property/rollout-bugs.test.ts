// Proof of the tester: each seeded bug of the engine is found, within the seeds that a run in CI takes.

import t from 'tap'
import { BUGS, engineWith } from '../simulation/bugs.ts'
import { runSeed } from '../simulation/run.ts'
import { from } from '../simulation/seeds.ts'

const SEEDS_MAX = 2_000
t.setTimeout(900_000)

/** All of them, beginning with one. */
function seedsFrom(first: number): readonly number[] {
  return [...from(first, SEEDS_MAX - first + 1), ...from(1, first - 1)]
}

for (const bug of BUGS) {
  await t.test(bug.name, async t => {
    const engine = await engineWith(bug)
    for (const seed of seedsFrom(bug.first ?? 1)) {
      try {
        await runSeed(seed, { engine })
      } catch (error) {
        const found = error instanceof Error ? error.message : String(error)
        t.pass(`seed ${seed}: ${found.slice(0, 120)}`)
        return
      }
    }
    t.fail(`not found within ${SEEDS_MAX} seeds`)
  })
}
