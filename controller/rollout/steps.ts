// The steps of a phase, for fleets of any size: in the order of the plan, in pieces that are replaced
// and never changed. An event copies one piece; what many ask for (how many are done, which are in
// motion) is counted once per piece and found again by its identity. Pure.

import { assert } from '../../shared/assert.ts'
import { StepState } from '../../shared/contract/operator-api.ts'
import type { Marks, Now, OrderedNode, Phase, Plan, Rollout, Step, Steps } from './rollout.ts'

const PIECE = 256

const STATES = StepState.options

export const IN_MOTION = ['permitted', 'applying', 'suspect'] as const
export const FAILED = ['reverted', 'refused', 'broken'] as const
export const OPEN = ['waiting', 'assigned', 'staged', 'permitted', 'applying', 'suspect'] as const

/** A step that may be disruptive, or may become so by a claim. */
export function isInMotion({ state }: Step): boolean {
  return state === 'permitted' || state === 'applying' || state === 'suspect'
}

export function isFailure({ state }: Step): boolean {
  return state === 'reverted' || state === 'refused' || state === 'broken'
}

export function isSettled(step: Step): boolean {
  const { state } = step
  return isFailure(step) || state === 'done' || state === 'deferred' || state === 'skipped'
}

export type Counts = Readonly<Record<StepState, number>>

interface Place {
  readonly piece: number
  readonly offset: number
  readonly batch: number
  readonly planned: OrderedNode
}

interface Layout {
  readonly places: ReadonlyMap<string, Place>
  /** Of each batch: its first piece, and the first one after it. */
  readonly pieces: readonly { readonly first: number; readonly end: number }[]
}

const layouts = new WeakMap<Phase, Layout>()

// Pieces do not reach from one batch into the next, so that a batch is counted by its pieces.
function layoutOf(phase: Phase): Layout {
  const known = layouts.get(phase)
  if (known !== undefined) return known
  const places = new Map<string, Place>()
  const pieces: { first: number; end: number }[] = []
  let first = 0
  for (const [batch, { nodes }] of phase.batches.entries()) {
    for (const [index, planned] of nodes.entries()) {
      assert(!places.has(planned.node), `${planned.node} is planned twice in phase ${phase.name}`)
      const piece = first + Math.floor(index / PIECE)
      places.set(planned.node, { piece, offset: index % PIECE, batch, planned })
    }
    const end = first + Math.ceil(nodes.length / PIECE)
    pieces.push({ first, end })
    first = end
  }
  const layout = { places, pieces }
  layouts.set(phase, layout)
  return layout
}

export function phaseOf({ plan, phaseIndex }: Pick<Rollout, 'plan' | 'phaseIndex'>): Phase {
  const phase = plan.phases[phaseIndex]
  assert(phase !== undefined, `the plan has no phase ${phaseIndex}`)
  return phase
}

/** All waiting; what each holds, and was given without taking it, comes from the phase before. */
export function firstSteps(
  phase: Phase,
  { atMs, timeMs }: Now,
  before: (planned: OrderedNode) => Pick<Step, 'holds' | 'generation'>,
): Steps {
  const rows = new Map<string, Step>()
  for (const [node, { planned }] of layoutOf(phase).places) {
    rows.set(node, {
      node,
      state: 'waiting',
      ...before(planned),
      reason: undefined,
      sinceMs: atMs,
      timeMs,
      healthyTimeMs: undefined,
      claimSequence: undefined,
      held: undefined,
    })
  }
  return stepsFromRows(phase, rows)
}

export function stepOf(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex' | 'steps'>,
  node: string,
): Step | undefined {
  const place = layoutOf(phaseOf(rollout)).places.get(node)
  return place && rollout.steps[place.piece]?.[place.offset]
}

export function plannedOf(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex'>,
  node: string,
): OrderedNode | undefined {
  return layoutOf(phaseOf(rollout)).places.get(node)?.planned
}

/** Index of the batch of a node in the current phase. */
export function batchOf(rollout: Pick<Rollout, 'plan' | 'phaseIndex'>, node: string): number {
  return layoutOf(phaseOf(rollout)).places.get(node)?.batch ?? 0
}

/** In the order of the plan. */
export function allSteps({ steps }: Pick<Rollout, 'steps'>): readonly Step[] {
  return steps.flat()
}

/** Steps in one of these states, in the order of the plan; with `reach`, of batches up to that one. */
export function* stepsIn(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex' | 'steps'>,
  states: readonly StepState[],
  reach: number = Number.POSITIVE_INFINITY,
  from = 0,
): Generator<Step> {
  const { pieces } = layoutOf(phaseOf(rollout))
  const end = pieces[Math.min(reach, pieces.length - 1)]?.end ?? 0
  for (let index = pieces[from]?.first ?? 0; index < end; index++) {
    const piece = rollout.steps[index]
    if (piece === undefined || !has(countsOf(piece), states)) continue
    for (const step of piece) if (states.includes(step.state)) yield step
  }
}

/** The piece of a node in the current phase. */
export function pieceOf(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex'>,
  node: string,
): number | undefined {
  return layoutOf(phaseOf(rollout)).places.get(node)?.piece
}

