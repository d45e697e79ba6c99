import type { DebtView } from '../../../shared/contract/rollout-verbs.ts'
import { formatTable, type Width } from '../table.ts'
import { relativeTime } from './words.ts'

export function debtsText(
  debts: readonly DebtView[],
  { width, nowMs }: { readonly width: Width; readonly nowMs: number },
): string {
  if (debts.length === 0) return 'no node owes its cluster anything\n'
  const rows = debts.map(({ debtId, node, service, groups, sinceMs }) => [
    debtId,
    node,
    service,
    groups.join(' '),
    relativeTime(sinceMs, nowMs),
  ])
  const titles = ['DEBT', 'NODE', 'CLUSTER', 'GROUPS', 'SINCE']
  return formatTable(
    titles.map(title => ({ title })),
    rows,
    width,
  )
}
