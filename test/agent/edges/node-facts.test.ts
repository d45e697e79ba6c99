// Facts of the machine: the same from a process of its own, and no obstacle where there are none.

import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { askNodeFacts, readNodeFacts } from '../../../agent/edges/node-facts.ts'
import { type Logger, silentLog } from '../../../shared/log.ts'

const AGENT = join(dirname(dirname(dirname(import.meta.dirname))), 'agent/main.ts')

await t.test(
  'the agent asked in a process of its own says what it would say in this one',
  async t => {
    const here = await readNodeFacts()

    t.match(here, { hostname: hostname(), os: /\w/, kernel: /^\d/, arch: /\w/ })
    t.same(await askNodeFacts(silentLog, AGENT), here)
  },
)

await t.test('without an answer there is the name, and a warning', async t => {
  const warnings: unknown[] = []
  const log: Logger = { ...silentLog, warn: (...line: readonly unknown[]) => warnings.push(line) }

  const directory = t.testdir({ 'talks.ts': 'console.log("nonsense")' })
  for (const program of ['missing.ts', 'talks.ts'].map(name => join(directory, name))) {
    t.same(await askNodeFacts(log, program), { hostname: hostname() }, program)
  }
  t.equal(warnings.length, 2)
})
