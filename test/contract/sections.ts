// What every store must do with coordinated phases: what it keeps of them is what its events say.

import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { evolveAll, startRollout } from '../../controller/rollout/evolve.ts'
import type { RolloutEvent } from '../../controller/rollout/rollout.ts'
import { nowAt, planOf, sampleContent, sampleNode, samplePlannedNode } from './samples.ts'
import type { Check } from './store.ts'

export function checkSections(check: Check): void {
  check('a document keeps which service waits for others', async (t, store) => {
    const document = {
      node: 'a',
      mode: 'enforce',
      permit: true,
      content: sampleContent('a'),
    } as const
    const held = sealDesiredState({ ...document, generation: 1, together: 'prometheus' })
    const free = sealDesiredState({ ...document, generation: 2 })
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.desired.put({ state: held, revision: 1 })
      t.strictSame((await tx.desired.get('a'))?.state, held)
      await tx.desired.put({ state: free, revision: 1 })
      t.strictSame((await tx.desired.get('a'))?.state, free)
      const alone = sealDesiredState({ ...document, generation: 3, alone: true })
      await tx.desired.put({ state: alone, revision: 1 })
      t.strictSame((await tx.desired.get('a'))?.state, alone)
      await tx.desired.put({ state: sealDesiredState({ ...document, generation: 4 }), revision: 1 })
      t.notHas((await tx.desired.get('a'))?.state, { alone: true })
    })
  })

  check('how far a section is, is what its events say', async (t, store) => {
    const { plan, planned, events, expected } = sectionSample()
    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
      await tx.rollouts.insert({ id: 'r1', plan, events: [planned], atMs: nowAt().atMs })
      await tx.rollouts.append('r1', 1, events, nowAt(9).atMs)
    })
    await store.transaction(async tx => {
      const kept = await tx.rollouts.get('r1')
      t.strictSame(kept, expected)
      t.match(kept, { section: 'stop', acknowledgedBy: 'bob', plan: { acknowledged: true } })
    })
  })
}

/** A rollout of a and b in the middle of their section. */
export function sectionSample() {
  const nodes = ['a', 'b'].map(name => ({
    ...samplePlannedNode(name),
    together: 'prometheus' as const,
  }))
  const phases = [{ name: 'together', coordinated: true, nodes }]
  const plan = planOf({ revision: 1, author: 'ann', nodes: [], phases, acknowledged: true })
  const planned: RolloutEvent = { kind: 'planned', ...nowAt() }
  const both = (make: (node: string, generation: number) => RolloutEvent) => [
    make('a', 1),
    make('b', 1),
  ]
  const events: RolloutEvent[] = [
    { kind: 'started', ...nowAt(1) },
    ...both((node, generation) => ({ kind: 'node-assigned', node, generation, ...nowAt(2) })),
    ...both(node => ({ kind: 'node-staged', node, ...nowAt(3) })),
    { kind: 'staged', ...nowAt(4) },
    { kind: 'downtime-acknowledged', by: 'bob', ...nowAt(5) },
    ...both(node => ({ kind: 'node-permitted', node, generation: 2, ...nowAt(6) })),
    ...both(node => ({ kind: 'permit-claimed', node, generation: 2, ...nowAt(7) })),
    { kind: 'node-held', node: 'b', at: 'saved', ...nowAt(7) },
    { kind: 'node-held', node: 'a', at: 'saved', ...nowAt(7) },
    { kind: 'section-moved', to: 'stop', ...nowAt(8) },
    { kind: 'node-held', node: 'a', at: 'stopped', ...nowAt(9) },
  ]
  const expected = evolveAll(startRollout('r1', plan, planned), events)
  return { plan, planned, events, expected }
}
