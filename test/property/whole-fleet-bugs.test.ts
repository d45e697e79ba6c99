// Proof of the tester: each seeded bug of the agent and of rotations is found by a few whole fleets.

// oxlint-disable-next-line import/no-unassigned-import -- it must be evaluated before all others
import '../simulation/whole/keys-now.ts'
import t from 'tap'
import { productWith, WHOLE_BUGS } from '../simulation/whole/bugs.ts'
import { runWhole } from '../simulation/whole/run.ts'

const SEEDS_MAX = 12
t.setTimeout(900_000)

for (const bug of WHOLE_BUGS) {
  await t.test(bug.name, async t => {
    const product = await productWith(bug)
    const first = bug.first ?? 1
    for (let seed = first; seed < first + SEEDS_MAX; seed++) {
      try {
        await runWhole(seed, { product })
      } catch (error) {
        const found = error instanceof Error ? error.message : String(error)
        t.pass(`seed ${seed}: ${found.slice(0, 120)}`)
        return
      }
    }
    t.fail(`not found within ${SEEDS_MAX} seeds`)
  })
}
