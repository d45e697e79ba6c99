// Locks a node out: by an operator's word, or because two machines share its identity. Nothing that
// was issued for it opens a door any more, tokens included; the next token lifts the lock.

import type { Reason } from '../../shared/contract/schema.ts'
import type { DenialCause, Transaction } from '../store/store.ts'

export interface NodeLockOut {
  readonly node: string
  readonly cause: Extract<DenialCause, 'revoked' | 'cloned'>
  readonly reason: Reason
  readonly actor: string
  readonly nowMs: number
}

/** Connections are cut apart from this, once the transaction is durable. */
export async function lockNode(tx: Transaction, lockOut: NodeLockOut): Promise<void> {
  const { node, cause, reason, actor, nowMs } = lockOut
  await tx.identities.deny(node, { cause, atMs: nowMs })
  await tx.tokens.removeOf(node)
  await tx.nodes.lock(node, { reason, atMs: nowMs })
  const action = cause === 'cloned' ? 'identity-cloned' : 'node-revoke'
  await tx.audit.append({ atMs: nowMs, actor, action, subject: node, reason })
}
