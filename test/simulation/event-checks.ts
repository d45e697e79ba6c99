// What must hold of every single event of a rollout, whoever has stored it: said once more and apart from
// the engine, for both simulations. What is known of nodes beside their events, the world tells.

import type { Phase, Rollout, RolloutEvent, Step } from '../../controller/rollout/rollout.ts'
import type { GivenSettings } from '../../controller/rollout/settings.ts'
import type { Engine } from './engine.ts'
import { Violation } from './violation.ts'

/** What the world knows. */
export interface EventFacts {
  readonly engine: Pick<Engine, 'evolveAll' | 'plannedNodes'>
  readonly settings: Pick<GivenSettings, 'maxFailures' | 'maxFailuresPercent'>
  isFrozen(node: string): boolean
  /** Of the last report of a node that the store took. */
  sequenceOf(node: string): number
  /** Throws where the node is not on the new content, or not on the old one. */
  requireDone(before: Rollout, step: Step): void
  requireReverted(before: Rollout, step: Step): void
  /** More that must hold of a permit. */
  onPermit?(before: Rollout, step: Step): void
  readonly trace: (line: string) => void
}

export interface EventChecks {
  onEvents(before: Rollout, events: readonly RolloutEvent[]): Rollout
  /** Counts controller time into the soak of each rollout. */
  onTime(rollouts: Iterable<Rollout>, passedMs: number): void
  /** By node: the rollout in which it claimed a permit, until a known end. */
  readonly claimed: ReadonlyMap<string, string>
  /** Reports are counted anew: the store was restored. */
  restarted(): void
}

interface Watched {
  /** Controller time for which all steps in reach were settled and nothing was paused. */
  soakedMs: number
  consumedMs: number
}

export function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what)
}

