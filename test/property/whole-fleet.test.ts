// Production controllers, production agents, products in memory: whatever fails on the way, what must hold
// for a fleet holds on its nodes. Some scenes always, then as many seeds as its time gives; each run says
// which. SEED=n runs one alone, FROM=n begins there; `npm run simulate -- --whole --seeds N --from FIRST`
// looks longer.

// oxlint-disable-next-line import/no-unassigned-import -- it must be evaluated before all others
import '../simulation/whole/keys-now.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as z from 'zod/mini'
import { runWhole } from '../simulation/whole/run.ts'
import { from } from '../simulation/seeds.ts'
import { runWholeSeeds } from '../simulation/whole/seeds.ts'

const BUDGET_MS = 45_000
// Much happens in the one, little in the other.
const RICH = 13
const OTHER = 38
const given = process.env['SEED']
const first = Number(process.env['FROM'] ?? 1)

t.setTimeout(900_000)

/** Seeds in which something was wrong once, or happens that is to be looked at in every run. */
const KEPT = z
  .array(z.object({ seed: z.int(), what: z.string(), counts: z.optional(z.array(z.string())) }))
  .parse(
    JSON.parse(
      readFileSync(join(import.meta.dirname, '../simulation/whole/regressions.json'), 'utf8'),
    ),
  )

await t.test(
  'any whole fleet, any faults: every invariant holds, and it comes to rest',
  async t => {
    const startedMs = performance.now()
    const kept = KEPT.map(({ seed }) => seed)
    const isOver = () => performance.now() - startedMs > BUDGET_MS
    const all = [...kept, ...from(first, 10_000).filter(seed => !kept.includes(seed))]
    const result = await runWholeSeeds(given === undefined ? all : [Number(given)], isOver)
    t.comment(`${result.seeds.length} seeds: ${result.seeds.join(', ')}`)
    t.comment([...result.ends].map(([end, count]) => `${count} ${end}`).join(', '))
    if (result.kind === 'violated') {
      t.comment(result.trace.slice(-40).join('\n'))
      t.fail(`SEED=${result.seed}: ${String(result.error)}`, { error: result.error })
      return
    }
    t.ok(result.seeds.length > 0 && result.ends.size > 0, 'something was rolled out')
    // A machine that is busy with other things may not come to all of them.
    for (const { seed, counts = [] } of KEPT)
      if (result.seeds.includes(seed))
        t.strictSame(
          counts.filter(one => !result.counts.has(one)),
          [],
          `seed ${seed} shows ${counts.join(', ')}`,
        )
  },
)

await t.test('a seed gives the same run again', async t => {
  const once = await runWhole(RICH)
  const again = await runWhole(RICH)
  t.ok(once.trace.length > 50, 'much has happened')
  t.same(again.trace, once.trace)
  t.equal(again.hash, once.hash)
  t.not((await runWhole(OTHER)).hash, once.hash, 'another seed is another run')
})
