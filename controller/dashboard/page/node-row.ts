// What the page keeps of a node: a fleet of thousands is held in memory, with what lists show of it.
// Pure.

import type { NodeState, NodeView } from '../../../shared/contract/operator-api.ts'
import type { Reason } from '../../../shared/contract/schema.ts'

export interface NodeRow {
  readonly name: string
  readonly state: NodeState
  readonly reason: Reason
  readonly labels: Readonly<Record<string, string>>
  /** Names of products, in the order of the report. */
  readonly products: readonly string[]
  readonly seenAtMs: number | undefined
  /** Of the certificate that ends first. */
  readonly notAfterMs: number | undefined
  /** Lower case, for the search. */
  readonly text: string
}

export function nodeRow(node: NodeView): NodeRow {
  const { name, state, reason, labels, services } = node
  const ends = services.flatMap(({ notAfterMs }) => notAfterMs ?? [])
  const labelled = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  const addresses = [...node.names.dns, ...node.names.ip]
  return {
    name,
    state,
    reason,
    labels,
    products: services.map(({ service }) => service),
    seenAtMs: node.seenAtMs,
    notAfterMs: ends.length === 0 ? undefined : Math.min(...ends),
    text: [name, ...labelled, ...addresses, reason.code].join(' ').toLowerCase(),
  }
}
