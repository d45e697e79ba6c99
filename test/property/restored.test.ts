// A controller is restored from a backup that was taken at any moment of any rollout, after any
// history that the backup does not know: an older (epoch, generation) is never accepted, no number
// is given out for two documents, and the restored controller can do its work.
// `RESTORED_RUNS=500` looks longer.

import fc from 'fast-check'
import t from 'tap'
import { type Accepted, acceptDesired } from '../../agent/desired.ts'
import { beginNewEpoch, epochAfter } from '../../controller/backup/new-epoch.ts'
import { evolveAll, hasEnded, startRollout } from '../../controller/rollout/evolve.ts'
import { createRunner, type Runner } from '../../controller/rollout/runner.ts'
import { verifyAudit } from '../../controller/store/audit-chain.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Store } from '../../controller/store/store.ts'
import { assert, unreachable } from '../../shared/assert.ts'
import {
  type DesiredState,
  type Position,
  positionOf,
} from '../../shared/contract/desired-state.ts'
import { canonicalJson } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import { sampleNode, samplePlan, T0 } from '../contract/samples.ts'
import { type Behaviour, pass } from '../controller/rollout/fake-fleet.ts'
import { hold } from '../support/hold.ts'

const numRuns = Number(process.env['RESTORED_RUNS'] ?? 16)
const NAMES = ['a', 'b', 'c'] as const
type Name = (typeof NAMES)[number]

type Step =
  | { readonly kind: 'create'; readonly variant: number }
  | { readonly kind: 'tick' }
  | { readonly kind: 'abort' }
  | { readonly kind: 'pass'; readonly node: Name; readonly behaviour: Behaviour }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('create'), variant: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'tick' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'abort' as const }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('pass'),
      node: fc.constantFrom(...NAMES),
      behaviour: fc.oneof(
        { weight: 6, arbitrary: fc.constant<Behaviour>('good') },
        {
          weight: 1,
          arbitrary: fc.constantFrom<Behaviour>('refusing', 'restoring', 'breaking', 'asleep'),
        },
      ),
    }),
  },
)

interface History {
  /** What the backup knows. */
  readonly known: readonly Step[]
  readonly forgotten: readonly Step[]
  readonly later: readonly Step[]
}

const history: fc.Arbitrary<History> = fc.record({
  // Most begin with a rollout, or there would be little to restore.
  known: fc
    .tuple(fc.nat(3), fc.array(step, { maxLength: 40 }))
    .map(([variant, steps]) =>
      variant === 0 ? steps : [{ kind: 'create' as const, variant }, ...steps],
    ),
  forgotten: fc.array(step, { maxLength: 25 }),
  later: fc.array(step, { maxLength: 25 }),
})

interface World {
  readonly store: Store
  run(steps: readonly Step[]): Promise<void>
  /** Every document that was ever there, per node. */
  readonly given: Map<Name, Map<string, DesiredState>>
}

async function createWorld(onDocument: (document: DesiredState) => void): Promise<World> {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  await store.transaction(async tx => {
    for (const name of NAMES) await tx.nodes.insert(sampleNode(name))
  })
  const given = new Map(NAMES.map(name => [name, new Map<string, DesiredState>()]))
  let count = 0
  const runner = createRunner({
    store,
    clock: { now: () => T0, monotonic: () => 0, sleep: async () => {} },
    onPublished: () => {},
    isOnline: () => true,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    newId: () => `r${++count}`,
  })
  const look = async () => {
    for (const name of NAMES) {
      const state = (await store.transaction(tx => tx.desired.get(name)))?.state
      const documents = given.get(name)
      if (state === undefined || documents?.has(state.digest) !== false) continue
      documents.set(state.digest, state)
      onDocument(state)
    }
  }
  return {
    store,
    given,
    async run(steps) {
      await look()
      for (const one of steps) {
        await take(store, runner, one)
        await look()
      }
    },
  }
}

async function take(store: Store, runner: Runner, one: Step): Promise<void> {
  switch (one.kind) {
    case 'create':
      return create(store, runner, one.variant)
    case 'tick':
      return void (await runner.tick())
    case 'abort': {
      const [active] = await store.transaction(tx => tx.rollouts.active())
      if (active === undefined) return
      return void (await runner.abort(active.id, 'ada', { code: 'test', message: 'test' }))
    }
    case 'pass':
      return pass(store, runner, one.node, one.behaviour)
    default:
      return unreachable(one)
  }
}

async function create(store: Store, runner: Runner, variant: number): Promise<void> {
  const plan = samplePlan([...NAMES], variant)
  const nodes = []
  for (const planned of plan.nodes) {
    const state = await store.transaction(tx => tx.desired.get(planned.node))
    nodes.push({ ...planned, from: state?.state.contentDigest })
  }
  try {
    await runner.create({ ...plan, nodes }, 'ada')
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'overlapping-rollout') throw error
  }
}

