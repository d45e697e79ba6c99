import type { FreezeView } from '../../../shared/contract/rollout-verbs.ts'
import { formatTable, type Width } from '../table.ts'
import { relativeTime } from './words.ts'

export function freezesText(
  freezes: readonly FreezeView[],
  { width, nowMs }: { readonly width: Width; readonly nowMs: number },
): string {
  if (freezes.length === 0) return 'nothing is frozen\n'
  const rows = freezes.map(({ name, nodes, actor, atMs, reason }) => [
    name,
    nodes === undefined ? 'all nodes' : nodes.join(' '),
    actor,
    relativeTime(atMs, nowMs),
    reason,
  ])
  const titles = ['FREEZE', 'SCOPE', 'BY', 'SINCE', 'REASON']
  return formatTable(
    titles.map(title => ({ title })),
    rows,
    width,
  )
}
