// Who may apply a fleet spec may not do away with the others who must approve it: `rollout.approvals` is
// lowered by an admin, who could make operators to approve with as well.

import type { Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { FleetSpec } from '../../fleet/intent.ts'
import { specOf } from '../../rotation/ends.ts'
import type { Transaction } from '../../store/store.ts'
import type { OperatorCaller } from '../caller.ts'

/** Why this caller may not have this spec take the place of the newest revision. */
export async function approvalsLowered(
  tx: Transaction,
  { role }: Pick<OperatorCaller, 'role'>,
  spec: FleetSpec,
): Promise<Reason | undefined> {
  const latest = role === 'admin' ? undefined : await tx.revisions.latest()
  const before = latest === undefined ? 0 : (specOf(latest).rollout?.approvals ?? 0)
  const after = spec.rollout?.approvals ?? 0
  if (after >= before) return undefined
  const message = `rollout.approvals would go from ${before} to ${after}, which takes the role admin`
  return { code: 'approvals-lowered', message }
}

/** Throws `approvals-lowered`. */
export async function requireApprovalsKept(
  tx: Transaction,
  caller: Pick<OperatorCaller, 'role'>,
  spec: FleetSpec,
): Promise<void> {
  const reason = await approvalsLowered(tx, caller, spec)
  if (reason === undefined) return
  throw new OperationalError(reason.code, `could not apply the fleet spec: ${reason.message}`, {
    hint: 'an admin applies it, or it keeps rollout.approvals as it is',
  })
}
