// The fleet spec of a request: parsed, of this fleet, compiled for the nodes that there are.

import { OperationalError } from '../../../shared/errors.ts'
import { compileFleet, type CompiledFleet, type ServiceCa } from '../../fleet/compile.ts'
import type { FleetSpec } from '../../fleet/intent.ts'
import { parseFleetSpec } from '../../fleet/spec.ts'
import type { SpecProblem } from '../../fleet/spec-problems.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'
import { allNodes, pairsFor } from '../provided-pairs.ts'
import { knownSelfSigned } from '../self-signed-claims.ts'

export interface CompiledSpec {
  readonly spec: FleetSpec
  readonly digest: string
  readonly fleet: Pick<CompiledFleet, 'nodes' | 'unselected'>
  /** All of the fleet, by name. */
  readonly records: ReadonlyMap<string, NodeRecord>
}

/** With another CA than the current one where the worlds of a rotation are compared. Throws `invalid-spec` or `wrong-fleet`. */
export async function compileSpec(
  context: Pick<ApiContext, 'authorities' | 'fleet' | 'publicRoots' | 'clock' | 'acme'>,
  tx: Transaction,
  text: string,
  world?: { readonly ca: ServiceCa; readonly isStored: boolean },
): Promise<CompiledSpec> {
  const { acme, authorities, fleet } = context
  const parsed = parseFleetSpec(text)
  if (parsed.kind === 'invalid') throw invalid(parsed.problems)
  if (parsed.spec.fleet !== fleet)
    throw new OperationalError(
      'wrong-fleet',
      `the spec is for fleet ${parsed.spec.fleet}, this is the controller of ${fleet}`,
    )
  const nodes = await allNodes(tx)
  const pairs = await pairsFor(context, tx, parsed.spec)
  const directories = new Map(acme.states().map(one => [one.directory.name, one.directory]))
  const compiled = compileFleet(
    parsed.spec,
    nodes,
    world?.ca ?? authorities.current().service.ca,
    pairs,
    directories,
    await knownSelfSigned(tx),
  )
  // What was accepted once does not become wrong because a node was removed since.
  if (compiled.problems.length > 0 && world?.isStored !== true)
    throw invalid(compiled.problems.slice(0, PROBLEMS_MAX).map(parsed.locate))
  return {
    spec: parsed.spec,
    digest: parsed.digest,
    fleet: compiled,
    records: new Map(nodes.map(node => [node.name, node])),
  }
}

const PROBLEMS_MAX = 20

function invalid(problems: readonly SpecProblem[]): OperationalError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new OperationalError('invalid-spec', `the fleet spec has ${count}`, {
    details: { problems },
  })
}