/** Is the node in any phase? */
export function isPlanned({ plan }: Pick<Rollout, 'plan'>, node: string): boolean {
  return plan.phases.some(phase => layoutOf(phase).places.has(node))
}

/** As `stepsIn`, of those that are marked; without marks, of all. */
export function* markedStepsIn(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex' | 'steps'>,
  marks: Marks | undefined,
  states: readonly StepState[],
  reach: number = Number.POSITIVE_INFINITY,
): Generator<Step> {
  if (marks === undefined) return yield* stepsIn(rollout, states, reach)
  const { pieces } = layoutOf(phaseOf(rollout))
  const end = pieces[Math.min(reach, pieces.length - 1)]?.end ?? 0
  for (const index of [...marks.keys()].toSorted((a, b) => a - b)) {
    if (index >= end) return
    const marked = marks.get(index)
    for (const step of rollout.steps[index] ?? [])
      if (marked?.has(step.node) === true && states.includes(step.state)) yield step
  }
}

/** How many are in each state, in the batches `from` to `reach`. */
export function countSteps(
  rollout: Pick<Rollout, 'plan' | 'phaseIndex' | 'steps'>,
  reach: number = Number.POSITIVE_INFINITY,
  from = 0,
): Counts {
  const batches = batchCounts(phaseOf(rollout), rollout.steps)
  const counted = noCounts()
  const last = Math.min(reach, batches.length - 1)
  for (let batch = from; batch <= last; batch++)
    for (const state of STATES) counted[state] += batches[batch]?.[state] ?? 0
  return counted
}

// By the identity of the steps; an event hands them on with the difference that it makes.
const countsBySteps = new WeakMap<Steps, readonly Counts[]>()

function batchCounts(phase: Phase, steps: Steps): readonly Counts[] {
  const known = countsBySteps.get(steps)
  if (known !== undefined) return known
  const counts = layoutOf(phase).pieces.map(({ first, end }) => {
    const counted = noCounts()
    for (const piece of steps.slice(first, end))
      for (const state of STATES) counted[state] += countsOf(piece)[state]
    return counted
  })
  countsBySteps.set(steps, counts)
  return counts
}

export function sum(counts: Counts, states: readonly StepState[]): number {
  let count = 0
  for (const state of states) count += counts[state]
  return count
}

export function total(counts: Counts): number {
  return sum(counts, STATES)
}

function has(counts: Counts, states: readonly StepState[]): boolean {
  return states.some(state => counts[state] > 0)
}

const countsByPiece = new WeakMap<readonly Step[], Counts>()

function countsOf(piece: readonly Step[]): Counts {
  const known = countsByPiece.get(piece)
  if (known !== undefined) return known
  const counts = noCounts()
  for (const { state } of piece) counts[state]++
  countsByPiece.set(piece, counts)
  return counts
}

/** Of nobody, to be counted up. */
export function noCounts(): Record<StepState, number> {
  return {
    waiting: 0,
    assigned: 0,
    staged: 0,
    permitted: 0,
    applying: 0,
    suspect: 0,
    done: 0,
    reverted: 0,
    refused: 0,
    broken: 0,
    deferred: 0,
    skipped: 0,
  }
}

/** Of the same phase: those that are another step than before. */
export function changedSteps(before: Pick<Rollout, 'steps'>, after: Pick<Rollout, 'steps'>) {
  if (before.steps === after.steps) return []
  return after.steps.flatMap((piece, index) => {
    const old = before.steps[index]
    return piece === old ? [] : piece.filter((step, offset) => step !== old?.[offset])
  })
}

/** With one step replaced. */
export function withStep(phase: Phase, steps: Steps, step: Step): Steps {
  const place = layoutOf(phase).places.get(step.node)
  assert(place !== undefined, `${step.node} is not in phase ${phase.name}`)
  const piece = steps[place.piece]
  const old = piece?.[place.offset]
  assert(piece !== undefined && old !== undefined, `phase ${phase.name} lacks ${step.node}`)
  const next = steps.with(place.piece, piece.with(place.offset, step))
  const counts = countsBySteps.get(steps)
  if (counts !== undefined) {
    const batch = counts[place.batch] ?? noCounts()
    const without = { ...batch, [old.state]: batch[old.state] - 1 }
    const changed = { ...without, [step.state]: without[step.state] + 1 }
    countsBySteps.set(next, counts.with(place.batch, changed))
  }
  return next
}

/** The steps of a plan, as rows: their place in the phase decides nothing but their order. */
export function plannedNodes(plan: Pick<Plan, 'phases'>): readonly OrderedNode[] {
  return plan.phases.flatMap(({ batches }) => batches.flatMap(({ nodes }) => nodes))
}

/** From rows in the order of the plan. */
export function stepsFromRows(phase: Phase, rows: ReadonlyMap<string, Step>): Steps {
  const layout = layoutOf(phase)
  const pieces: Step[][] = Array.from({ length: layout.pieces.at(-1)?.end ?? 0 }, () => [])
  for (const [node, { piece }] of layout.places) {
    const step = rows.get(node)
    assert(step !== undefined, `${node} has no step`)
    pieces[piece]?.push(step)
  }
  return pieces
}
