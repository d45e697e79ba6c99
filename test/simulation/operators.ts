// What operators of a world do: they plan rollouts, order them about, freeze nodes, and help where only they
// can.

import type { FleetSpec } from '../../controller/fleet/intent.ts'
import type { PlannedNode, Rollout, RolloutPlan } from '../../controller/rollout/rollout.ts'
import type { Runner } from '../../controller/rollout/runner.ts'
import type { SimulatedAgent } from './agent.ts'
import type { createChecks } from './checks.ts'
import type { Scenario } from './fleet.ts'
import type { Contents } from './memory-store.ts'
import type { Random } from './random.ts'

export interface Operators {
  plan(): Promise<void>
  /** Something at random to one rollout; more of it with more weight. */
  operate(weight: number): Promise<void>
  freeze(): void
  /** What only operators can do; after a long while they give a rollout up. */
  assist(rollout: Rollout, round: number): Promise<void>
}

export interface OperatorsParts {
  readonly scenario: Scenario
  readonly spec: FleetSpec
  readonly random: Random
  readonly contents: Contents
  readonly agents: ReadonlyMap<string, SimulatedAgent>
  readonly checks: Pick<ReturnType<typeof createChecks>, 'afterPlan' | 'samePlan' | 'nodesOf'>
  readonly rollouts: () => readonly Rollout[]
  readonly active: () => readonly Rollout[]
  /** The controller that shows what a plan would do. */
  readonly planner: () => Runner | undefined
  /** A controller that answers. */
  readonly first: () => Runner
  readonly quietly: <T>(attempt: () => Promise<T>) => Promise<T | undefined>
  readonly trace: string[]
}

export const WHY = { code: 'operator', message: 'because' }

export function createOperators(parts: OperatorsParts): Operators {
  const { scenario, spec, random, contents, agents, checks, trace } = parts
  const { rollouts, active, planner, first, quietly } = parts
  const { names, faults } = scenario
  let variant = 1

  const asOne = (planned: PlannedNode): PlannedNode => ({ ...planned, together: 'prometheus' })

  async function plan(): Promise<void> {
    const used = active().flatMap(rollout => checks.nodesOf(rollout))
    const free = names.filter(name => !used.includes(name))
    const chosen = random.some(free, random.pick([0.5, 1]))
    if (chosen.length === 0) return
    variant++
    const isPhased = random.chance(0.25)
    const coordinated = !isPhased && random.chance(0.2)
    const request = (of: number): RolloutPlan['nodes'] =>
      chosen.map(node => {
        const { content, digest } = scenario.contentOf(node, of)
        return { node, from: fromOf(node, of), to: digest, content }
      })
    const fromOf = (node: string, of: number) =>
      of === variant || !isPhased
        ? contents.desired.get(node)?.state.contentDigest
        : scenario.contentOf(node, of - 1).digest
    const phases = isPhased
      ? [
          { name: 'first', barrier: random.chance(0.6), nodes: request(variant) },
          { name: 'second', nodes: request(variant + 1) },
        ]
      : coordinated
        ? [{ name: 'together', coordinated, nodes: request(variant).map(asOne) }]
        : undefined
    if (isPhased) variant++
    const settings = scenario.settings
    const acknowledged = coordinated && random.chance(0.7)
    const base = { revision: variant, author: 'ada', settings, acknowledged }
    const made =
      phases === undefined ? { ...base, nodes: request(variant) } : { ...base, nodes: [], phases }
    const before = contents.writes
    const shown = await quietly(async () => planner()?.plan(made, spec))
    checks.afterPlan(contents.writes - before)
    const created = await quietly(() => first().create(made, 'ada'))
    if (created !== undefined && shown !== undefined) checks.samePlan(shown.plan, created.plan)
  }

  async function operate(weight: number): Promise<void> {
    const rollout = rollouts().length === 0 ? undefined : random.pick(rollouts())
    if (rollout === undefined) return
    const { id } = rollout
    const node = random.pick(checks.nodesOf(rollout))
    const order = (command: Parameters<Runner['order']>[1]['command']) => {
      trace.push(`operator: ${command.kind} ${id}`)
      return quietly(() => first().order(id, { actor: 'bob', command }))
    }
    const is = (level: number) => level > 0 && random.chance(Math.min(1, level * weight))
    if (is(faults.pause)) await order({ kind: 'pause', reason: WHY })
    if (is(0.3)) await order({ kind: 'resume' })
    if (is(0.3)) await order({ kind: 'promote', by: 'bob' })
    if (is(0.5)) await order({ kind: 'approve', by: 'bob' })
    if (is(faults.skip)) await order({ kind: 'skip', node, reason: WHY })
    if (is(0.2)) await order({ kind: 'force-release', node, reason: WHY })
    if (is(faults.abort)) await order({ kind: 'abort', reason: WHY })
    if (is(faults.abort / 3)) await order({ kind: 'supersede', reason: WHY })
    if (rollout.endedAtMs !== undefined && random.chance(0.2)) {
      const kind = random.pick(['rollback', 'retry'] as const)
      await quietly(() => first().follow(id, kind, 'bob'))
    }
  }

  function freeze(): void {
    if (contents.freezes.size > 0 && random.chance(0.4)) contents.freezes.clear()
    else if (random.chance(0.3)) {
      const scope = random.chance(0.5) ? 'all' : { names: [random.pick(names)] }
      contents.freezes.set('f', { name: 'f', scope, reason: 'no', actor: 'bob', atMs: 0 })
    }
  }

  async function assist(rollout: Rollout, round: number): Promise<void> {
    const order = (command: Parameters<Runner['order']>[1]['command']) =>
      quietly(() => first().order(rollout.id, { actor: 'bob', command }))
    if (rollout.status === 'planned') await order({ kind: 'approve', by: 'bob' })
    if (rollout.pausedBy.length > 0) await order({ kind: 'resume' })
    if (rollout.status === 'running' && round % 5 === 4) await order({ kind: 'promote', by: 'bob' })
    const isStuck = [...agents.values()].some(agent => agent.isBroken)
    if (isStuck && round > 150) await order({ kind: 'abort', reason: WHY })
  }

  return { plan, operate, freeze, assist }
}
