// Which debts a node is asked to pay: those that whoever made them has not paid in time, of clusters
// that it is a member of. What cannot be paid is asked again with the end of a later poll, so that an
// agent that cannot does not ask in a circle.

import type { Clock } from '../../../shared/clock.ts'
import { type Debt, DEBTS_MAX } from '../../../shared/contract/debts.ts'
import type { DebtRecord } from '../../store/debts-store.ts'
import type { Transaction } from '../../store/store.ts'

/** As long as a step of a rollout may take: until then whoever made it is at work. */
export const DEBT_PATIENCE_MS = 600_000

const ASK_AGAIN_MS = 30_000

export interface DebtDesk {
  debtsFor(tx: Transaction, node: string, isLast: boolean): Promise<readonly Debt[]>
}

export interface DebtDeskOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly groupsOf: (tx: Transaction, node: string) => Promise<readonly string[]>
}

export function createDebtDesk({ clock, groupsOf }: DebtDeskOptions): DebtDesk {
  const asked = new Map<string, number>()
  return {
    async debtsFor(tx, node, isLast) {
      const all = await tx.debts.all()
      if (all.length === 0) {
        asked.clear()
        return []
      }
      const { timeMs } = await tx.controllerTime.get()
      const groups = await groupsOf(tx, node)
      const due: Debt[] = []
      for (const debt of all) {
        if (!mayPay(debt, node, groups) || !(await isOverdue(tx, debt, timeMs))) continue
        const key = `${debt.debtId} ${node}`
        const askedAtMs = asked.get(key)
        const nowMs = clock.monotonic()
        const isAgain = isLast && askedAtMs !== undefined && nowMs - askedAtMs >= ASK_AGAIN_MS
        if (askedAtMs !== undefined && !isAgain) continue
        asked.set(key, nowMs)
        due.push({ debtId: debt.debtId, service: debt.service })
      }
      return due.slice(0, DEBTS_MAX)
    },
  }
}

async function isOverdue(
  tx: Transaction,
  { node, sinceTimeMs }: DebtRecord,
  timeMs: number,
): Promise<boolean> {
  if (timeMs - sinceTimeMs >= DEBT_PATIENCE_MS) return true
  return (await tx.nodes.get(node)) === undefined
}

/** Its own, or that of another member of one of its groups. */
export function mayPay(
  debt: Pick<DebtRecord, 'node' | 'groups'>,
  node: string,
  groups: readonly string[],
): boolean {
  return debt.node === node || debt.groups.some(group => groups.includes(group))
}
