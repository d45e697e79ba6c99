// Rollouts that follow from another one: back to what was there, or once more. Pure.

import { evolve, startRollout } from './evolve.ts'
import type { OrderedNode, Plan, RolloutEvent, Step } from './rollout.ts'
import { allSteps, plannedOf } from './steps.ts'

export interface Remainder {
  readonly step: Step
  /** Of the last phase that the node was in. */
  readonly planned: OrderedNode
  /** What it had before the first one. */
  readonly original: string | undefined
}

/** How every node of every phase ended, in the order in which they were planned. */
export function remainders(
  id: string,
  plan: Plan,
  events: readonly RolloutEvent[],
): readonly Remainder[] {
  const last = new Map<string, Remainder>()
  const [first, ...rest] = events
  if (first === undefined) return []
  let rollout = startRollout(id, plan, first)
  const note = () => {
    for (const step of allSteps(rollout)) {
      const planned = plannedOf(rollout, step.node)
      if (planned === undefined) continue
      const known = last.get(step.node)
      const original = known === undefined ? planned.from : known.original
      last.set(step.node, { step, planned, original })
    }
  }
  for (const event of rest) {
    if (event.kind === 'phase-passed') note()
    rollout = evolve(rollout, event)
  }
  note()
  return [...last.values()]
}

/** Nodes that have, or may have, what this rollout brought; the broken ones first. */
export function toRollBack(all: readonly Remainder[]): readonly Remainder[] {
  const touched = all.filter(({ step, original }) => {
    const mayHave = step.state === 'broken' || step.state === 'suspect'
    return mayHave || step.holds !== original
  })
  const rank = ({ step }: Remainder) => (step.state === 'broken' ? 0 : 1)
  return touched.toSorted((a, b) => rank(a) - rank(b))
}

/** Nodes whose step failed. */
export function toRetry(all: readonly Remainder[]): readonly Remainder[] {
  return all.filter(({ step: { state } }) => ['reverted', 'refused', 'broken'].includes(state))
}
