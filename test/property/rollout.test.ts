import t from 'tap'
import { randomInt } from 'node:crypto'
import { createWorld, randomFrom } from './rollout-world.ts'

const SEEDS = 400
const ACTIONS = 150

// SEED=n runs that one alone.
const given = process.env['SEED']
const first = given === undefined ? randomInt(1_000_000_000) : Number(given)
const seeds = given === undefined ? SEEDS : 1

await t.test(
  'any fleet, any order of reports: one node at a time, none after a failure, always an end',
  async t => {
    t.comment(`seeds ${first} to ${first + seeds - 1}`)
    const ends = new Map<string, number>()
    for (let seed = first; seed < first + seeds; seed++) {
      const random = randomFrom(seed)
      const world = createWorld(random)
      try {
        if (random.chance(0.7)) world.stage()
        for (let action = random.below(ACTIONS); action > 0; action--) world.act()
        world.heal()
        world.checkEnd()
      } catch (error) {
        t.fail(`SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, { error })
        return
      }
      const { status } = world.rollout()
      ends.set(status, (ends.get(status) ?? 0) + 1)
    }
    t.comment([...ends].map(([status, count]) => `${count} ${status}`).join(', '))
    t.ok(given !== undefined || ends.size === 4, 'every way to end was seen')
  },
)

await t.test('a rollout of good nodes ends well', async t => {
  t.comment(`seed ${first}`)
  // Nothing improbable happens, so that every node is good and online.
  const world = createWorld({ ...randomFrom(first), chance: probability => probability > 0.5 })
  world.heal()
  t.match(world.rollout().status, /^(succeeded|partial)$/)
})
