// Is a node in a group? Told with every answer to a poll, so that an agent knows when nobody answers.

import type { Clock } from '../../shared/clock.ts'
import type { FleetFrame } from './fleet-frame.ts'
import type { RolloutTransaction } from './rollout-store.ts'

/** Groups of a node; none: undefined. */
export type GroupsOf = (
  tx: RolloutTransaction,
  node: string,
) => Promise<readonly string[] | undefined>

// While many nodes enrol, groups are not resolved anew for each of them.
const KEPT_MS = 1_000

export function createMembership(
  clock: Pick<Clock, 'monotonic'>,
  frame: (tx: RolloutTransaction) => Promise<FleetFrame>,
): GroupsOf {
  let known:
    | {
        readonly revision: number | undefined
        readonly atMs: number
        readonly groupsOf: FleetFrame['groupsOf']
      }
    | undefined
  return async (tx, node) => {
    const revision = (await tx.revisions.latest())?.number
    const isOld = known === undefined || clock.monotonic() - known.atMs >= KEPT_MS
    if (known === undefined || isOld || known.revision !== revision) {
      const { groupsOf } = await frame(tx)
      known = { revision, atMs: clock.monotonic(), groupsOf }
    }
    return known.groupsOf.get(node)
  }
}
