// R17, from what the nodes do: none is stopped before all of its section have claimed their permits and
// taken their snapshots, and none starts with the new content while another one has not stopped or not switched.

import type { Rollout, Step } from '../../controller/rollout/rollout.ts'
import type { Gathering, SimulatedAgent } from './agent.ts'
import { must, phaseIn } from './event-checks.ts'

export interface SectionChecks {
  after(): void
}

export function createSectionChecks(
  agents: ReadonlyMap<string, SimulatedAgent>,
  rollouts: () => Iterable<Rollout>,
): SectionChecks {
  const before = new Map<string, Gathering>()

  function partnersOf(name: string): readonly Step[] {
    for (const rollout of rollouts()) {
      const { coordinated, batches } = phaseIn(rollout)
      const nodes = batches.flatMap(batch => batch.nodes.map(({ node }) => node))
      if (!coordinated || rollout.endedAtMs !== undefined || !nodes.includes(name)) continue
      return rollout.steps.flat().filter(({ state }) => IN_SECTION.has(state))
    }
    return []
  }

  return {
    after() {
      for (const [name, agent] of agents) {
        const was = before.get(name)
        const is = agent.gathering
        if (is === undefined) before.delete(name)
        else before.set(name, is)
        const hasStopped = was?.act === 'stop' && is?.act === 'switch'
        const hasStarted = was?.act === 'start' && is === undefined && agent.switching !== undefined
        if (!hasStopped && !hasStarted) continue
        for (const { node: partner, state, generation = 0 } of partnersOf(name)) {
          must(!UNCLAIMED.has(state), `R17: ${name} goes on while ${partner} is ${state}`)
          const isSaved = agents.get(partner)?.saved.has(generation) === true
          must(isSaved, `R17: ${name} goes on before ${partner} is saved`)
          const act = agents.get(partner)?.gathering?.act
          const isBehind = act === 'stop' || act === 'switch'
          must(!hasStarted || !isBehind, `R17: ${name} starts before ${partner} may ${act}`)
        }
      }
    },
  }
}

const UNCLAIMED: ReadonlySet<string> = new Set(['waiting', 'assigned', 'staged', 'permitted'])
const IN_SECTION: ReadonlySet<string> = new Set([...UNCLAIMED, 'applying'])
