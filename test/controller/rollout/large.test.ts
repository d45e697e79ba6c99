// What a rollout of many nodes does at once is bounded, and who has nothing to say is not asked.

import t from 'tap'
import { decide } from '../../../controller/rollout/decide.ts'
import { evolveAll } from '../../../controller/rollout/evolve.ts'
import { isRipe } from '../../../controller/rollout/ripe.ts'
import type { FleetView, Rollout, StepState } from '../../../controller/rollout/rollout.ts'
import { pieceOf, stepOf } from '../../../controller/rollout/steps.ts'
import { nowAt } from '../../contract/samples.ts'
import { nodeView, rolloutWith } from './states.ts'

const NAMES = Array.from({ length: 600 }, (_, index) => `n${1000 + index}`)
const PORTION = 256

const all = (state: StepState) => Object.fromEntries(NAMES.map(name => [name, state]))
const fleet: FleetView = {
  nodes: new Map(NAMES.map(name => [name, nodeView(name)])),
  groups: new Map(),
  groupsOf: new Map(),
}

function portions(first: Rollout, kind: string): readonly number[] {
  const sizes: number[] = []
  let rollout = first
  for (let round = 0; round < 9; round++) {
    const events = decide(rollout, fleet, nowAt())
    if (events.length === 0 || rollout.endedAtMs !== undefined) break
    sizes.push(events.filter(event => event.kind === kind).length)
    rollout = evolveAll(rollout, events)
  }
  return sizes
}

await t.test('documents are given out in portions', async t => {
  const sizes = portions(rolloutWith('running', all('waiting')), 'node-assigned')
  t.strictSame(sizes.slice(0, 3), [PORTION, PORTION, NAMES.length - 2 * PORTION])
})

await t.test('documents are taken back in portions, each once, before the end', async t => {
  const first = rolloutWith('draining', all('staged'))
  t.strictSame(portions(first, 'node-released'), [PORTION, PORTION, NAMES.length - 2 * PORTION])
  t.strictSame(portions(first, 'ended'), [0, 0, 1])
})

await t.test(
  'only those are looked at that have something to say, in the order of the plan',
  async t => {
    const rollout = rolloutWith('staging', all('assigned'))
    const told = ['n1590', 'n1300', 'n1007']
    const nodes = new Map(fleet.nodes)
    for (const node of told)
      nodes.set(node, nodeView(node, { observedGeneration: 5, sequence: 1, outcome: 'staged' }))
    const ripe = new Map<number, Set<string>>()
    for (const node of NAMES) {
      const [piece, step] = [pieceOf(rollout, node), stepOf(rollout, node)]
      if (piece === undefined || step === undefined || !isRipe(rollout, step, nodes.get(node)))
        continue
      ripe.set(piece, (ripe.get(piece) ?? new Set()).add(node))
    }

    const some = decide(rollout, { ...fleet, nodes, ripe }, nowAt())

    t.strictSame(
      some.map(event => ('node' in event ? event.node : event.kind)),
      told.toSorted(),
    )
    t.strictSame(some, decide(rollout, { ...fleet, nodes }, nowAt()), 'as if all were looked at')
    t.strictSame(decide(rollout, { ...fleet, nodes, ripe: new Map() }, nowAt()), [])
  },
)
