import { type GroupDefinition, groupsOf } from '../../../controller/fleet/groups.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import type { Scenario } from './scenario.ts'

/** The groups of a scenario: all of its specs have the same ones. */
export function groupsIn({ spec, final, nodes }: Scenario): readonly GroupDefinition[] {
  const parsed = parseFleetSpec(spec(final))
  if (parsed.kind !== 'ok')
    throw new Error(`the spec of the simulation is wrong: ${JSON.stringify(parsed.problems)}`)
  return groupsOf(
    parsed.spec,
    nodes.map(name => ({ name, labels: {} })),
  )
}
