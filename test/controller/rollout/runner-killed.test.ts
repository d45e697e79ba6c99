// A controller may be killed at any moment: what is stored is enough for the next one to go on.

import t, { type Test } from 'tap'
import { createRunner } from '../../../controller/rollout/runner.ts'
import type { Store, Transaction } from '../../../controller/store/store.ts'
import { samplePlan } from '../../contract/samples.ts'
import type { Behaviour } from './fake-fleet.ts'
import { clock, NAMES, read, setUp, settle, silent, statesOf } from './runner-scene.ts'
import { brief } from './states.ts'

// The process dies at the commit of its n-th append: nothing after it happens, and what it was about
// to store is there or not. Another runner goes on with the same store.
await t.test('a controller that is killed at any event is carried on by the next', async t => {
  t.setTimeout(900_000)
  const scenarios: readonly (readonly [string, Record<string, Behaviour>])[] = [
    ['succeeded done done done', {}],
    ['failed done reverted staged', { b: 'restoring' }],
    ['failed broken staged staged', { a: 'breaking' }],
    ['partial deferred done done', { a: 'asleep' }],
  ]
  let kills = 0
  for (const [expected, behaviours] of scenarios) {
    const undisturbed = await runKilled(t, behaviours, {
      at: Number.POSITIVE_INFINITY,
      stored: true,
    })
    t.equal(undisturbed.end, expected)
    for (let at = 1; at <= undisturbed.appends; at++) {
      for (const stored of [true, false]) {
        const { end, events, wasKilled } = await runKilled(t, behaviours, { at, stored })
        const what = `killed at append ${at}, which was ${stored ? '' : 'not '}stored`
        t.ok(wasKilled, what)
        t.equal(end, expected, what)
        t.same(events, undisturbed.events, what)
        kills++
      }
    }
  }
  t.comment(`${kills} kills`)
})

async function runKilled(
  t: Test,
  behaviours: Record<string, Behaviour>,
  kill: { readonly at: number; readonly stored: boolean },
) {
  const { store } = await setUp(t)
  const killed = new Error('killed')
  let appends = 0
  let wasKilled = false
  const dying: Store = {
    ...store,
    async transaction(work) {
      if (wasKilled) throw killed
      const before = appends
      const result = await store.transaction(async tx => {
        const value = await work(counting(tx, () => appends++))
        wasKilled = appends > before && appends === kill.at
        if (wasKilled && !kill.stored) throw killed
        return value
      })
      if (wasKilled) throw killed
      return result
    },
  }
  const start = (on: Store) =>
    createRunner({
      store: on,
      clock,
      onPublished: () => {},
      isOnline: ({ node }) => behaviours[node] !== 'asleep',
      log: silent,
      newId: () => 'r1',
    })
  const plan = samplePlan([...NAMES])
  const first = start(dying)
  try {
    await first.create(plan, 'ada')
    await settle({ store: dying, runner: first, behaviours })
  } catch (error) {
    if (error !== killed) throw error
  }
  const second = start(store)
  if ((await read(store, 'r1')) === undefined) await second.create(plan, 'ada')
  await settle({ store, runner: second, behaviours })

  const rollout = await read(store, 'r1')
  const events = await store.transaction(tx => tx.rollouts.events('r1', { after: 0, limit: 99 }))
  await store.close()
  return {
    end: `${rollout?.status} ${statesOf(rollout)}`,
    events: brief(events.map(({ event }) => event)),
    appends,
    wasKilled,
  }
}

function counting(tx: Transaction, onAppend: () => void): Transaction {
  const { rollouts } = tx
  return {
    ...tx,
    rollouts: {
      ...rollouts,
      insert(rollout) {
        onAppend()
        return rollouts.insert(rollout)
      },
      append(...args) {
        onAppend()
        return rollouts.append(...args)
      },
    },
  }
}
