// What must hold, R1 to R22 of the model, said once more and apart from the engine: after every event,
// after every action, and at the end.

import type { GroupDefinition } from '../../controller/fleet/groups.ts'
import { groupsOf, limitOf } from '../../controller/fleet/groups.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import type { Plan, Rollout, RolloutEvent, Step } from '../../controller/rollout/rollout.ts'
import { canonicalJson, type Json } from '../../shared/digest.ts'
import type { SimulatedAgent } from './agent.ts'
import type { Engine } from './engine.ts'
import type { Scenario } from './fleet.ts'
import type { Contents } from './memory-store.ts'
import { createEventChecks, must, phaseIn } from './event-checks.ts'
import { createSectionChecks, type SectionChecks } from './section-checks.ts'
import { Violation } from './violation.ts'

export function createChecks({
  engine,
  scenario,
  trace,
}: {
  readonly engine: Engine
  readonly scenario: Scenario
  readonly trace: string[]
}) {
  let contents: Contents
  let agents: ReadonlyMap<string, SimulatedAgent>
  let sections: SectionChecks
  const groups = groupsIn(scenario)
  const events = createEventChecks({
    engine,
    settings: scenario.settings,
    isFrozen,
    sequenceOf: node => contents.reports.get(node)?.sequence ?? 0,
    requireDone(before, { node, generation }) {
      const agent = agents.get(node)
      const planned = plannedIn(before, node)
      const truth = truthOf(node, generation)
      must(
        truth === 'new' || (truth === undefined && agent?.live === planned?.to),
        `R3: ${node} is done, but ${truth}`,
      )
    },
    requireReverted(_before, { node, generation }) {
      const truth = truthOf(node, generation)
      must(truth === 'old' || truth === undefined, `R3: ${node} is reverted, but ${truth}`)
    },
    onPermit: requireLeaderLast,
    trace: line => void trace.push(line),
  })
  const { claimed } = events
  const plannedIn = (rollout: Rollout, node: string) =>
    engine.plannedNodes({ phases: [phaseIn(rollout)] }).find(one => one.node === node)
  const groupsWith = (node: string) => groups.filter(({ members }) => members.includes(node))
  const truthOf = (node: string, generation: number | undefined) => {
    const agent = agents.get(node)
    return generation === undefined ? undefined : agent?.results.get(generation)
  }

  function isFrozen(node: string): boolean {
    return [...contents.freezes.values()].some(({ scope }) => {
      return scope === 'all' || scope.names?.includes(node) === true
    })
  }

  /** Who is out in a group, as anybody could tell from what the store holds. */
  function outIn(group: GroupDefinition): readonly string[] {
    return group.members.filter(node => {
      const report = contents.reports.get(node)
      if (agents.get(node)?.isOnline !== true) return true
      if (report === undefined) return contents.desired.has(node)
      return report.services.some(
        ({ outcome, reason, activations }) =>
          (outcome === 'waiting' && reason.code === 'inactive') ||
          (outcome === 'failed' && activations > 0),
      )
    })
  }

  const holders = (group: GroupDefinition) =>
    [...contents.leases.values()]
      .filter(lease => lease.group === group.name)
      .map(({ node }) => node)

  function togetherIn(group: GroupDefinition): boolean {
    return [...contents.rollouts.values()].some(({ rollout, nodes }) => {
      return phaseIn(rollout).coordinated && nodes.some(node => group.members.includes(node))
    })
  }

  /**
   * Who leads a group goes last: not before another member that is staged in reach, can be asked and is
   * held back by no budget, neither of this group nor of another one that it is in.
   */
  function requireLeaderLast(before: Rollout, { node }: Step): void {
    if (phaseIn(before).coordinated) return
    for (const group of groupsWith(node)) {
      if (leaderOf(group) !== node || groupsWith(node).some(one => outIn(one).includes(node)))
        continue
      const waiting = group.members.filter(
        member =>
          member !== node &&
          isReady(before, member) &&
          rankIn(before, member) <= rankIn(before, node),
      )
      must(
        waiting.length === 0,
        `leader last: ${node}, which leads ${group.name}, goes before ${waiting.join(', ')}`,
      )
    }
  }

  function isReady(rollout: Rollout, node: string): boolean {
    const step = rollout.steps.flat().find(one => one.node === node)
    const batch = phaseIn(rollout).batches.findIndex(({ nodes }) =>
      nodes.some(one => one.node === node),
    )
    const agent = agents.get(node)
    const report = contents.reports.get(node)
    if (step?.state !== 'staged' || batch > rollout.batchIndex || agent?.isOnline !== true)
      return false
    // What it has said since may be that it will have nothing to do with it.
    if (report?.services.some(({ outcome }) => outcome !== 'staged') !== false) return false
    if (groupsWith(node).some(group => leaderOf(group) === node)) return false
    return groupsWith(node).every(group => hasRoom(group, rollout, node))
  }

  function hasRoom(group: GroupDefinition, rollout: Rollout, node: string): boolean {
    const promised = rollout.steps.flat().filter(({ state }) => state === 'permitted')
    const members = new Set(group.members)
    const busy = new Set([
      ...holders(group),
      ...promised.map(one => one.node).filter(one => members.has(one)),
    ])
    busy.delete(node)
    if (busy.size >= group.maxUnavailable) return false
    const out = outIn(group)
    return out.includes(node) || new Set([...busy, ...out]).size < limitOf(group)
  }

  const rankIn = (rollout: Rollout, node: string): number =>
    phaseIn(rollout)
      .batches.flatMap(({ nodes }) => nodes)
      .find(one => one.node === node)?.rank ?? 0

  /** As all of its members say that are there. */
  const leaderOf = (group: GroupDefinition): string | undefined =>
    scenario.leaders.get(group.name)?.find(name => agents.get(name)?.isOnline === true)

  function checkGroups(): void {
    for (const group of groups) {
      if (togetherIn(group)) continue
      const held = holders(group)
      const most = group.maxUnavailable
      must(held.length <= most, `R1: ${group.name} has ${held.length} leases, ${most} is the most`)
      const disturbed = group.members.filter(node => agents.get(node)?.switching !== undefined)
      must(
        disturbed.length <= most,
        `R1: ${disturbed.join()} of ${group.name} are disturbed at once`,
      )
      for (const node of disturbed)
        must(held.includes(node), `R13: ${node} of ${group.name} is disturbed without a lease`)
    }
  }

  function checkLeases(): void {
    for (const { rollout } of contents.rollouts.values()) {
      if (rollout.endedAtMs !== undefined) continue
      for (const { node, state } of rollout.steps.flat()) {
        if (state !== 'applying' && state !== 'suspect') continue
        for (const group of groupsWith(node))
          must(
            holders(group).includes(node),
            `R6: ${node} is ${state} without the lease of ${group.name}`,
          )
      }
    }
    for (const [node, id] of claimed) {
      const rollout = contents.rollouts.get(id)?.rollout
      const step = rollout?.steps.flat().find(one => one.node === node)
      if (step?.state !== 'broken' || rollout?.endedAtMs !== undefined) continue
      for (const group of groupsWith(node))
        must(
          holders(group).includes(node),
          `R9: broken ${node} has lost the lease of ${group.name}`,
        )
    }
    for (const lease of contents.leases.values())
      if (lease.purpose === 'rollout')
        must(claimed.has(lease.node), `R9: ${lease.node} holds a lease after its step ended`)
  }

  return {
    attach(of: Contents, these: ReadonlyMap<string, SimulatedAgent>) {
      contents = of
      agents = these
      sections = createSectionChecks(agents, () =>
        [...contents.rollouts.values()].map(({ rollout }) => rollout),
      )
    },
    onEvents: (before: Rollout, appended: readonly RolloutEvent[]) =>
      void events.onEvents(before, appended),
    onTime: (passedMs: number) =>
      events.onTime(
        [...contents.rollouts.values()].map(({ rollout }) => rollout),
        passedMs,
      ),
    beforeClaim: () => new Set(contents.leases.keys()),
    /** A lease that was not there before makes no more of a group be out than it can spare. */
    afterGrant(node: string, before: ReadonlySet<string>) {
      for (const group of groupsWith(node)) {
        if (before.has(`${group.name}/${node}`) || togetherIn(group)) continue
        const out = new Set(outIn(group))
        if (out.has(node)) continue
        const all = new Set([...out, ...holders(group)])
        must(
          all.size <= limitOf(group),
          `R1: ${[...all].join()} of ${group.name} are out with ${node}`,
        )
      }
    },
    /** R19: what is planned only changes nothing. */
    afterPlan(writes: number) {
      must(writes === 0, `R19: a plan that was only shown has written ${writes} times`)
    },
    /** R18: the same again, byte for byte. */
    samePlan(shown: Plan, made: Plan) {
      must(shown.digest === made.digest, 'R18: another plan was made than the one that was shown')
      must(JSON.stringify(shown) === JSON.stringify(made), 'R18: a plan of other bytes was made')
    },
    after() {
      checkGroups()
      checkLeases()
      sections.after()
    },
    nodesOf: ({ plan }: Rollout): readonly string[] => [
      ...new Set(engine.plannedNodes(plan).map(({ node }) => node)),
    ],
    describe: (rollouts: readonly Rollout[]): Json =>
      rollouts.map(({ id, status, pausedBy, batchIndex, phaseIndex, steps }) => ({
        id,
        status,
        pausedBy: [...pausedBy],
        batchIndex,
        phaseIndex,
        steps: steps.flat().map(({ node, state }) => `${node} ${state}`),
      })),
    atEnd() {
      for (const { rollout, events } of contents.rollouts.values()) {
        const [first, ...rest] = events.map(({ event }) => event)
        if (first === undefined) throw new Violation('no events')
        const folded = engine.evolveAll(engine.startRollout(rollout.id, rollout.plan, first), rest)
        must(same(folded, rollout), `replay of ${rollout.id} does not give its state`)
        checkPlannedAgain(rollout)
        checkBackwards(rollout)
      }
      for (const [node, agent] of agents) {
        const state = contents.desired.get(node)?.state
        if (state === undefined) continue
        must(state.mode === 'enforce', `${node} is left with a staged document`)
        const isHeld = agent.results.has(state.generation)
        const isThere = agent.live === state.contentDigest && !agent.isBroken
        must(
          isThere || isHeld || agent.isBroken || agent.accepted?.permit === false,
          `R8: ${node} is nowhere`,
        )
        if (agent.isBroken || isThere) continue
        must(isHeld || holdersOf(node), `R13: ${node} has not converged`)
      }
    },
  }

  // R18: planned again after it has succeeded, nothing is left to do.
  function checkPlannedAgain({ id, status, steps, plan }: Rollout): void {
    if (status !== 'succeeded') return
    const ids = [...contents.rollouts.keys()]
    for (const { node } of steps.flat()) {
      const later = ids.slice(ids.indexOf(id) + 1)
      const isLast = later.every(one => contents.rollouts.get(one)?.nodes.includes(node) !== true)
      const phases = plan.phases.slice(-1)
      const planned = engine.plannedNodes({ phases }).find(one => one.node === node)
      const given = contents.desired.get(node)?.state.contentDigest
      must(!isLast || given === planned?.to, `R18: ${node} would be planned again after ${id}`)
    }
  }

  function holdersOf(node: string): boolean {
    // Held back by a broken neighbour.
    return groupsWith(node).some(group => holders(group).length > 0 || outIn(group).length > 0)
  }

  function checkBackwards({ id, plan, steps }: Rollout): void {
    if (plan.kind !== 'rollback') return
    const parent = contents.rollouts.get(plan.parent ?? '')
    for (const { node } of steps.flat())
      must(parent?.nodes.includes(node) === true, `R12: ${id} touches ${node}`)
  }
}

function groupsIn({ spec, names }: Scenario): readonly GroupDefinition[] {
  const parsed = parseFleetSpec(spec)
  if (parsed.kind !== 'ok')
    throw new Error(`the spec of the simulation is wrong: ${JSON.stringify(parsed)}`)
  return groupsOf(
    parsed.spec,
    names.map(name => ({ name, labels: {} })),
  )
}

function same(left: Rollout, right: Rollout): boolean {
  const text = ({ plan: _plan, ...state }: Rollout) => {
    const json: Json = JSON.parse(JSON.stringify(state))
    return canonicalJson(json)
  }
  return text(left) === text(right)
}
