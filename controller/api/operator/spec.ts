// The fleet spec of a request: parsed, of this fleet, compiled for the nodes that there are.

import { OperationalError } from '../../../shared/errors.ts'
import { compileFleet, type CompiledFleet } from '../../fleet/compile.ts'
import { parseFleetSpec } from '../../fleet/spec.ts'
import type { SpecProblem } from '../../fleet/spec-problems.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'

export interface CompiledSpec {
  readonly digest: string
  readonly fleet: Pick<CompiledFleet, 'nodes' | 'unselected'>
  /** All of the fleet, by name. */
  readonly records: ReadonlyMap<string, NodeRecord>
}

/** Throws `invalid-spec` or `wrong-fleet`. */
export async function compileSpec(
  { authorities, fleet }: Pick<ApiContext, 'authorities' | 'fleet'>,
  tx: Transaction,
  text: string,
): Promise<CompiledSpec> {
  const parsed = parseFleetSpec(text)
  if (parsed.kind === 'invalid') throw invalid(parsed.problems)
  if (parsed.spec.fleet !== fleet)
    throw new OperationalError(
      'wrong-fleet',
      `the spec is for fleet ${parsed.spec.fleet}, this is the controller of ${fleet}`,
    )
  const nodes = await allNodes(tx)
  const compiled = compileFleet(parsed.spec, nodes, authorities.service.ca)
  if (compiled.problems.length > 0)
    throw invalid(compiled.problems.slice(0, PROBLEMS_MAX).map(parsed.locate))
  return {
    digest: parsed.digest,
    fleet: compiled,
    records: new Map(nodes.map(node => [node.name, node])),
  }
}

const PROBLEMS_MAX = 20
const PAGE = 500

async function allNodes(tx: Transaction): Promise<readonly NodeRecord[]> {
  const nodes: NodeRecord[] = []
  for (;;) {
    const after = nodes.at(-1)?.name
    const page = await tx.nodes.list({ ...(after === undefined ? {} : { after }), limit: PAGE })
    nodes.push(...page)
    if (page.length < PAGE) return nodes
  }
}

function invalid(problems: readonly SpecProblem[]): OperationalError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new OperationalError('invalid-spec', `the fleet spec has ${count}`, {
    details: { problems },
  })
}
