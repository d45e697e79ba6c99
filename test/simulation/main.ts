// `npm run simulate -- --seeds N --from FIRST`: exit 1 and the seed of the first violation. With
// `--whole` production agents run on nodes in memory in place of a model of them.

// oxlint-disable-next-line import/no-unassigned-import -- it must be evaluated before all others
import './whole/keys-now.ts'
import { parseArgs } from 'node:util'
import { runSeed } from './run.ts'
import { simulateWhole } from './whole/main.ts'

const TRACE_LINES = 60

const { values } = parseArgs({
  options: {
    whole: { type: 'boolean', default: false },
    /** 2,000 when absent, 50 whole ones. */
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
  },
})
const count = Number(values.seeds ?? (values.whole ? 50 : 2_000))
const first = Number(values.from)
if (values.whole) {
  await simulateWhole(first, count)
  // What is left waits for nothing.
  process.exit()
}

const startedMs = performance.now()
const ends = new Map<string, number>()

for (let seed = first; seed < first + count; seed++) {
  let trace: readonly string[] = []
  try {
    const outcome = await runSeed(seed, { onTrace: lines => (trace = lines) })
    for (const end of outcome.ends) ends.set(end, (ends.get(end) ?? 0) + 1)
  } catch (error) {
    console.error(trace.slice(-TRACE_LINES).join('\n'))
    console.error(error)
    console.error(`seed ${seed}: run it again with --seeds 1 --from ${seed}`)
    process.exitCode = 1
    break
  }
}

const minutes = (performance.now() - startedMs) / 60_000
console.log(
  JSON.stringify({
    seeds: count,
    from: first,
    rollouts: Object.fromEntries(ends),
    seedsPerMinute: Math.round(count / minutes),
  }),
)
