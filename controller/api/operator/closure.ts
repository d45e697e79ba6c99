// Before a fleet spec is planned or rolled out: whether every client can verify every server while
// some nodes have moved and others have not.

import type { DesiredContent } from '../../../shared/contract/desired-state.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { brokenEdges, describeEdge } from '../../fleet/closure.ts'
import { knownSigners } from '../../rotation/ends.ts'
import type { Transaction } from '../../store/store.ts'
import type { CompiledSpec } from './spec.ts'

/** Throws `trust-closure` with the edges that would break. */
export async function requireClosure(
  tx: Transaction,
  { fleet, records }: Pick<CompiledSpec, 'fleet' | 'records'>,
): Promise<void> {
  const wanted = new Map<string, DesiredContent>(
    fleet.nodes.map(({ node, content }) => [node, content]),
  )
  const nodes = []
  for (const node of records.keys()) {
    const from = (await tx.desired.get(node))?.state.content
    // What no entry selects keeps what it has.
    nodes.push({ node, from, to: wanted.get(node) ?? from })
  }
  const broken = brokenEdges(nodes, { signers: await knownSigners(tx), combinations: 'mixed' })
  const [first] = broken
  if (first === undefined) return
  throw new OperationalError(
    'trust-closure',
    `the change would break trust on its way: ${describeEdge(first)}`,
    {
      hint: 'Change issuers step by step: tlsfleet ca rotate --issuer -f fleet.yaml',
      details: { problems: broken.map(edge => ({ message: describeEdge(edge) })) },
    },
  )
}

/** Its phases bring two fleet specs to the nodes in turn; a third one has to wait. */
export async function requireNoIssuerRotation(tx: Transaction): Promise<void> {
  const open = await tx.rotations.open()
  if (open === undefined || open.subject.kind !== 'issuer') return
  throw new OperationalError(
    'rotation-open',
    `rotation ${open.id} changes issuers, and is in ${open.phase}`,
    { hint: 'Let it end, or take it back: tlsfleet ca status' },
  )
}
