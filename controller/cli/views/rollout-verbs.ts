// Where a rollout is, why its nodes wait, and what groups can spare. Pure.

import { unreachable } from '../../../shared/assert.ts'
import type {
  GateList,
  GateResult,
  GroupBudget,
  StepList,
} from '../../../shared/contract/rollout-verbs.ts'
import { formatDuration } from '../../../shared/duration.ts'
import type { Paint } from '../output.ts'
import { formatTable, type Width } from '../table.ts'
import { because, relativeTime } from './words.ts'

export function stepsText(id: string, list: StepList, width: Width): string {
  const paused = list.pausedBy.length === 0 ? '' : `, paused (${list.pausedBy.join(', ')})`
  const soak =
    list.soakLeftMs === undefined || list.soakLeftMs === 0
      ? ''
      : `, ${formatDuration(Math.ceil(list.soakLeftMs / 1000) * 1000)} of its soak left`
  const head = `rollout ${id} is ${list.status}${paused}; batch ${list.batch + 1} of ${list.batches}${soak}\n`
  const columns = [
    { title: 'NODE' },
    { title: 'BATCH', align: 'right' as const },
    { title: 'STATE' },
    { title: 'WAITS FOR' },
  ]
  const rows = list.steps.map(({ node, batch, state, waiting }) => {
    return [node, String(batch + 1), state, waiting?.message ?? '']
  })
  return head + formatTable(columns, rows, width)
}

/** How the gates were judged, what the cluster looked like before, and what is still to be judged. */
export function gatesText(
  { wanted, baseline, results }: GateList,
  { paint, width }: { readonly paint: Paint; readonly width: Width },
): string {
  const lines = [`gates of the current batch: ${wanted.join(', ') || 'none'}`]
  for (const { name, view } of baseline?.clusters ?? [])
    lines.push(`before it, ${name} was ${view.health} with ${view.size} members`)
  const unseen = baseline?.unseen ?? []
  if (unseen.length > 0)
    lines.push(`before it, nobody could reach ${unseen.join(', ')} from outside`)
  if (results.length === 0) return `${lines.join('\n')}\nnothing was judged yet\n`
  const rows = results.map(({ atMs, phase, batch, gate, verdict, evidence }) => [
    new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z'),
    `${phase + 1}.${batch + 1}`,
    gate,
    verdictText(verdict, paint),
    because(evidence),
  ])
  const titles = ['AT', 'BATCH', 'GATE', 'VERDICT', 'EVIDENCE']
  const table = formatTable(
    titles.map(title => ({ title })),
    rows,
    width,
  )
  return `${lines.join('\n')}\n\n${table}`
}

function verdictText(verdict: GateResult['verdict'], paint: Paint): string {
  switch (verdict) {
    case 'pass':
      return paint.green(verdict)
    case 'fail':
      return paint.red(verdict)
    case 'inconclusive':
      return paint.yellow(verdict)
    default:
      return unreachable(verdict)
  }
}

export function groupsText(groups: readonly GroupBudget[], width: Width, nowMs: number): string {
  if (groups.length === 0) return 'no groups: nothing is declared, and the fleet has no clusters\n'
  const columns = [
    { title: 'GROUP' },
    { title: 'KIND' },
    { title: 'MEMBERS', align: 'right' as const },
    { title: 'CAN SPARE', align: 'right' as const },
    { title: 'LEADER' },
    { title: 'HEALTH' },
    { title: 'LEASES' },
    { title: 'OUT' },
  ]
  const rows = groups.map(({ name, kind, members, limit, leader, health, leases, out }) => [
    name,
    kind,
    String(members.length),
    String(limit),
    leader ?? '-',
    health ?? '-',
    leases
      .map(
        ({ node, purpose, takenAtMs }) => `${node} (${purpose}, ${relativeTime(takenAtMs, nowMs)})`,
      )
      .join(', ') || '-',
    out.map(({ node, reason }) => `${node}: ${reason.message}`).join('; ') || '-',
  ])
  const notices = groups.flatMap(({ name, notices: found = [] }) =>
    found.map(notice => `note: ${name}: ${because(notice)}\n`),
  )
  return formatTable(columns, rows, width) + notices.join('')
}
