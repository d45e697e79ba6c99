// What a controller keeps of nodes and groups, compared after any sequence of changes with what one reads
// that has just been started: the frame, all groups, and the view of a rollout. `FRAME_RUNS=2000` looks
// longer.

import fc from 'fast-check'
import t from 'tap'
import { groupsOf } from '../../controller/fleet/groups.ts'
import type { FleetSpec } from '../../controller/fleet/intent.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import { createFleetReader, type FleetReader } from '../../controller/rollout/fleet-reader.ts'
import type { FleetFrame } from '../../controller/rollout/fleet-frame.ts'
import { makePlan } from '../../controller/rollout/plan.ts'
import type { Rollout } from '../../controller/rollout/rollout.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Transaction } from '../../controller/store/store.ts'
import { assert } from '../../shared/assert.ts'
import { nowAt, samplePlannedNode, T0 } from '../contract/samples.ts'
import { requireSameView } from '../simulation/view-check.ts'
import { begin, happen, NAMES, SPECS, type Step, steps } from '../support/frame-scene.ts'
import { hold } from '../support/hold.ts'

const numRuns = Number(process.env['FRAME_RUNS'] ?? 80)
t.setTimeout(900_000)

const TAKEN_BACK = new Error('it comes to nothing')

interface Turn {
  readonly steps: readonly Step[]
  /** It comes to nothing. */
  readonly fails: boolean
}

interface Story {
  /** The spec that is in force at the beginning. */
  readonly first: number
  readonly turns: readonly Turn[]
}

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  fc.record({ steps: fc.array(steps, { minLength: 1, maxLength: 4 }), fails: fc.boolean() }),
  { minLength: 1, maxLength: 25, size: 'max' },
)

const stories: fc.Arbitrary<Story> = fc.record({ first: fc.nat({ max: SPECS.length - 1 }), turns })

await t.test('specs of the scene are sound', async t => {
  for (const text of SPECS) t.equal(parseFleetSpec(text).kind, 'ok', text)
})

await t.test('what is kept of nodes and groups is what a full read gives', async t => {
  await hold(t, { values: stories, runs: numRuns, describe: told }, run)
})

await t.test(
  'a revision that came to nothing leaves nothing to the next one of its number',
  async t => {
    const given = (variant: number): readonly Step[] => [
      { kind: 'revise', variant },
      { kind: 'document', node: 'n3', back: 0 },
      { kind: 'look' },
    ]
    const turns = [
      { steps: given(4), fails: true },
      { steps: given(3), fails: false },
    ]
    await t.resolves(run({ first: 0, turns }))
  },
)

function told({ first, turns }: Story): string {
  const lines = turns.map(
    ({ steps, fails }) => `${fails ? 'nothing of ' : ''}${JSON.stringify(steps)}`,
  )
  return [`spec ${first}`, ...lines].join('\n')
}

async function run({ first, turns }: Story): Promise<void> {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  try {
    const rollout = await store.transaction(tx => setUp(tx, first))
    const kept = createReader()
    const counters = { generation: 10, sequence: 1 }
    for (const { steps, fails } of turns) {
      const turn = store.transaction(async tx => {
        for (const one of steps) {
          if (one.kind === 'look') await lookAt(kept, tx, rollout)
          else await happen(tx, one, counters)
        }
        if (fails) throw TAKEN_BACK
      })
      await turn.catch((error: unknown) => {
        if (!(error instanceof Error) || error.message !== TAKEN_BACK.message) throw error
      })
      await store.transaction(tx => requireSame(tx, rollout, kept))
    }
  } finally {
    await store.close()
  }
}

function createReader(): FleetReader {
  const clock = { now: () => T0, monotonic: () => 0, sleep: async () => {} }
  return createFleetReader({ clock, isOnline: () => true })
}

// Of two phases, so that some of its nodes are not in the one that is open.
async function setUp(tx: Transaction, spec: number): Promise<Rollout> {
  await begin(tx, spec)
  const [open, later] = [NAMES.slice(0, 5), NAMES.slice(3, 7)]
  const plan = makePlan({
    request: {
      revision: 1,
      author: 'ada',
      nodes: [],
      phases: [
        { name: 'first', nodes: open.map(name => samplePlannedNode(name)) },
        { name: 'second', nodes: later.map(name => samplePlannedNode(name, 2)) },
      ],
    },
    settings: { ramp: [] },
    groups: [],
    conditionOf: () => 'well',
  })
  const events = [{ kind: 'planned', ...nowAt() }] as const
  return tx.rollouts.insert({ id: 'r', plan, events, atMs: T0 })
}

async function lookAt(reader: FleetReader, tx: Transaction, rollout: Rollout) {
  const view = await reader.read(tx, rollout, nowAt())
  const one = await reader.readGroups(tx, 'n8', nowAt())
  const { definitions, view: groups } = await reader.readAllGroups(tx)
  const all = { nodes: new Map(), ...groups }
  return { view, one, all, definitions, frame: shape(await reader.frame(tx)) }
}

async function requireSame(tx: Transaction, rollout: Rollout, reader: FleetReader): Promise<void> {
  const kept = await lookAt(reader, tx, rollout)
  const fresh = await lookAt(createReader(), tx, rollout)
  requireEqual(kept.frame, fresh.frame, 'the frame')
  requireEqual(kept.definitions, fresh.definitions, 'the definitions of groups')
  requireEqual(kept.frame.groups, await groupsByRule(tx, reader), 'groups, and what rules say')
  for (const name of ['view', 'one', 'all'] as const) requireSameView(kept[name], fresh[name], name)
}

function requireEqual(kept: unknown, fresh: unknown, what: string): void {
  const [left, right] = [JSON.stringify(kept), JSON.stringify(fresh)]
  assert(left === right, `${what}: ${left} is kept, ${right} is so`)
}

/** Nodes are in no order; groups are in theirs. */
function shape({ intent, nodes, running, groups, groupsOf }: FleetFrame) {
  const sorted = <T>(map: ReadonlyMap<string, T>) =>
    [...map].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    intent,
    nodes: sorted(nodes).map(([, { name, labels, names }]) => ({ name, labels, names })),
    running: [...running].map(([service, those]) => [service, [...those].toSorted()]),
    groups: [...groups.values()],
    groupsOf: sorted(groupsOf),
  }
}

async function groupsByRule(tx: Transaction, reader: FleetReader) {
  const { nodes, running } = await reader.frame(tx)
  const parsed = parseFleetSpec((await tx.revisions.latest())?.text ?? '')
  const spec: Pick<FleetSpec, 'services' | 'groups'> =
    parsed.kind === 'ok' ? parsed.spec : { services: [] }
  // Of two of one name the later one is meant.
  return [
    ...new Map(groupsOf(spec, [...nodes.values()], running).map(one => [one.name, one])).values(),
  ]
}
