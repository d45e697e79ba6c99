// A node as operators see it: its record, what is desired, what it last said, in one view.

import type { NodeView } from '../../../shared/contract/operator-api.ts'
import { nodeState } from '../../fleet/node-state.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'

export async function nodeView(
  { presence }: Pick<ApiContext, 'presence'>,
  tx: Transaction,
  node: NodeRecord,
): Promise<NodeView> {
  const desired = await tx.desired.get(node.name)
  const report = (await tx.reports.get(node.name))?.report
  const known = { node: node.name, seenAtMs: node.seenAtMs }
  const seenAtMs = presence.seenAtMs(known)
  const enrolled = node.enrolledAtMs !== undefined
  const lock = await tx.nodes.lockOf(node.name)
  const online = enrolled && lock === undefined && presence.isOnline(known)
  const judged = nodeState({
    enrolled,
    seen: seenAtMs !== undefined,
    online,
    lock: lock?.reason,
    desired: desired?.state,
    report,
  })
  return {
    name: node.name,
    labels: node.labels,
    names: node.names,
    ...judged,
    createdAtMs: node.createdAtMs,
    ...optional('enrolledAtMs', node.enrolledAtMs),
    ...optional('seenAtMs', seenAtMs),
    online,
    ...optional('generation', desired?.state.generation),
    ...optional('mode', desired?.state.mode),
    ...optional('revision', desired?.revision),
    ...optional('observedGeneration', report?.observedGeneration),
    ...optional('agentVersion', report?.agentVersion),
    services: report?.services ?? [],
    facts: report?.facts ?? {},
  }
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  const member: { [P in K]?: V } = {}
  if (value !== undefined) member[key] = value
  return member
}