/** The agents: they have seen all, and have the memory of the real one. */
function createAgents() {
  const memories = new Map<Name, Accepted>()
  const give = (document: DesiredState) => {
    const node = NAMES.find(name => name === document.node)
    assert(node !== undefined, 'it is one of ours')
    const current = memories.get(node)
    const highest = { generation: undefined, digest: undefined }
    const result = acceptDesired({ received: document, node, current, highest })
    if (result.kind === 'accepted') {
      const [now, before] = [at(result.accepted), current && at(current)]
      const isNewer =
        before === undefined ||
        now.epoch > before.epoch ||
        (now.epoch === before.epoch && now.generation > before.generation)
      assert(isNewer, 'what is accepted is newer')
      memories.set(node, result.accepted)
    }
    return result
  }
  return { give, memories }
}

function at({ latest }: Accepted): Position {
  return positionOf(latest)
}

const RESTORED_AT_MS = T0 + 86_400_000

async function restore(world: World, nowMs: number): Promise<number> {
  const options = { backupAtMs: T0, aboveEpoch: 0, nowMs }
  const { epoch, rollouts } = await world.store.transaction(tx => beginNewEpoch(tx, options))
  tally.rollouts += rollouts.length
  await world.store.transaction(async tx => {
    assert((await tx.rollouts.active()).length === 0, 'no rollout is under way')
    for (const { id, status } of await tx.rollouts.list({ limit: 99 })) {
      const rollout = await tx.rollouts.get(id)
      const events = (await tx.rollouts.events(id, { after: 0, limit: 999 })).map(e => e.event)
      const [first, ...rest] = events
      assert(rollout !== undefined && first !== undefined && hasEnded(rollout), `${id} has ended`)
      assert(!rollouts.includes(id) || status === 'aborted' || status === 'failed', status)
      const folded = evolveAll(startRollout(id, rollout.plan, first), rest)
      assert(json(folded) === json(rollout), 'replay equals state')
    }
    const audit = await tx.audit.list({ after: 0, limit: 9_999 })
    assert(verifyAudit(audit).kind === 'intact', 'the audit log goes on')
  })
  return epoch
}

const json = (value: object) => canonicalJson(JSON.parse(JSON.stringify(value)))

const tally = { rollouts: 0, documents: 0, refused: 0 }

await t.test(
  'nothing stale is accepted after a restore, and no number has two documents',
  async t => {
    await hold(
      t,
      { values: history, runs: numRuns, describe: value => JSON.stringify(value) },
      async ({ known, forgotten, later }) => {
        const agents = createAgents()
        const lost = await createWorld(document => void agents.give(document))
        await lost.run(known)
        await lost.run(forgotten)

        // The same backup, restored twice: the second time because the first was not the right one.
        const worlds = [await createWorld(() => {}), await createWorld(() => {})]
        let epoch = 0
        for (const [index, world] of worlds.entries()) {
          await world.run(known)
          world.given.forEach(documents => documents.clear())
          const next = await restore(world, RESTORED_AT_MS + index * 60_000)
          assert(next > epoch, 'every restore begins an epoch of its own')
          epoch = next
          await world.run([])
          for (const documents of world.given.values()) {
            for (const document of documents.values()) {
              tally.documents += 1
              assert(document.mode === 'stage' && !document.permit, 'nothing moves by itself')
              assert(
                agents.give(document).kind === 'accepted',
                'it is newer than all that was lost',
              )
            }
          }
          await world.run(later)
        }

        for (const name of NAMES) {
          const all = [lost, ...worlds].map(world => [...(world.given.get(name)?.values() ?? [])])
          const numbers = all.map(documents => documents.map(({ generation }) => generation))
          const places = all.flat().map(document => json(positionOf(document)))
          assert(new Set(places).size === places.length, 'a place is given out once')
          assert(new Set(numbers.flat()).size === numbers.flat().length, 'and so is a generation')
          const [last] = all.at(-1) ?? []
          if (last === undefined) continue
          agents.give(last)
          for (const document of all.slice(0, -1).flat()) {
            const result = agents.give(document)
            assert(result.kind === 'refused' && result.reason.code === 'older-epoch', result.kind)
            tally.refused += 1
          }
        }
        for (const { store } of [lost, ...worlds]) await store.close()
      },
    )

    t.comment(JSON.stringify(tally))
    t.ok(tally.rollouts > 0, 'rollouts were under way')
    t.ok(tally.documents > 0 && tally.refused > 0, 'documents were given, and old ones refused')
  },
)

await t.test('an epoch is above the one before, whatever the clock says', t => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 0, max: 4e12 }), (before, nowMs) => {
      const epoch = epochAfter(before, nowMs)
      return epoch > before && epoch * 1000 > nowMs - 1000 && Number.isSafeInteger(epoch)
    }),
  )
  t.end()
})