export function createEventChecks(facts: EventFacts): EventChecks {
  const { engine } = facts
  const watched = new Map<string, Watched>()
  const claimed = new Map<string, string>()
  /** The report by which a node was judged last. */
  const told = new Map<string, number>()
  const watch = (id: string): Watched => {
    const known = watched.get(id) ?? { soakedMs: 0, consumedMs: 0 }
    watched.set(id, known)
    return known
  }

  function onEvent(before: Rollout, event: RolloutEvent, after: Rollout): void {
    const { id } = before
    facts.trace(`${id} ${describe(event)}`)
    must(before.endedAtMs === undefined, `${id}: ${event.kind} after the end`)
    const phase = phaseIn(before)
    const seen = watch(id)
    if ('node' in event) onNodeEvent(before, event)
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others promise nothing
    switch (event.kind) {
      case 'batch-passed':
      case 'phase-passed': {
        const reach = stepsTo(before, before.batchIndex)
        must(reach.every(isSettled), `R2: ${id} passes a batch that is not settled`)
        must(failuresIn(before) <= phase.maxFailures, `R2: ${id} passes a batch with failures`)
        must(!before.gates.some(({ verdict }) => verdict === 'fail'), `R2: ${id} passes a gate`)
        const own = stepsIn(before, before.batchIndex)
        const isDone = own.some(({ state }) => state === 'done') || before.promoted
        must(isDone, `R2: ${id} passes a batch in which nothing was done`)
        const { soakMs = 0 } = phase.batches[before.batchIndex] ?? {}
        must(seen.soakedMs >= soakMs, `R2: ${id} soaked for ${seen.soakedMs} of ${soakMs} ms`)
        const isWhole = before.steps
          .flat()
          .every(one => one.state === 'done' || one.state === 'skipped')
        if (event.kind === 'phase-passed')
          must(isWhole || !phase.barrier, `R2: ${id} passes a barrier with nodes missing`)
        seen.soakedMs = 0
        return
      }
      case 'paused':
        if (before.pausedBy.length === 0) seen.consumedMs = event.timeMs - before.progressTimeMs
        return
      case 'resumed':
      case 'promoted': {
        if (before.pausedBy.length === 0 || after.pausedBy.length > 0) return
        const consumedMs = event.timeMs - after.progressTimeMs
        must(
          consumedMs <= seen.consumedMs,
          `R10: ${id} consumed ${consumedMs - seen.consumedMs} ms in a pause`,
        )
        return
      }
      case 'ended': {
        must(!before.steps.flat().some(isInMotion), `R8: ${id} ended with a step in motion`)
        const states = before.steps.flat().map(({ state }) => state)
        if (event.status === 'succeeded')
          must(
            states.every(state => state === 'done'),
            `${id} succeeded without all being done`,
          )
        return
      }
      default:
    }
  }

  function onNodeEvent(before: Rollout, event: Extract<RolloutEvent, { node: string }>): void {
    const { id } = before
    const step = before.steps.flat().find(({ node }) => node === event.node)
    must(step !== undefined, `${event.node} is not in ${id}`)
    if (TOLD.has(event.kind)) onTold(event.node, step.claimSequence)
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the others promise nothing
    switch (event.kind) {
      case 'node-permitted':
        onPermit(before, event.node)
        return facts.onPermit?.(before, step)
      case 'permit-claimed':
        must(
          before.status === 'running',
          `R11: a claim was granted while ${id} is ${before.status}`,
        )
        must(before.pausedBy.length === 0, `R10: a claim was granted while ${id} is paused`)
        must(!facts.isFrozen(event.node), `R10: a claim was granted while ${id} is frozen`)
        claimed.set(event.node, id)
        return
      case 'node-done':
        facts.requireDone(before, step)
        claimed.delete(event.node)
        return
      case 'node-reverted':
        facts.requireReverted(before, step)
        claimed.delete(event.node)
        return
      case 'lease-forced':
        must(
          step.state === 'suspect' || step.state === 'broken',
          `R9: a lease was forced too early`,
        )
        claimed.delete(event.node)
        return
      default:
    }
  }

  /** R14: reports count in the order in which they were written, and none of before a claim tells its end. */
  function onTold(node: string, claimSequence = 0): void {
    const sequence = facts.sequenceOf(node)
    must(
      sequence > claimSequence,
      `R14: ${node} is judged by report ${sequence}, and it claimed after ${claimSequence}`,
    )
    must(sequence >= (told.get(node) ?? 0), `R14: ${node} is judged by an older report again`)
    told.set(node, sequence)
  }

  function onPermit(before: Rollout, node: string): void {
    const { id, plan } = before
    const phase = phaseIn(before)
    must(before.status === 'running', `R11: a permit while ${id} is ${before.status}`)
    must(before.pausedBy.length === 0, `R10: a permit while ${id} is paused`)
    must(!facts.isFrozen(node), `R10: a permit while ${id} is frozen`)
    must(phase.maxFailures <= tolerated(before), `R21: ${phase.maxFailures} failures are tolerated`)
    must(
      failuresIn(before) <= phase.maxFailures,
      `R3: a permit after ${failuresIn(before)} failures`,
    )
    const batch = phase.batches.findIndex(({ nodes }) => nodes.some(one => one.node === node))
    must(batch <= before.batchIndex, `R2: ${node} of batch ${batch} in batch ${before.batchIndex}`)
    const motion = before.steps.flat().filter(isInMotion).length
    if (phase.coordinated) {
      const isWhole = before.steps.flat().every(({ state }) => READY.has(state))
      return must(isWhole, `R17: ${id} begins before all are staged`)
    }
    const { rule } = phase.batches[before.batchIndex] ?? { rule: 'strict' }
    if (rule === 'strict')
      must(
        failuresIn(before) + motion <= phase.maxFailures,
        `R21: ${motion} in motion in a strict batch`,
      )
    else must(motion < plan.settings.maxParallel, `R21: ${motion} in motion at once`)
  }

  // Integers, fixed at plan time, percentages rounded down; none before a barrier.
  function tolerated(rollout: Rollout): number {
    const { barrier, coordinated } = phaseIn(rollout)
    const { maxFailures = 0, maxFailuresPercent } = facts.settings
    if (barrier || coordinated) return 0
    if (rollout.plan.kind !== 'change' || maxFailuresPercent === undefined) return maxFailures
    const nodes = new Set(engine.plannedNodes(rollout.plan).map(({ node }) => node)).size
    return Math.floor((maxFailuresPercent * nodes) / 100)
  }

  function onTime(rollouts: Iterable<Rollout>, passedMs: number): void {
    must(passedMs >= 0, 'R22: controller time went back')
    for (const rollout of rollouts) {
      const seen = watch(rollout.id)
      const isSoaking =
        rollout.status === 'running' &&
        rollout.pausedBy.length === 0 &&
        stepsTo(rollout, rollout.batchIndex).every(isSettled)
      if (isSoaking) seen.soakedMs += passedMs
      else if (rollout.pausedBy.length === 0) seen.soakedMs = 0
    }
  }

  // A bad revision stops before it has broken more than it may.
  function checkDamage(rollout: Rollout): void {
    const { settings } = rollout.plan
    const phase = phaseIn(rollout)
    if (phase.coordinated) return
    const failed = rollout.steps
      .flat()
      .filter(isFailure)
      .filter(one => one.state !== 'refused').length
    const isStrict = phase.batches
      .slice(0, rollout.batchIndex + 1)
      .every(one => one.rule === 'strict')
    const most = phase.maxFailures + (isStrict ? 1 : settings.maxParallel)
    must(failed <= most, `R21: ${failed} nodes failed, at most ${most} may`)
  }

  return {
    claimed,
    onEvents(before, events) {
      let rollout = before
      for (const event of events) {
        const next = engine.evolveAll(rollout, [event])
        onEvent(rollout, event, next)
        rollout = next
      }
      checkDamage(rollout)
      return rollout
    },
    onTime,
    restarted: () => told.clear(),
  }
}

// What nothing but a report says.
const TOLD: ReadonlySet<RolloutEvent['kind']> = new Set([
  'node-staged',
  'node-healthy',
  'node-done',
  'node-reverted',
])

const READY: ReadonlySet<string> = new Set([
  'staged',
  'skipped',
  'permitted',
  'applying',
  'suspect',
  'done',
])

export function phaseIn({ plan, phaseIndex }: Rollout): Phase {
  const phase = plan.phases[phaseIndex]
  if (phase === undefined) throw new Violation(`there is no phase ${phaseIndex}`)
  return phase
}

function stepsIn(rollout: Rollout, batch: number): readonly Step[] {
  const names = new Set(phaseIn(rollout).batches[batch]?.nodes.map(({ node }) => node))
  return rollout.steps.flat().filter(({ node }) => names.has(node))
}

function stepsTo(rollout: Rollout, batch: number): readonly Step[] {
  return Array.from({ length: batch + 1 }, (_, index) => stepsIn(rollout, index)).flat()
}

const isFailure = ({ state }: Step) => ['reverted', 'refused', 'broken'].includes(state)
const isInMotion = ({ state }: Step) => ['permitted', 'applying', 'suspect'].includes(state)
const isSettled = (step: Step) =>
  isFailure(step) || ['done', 'deferred', 'skipped'].includes(step.state)
const failuresIn = (rollout: Rollout) => rollout.steps.flat().filter(isFailure).length

function describe(event: RolloutEvent): string {
  const { atMs: _atMs, timeMs: _timeMs, kind, ...rest } = event
  return `${kind} ${Object.values(rest)
    .map(value => (typeof value === 'object' ? '' : String(value)))
    .join(' ')}`.trim()
}
