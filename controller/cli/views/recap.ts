// The end of a rollout in Ansible's words: a row a node, a count a column.

import { unreachable } from '../../../shared/assert.ts'
import type { NodeView, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { OutcomeKind } from '../../../shared/contract/report.ts'
import { formatDuration } from '../../../shared/duration.ts'
import type { Paint } from '../output.ts'
import { type Column, type Width, formatTable } from '../table.ts'
import type { StepView } from './rollout.ts'
import { because, count } from './words.ts'

/** Services by what became of them; `unreachable` counts the node itself. */
export interface RecapRow {
  readonly node: string
  readonly ok: number
  readonly changed: number
  readonly failed: number
  readonly unreachable: number
  readonly waiting: number
  readonly restarts: number
  readonly reloads: number
  /** Why the node is not where it should be. */
  readonly reason?: Reason
}

/** `nodes`: each as it was when its step ended, as far as known. */
export function recapOf(
  rollout: RolloutView,
  nodes: ReadonlyMap<string, NodeView>,
): readonly RecapRow[] {
  return rollout.steps.map(step => recapRow(step, nodes.get(step.node)))
}

function recapRow(step: StepView, node: NodeView | undefined): RecapRow {
  // An older report tells of an older desired state.
  const isCurrent = (node?.observedGeneration ?? 0) >= (step.generation ?? Infinity)
  const services = isCurrent ? (node?.services ?? []) : []
  const counts = { ok: 0, changed: 0, failed: 0, unreachable: 0, waiting: 0 }
  for (const service of services) counts[columnOf(service.outcome)]++

  // What the controller decided about the node holds, whatever its services say.
  const column = stepColumn(step, node)
  if (column !== undefined) counts[column] ||= 1
  const activations = (kind: string) =>
    services
      .filter(service => service.activation === kind)
      .reduce((sum, service) => sum + service.activations, 0)
  const reason = column === undefined ? undefined : (step.reason ?? node?.reason)
  return {
    node: step.node,
    ...counts,
    restarts: activations('restart'),
    reloads: activations('reload'),
    ...(reason === undefined ? {} : { reason }),
  }
}

function columnOf(outcome: OutcomeKind): 'ok' | 'changed' | 'failed' | 'waiting' {
  switch (outcome) {
    case 'in-sync':
      return 'ok'
    case 'changed':
      return 'changed'
    case 'staged':
    case 'planned':
    case 'waiting':
      return 'waiting'
    case 'restored':
    case 'failed':
    case 'unsupported':
      return 'failed'
    default:
      return unreachable(outcome)
  }
}

function stepColumn(
  step: StepView,
  node: NodeView | undefined,
): 'failed' | 'unreachable' | 'waiting' | undefined {
  switch (step.state) {
    case 'done':
      return undefined
    case 'refused':
    case 'reverted':
    case 'broken':
      return 'failed'
    case 'waiting':
    case 'assigned':
    case 'staged':
    case 'permitted':
    case 'applying':
    case 'suspect':
    case 'deferred':
    case 'skipped':
      return node?.online === false ? 'unreachable' : 'waiting'
    default:
      return unreachable(step.state)
  }
}

const COLUMNS: readonly Column[] = [
  { title: 'NODE' },
  { title: 'OK', align: 'right' },
  { title: 'CHANGED', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'UNREACHABLE', align: 'right' },
  { title: 'WAITING', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'RELOADS', align: 'right' },
  { title: 'REASON' },
]

export function recapText(
  rollout: RolloutView,
  rows: readonly RecapRow[],
  { paint, width }: { readonly paint: Paint; readonly width: Width },
): string {
  const closing = paint.bold(closingLine(rollout))
  if (rows.length === 0) return `${closing}\n`
  const colour = (number: number, painted: (text: string) => string) =>
    number === 0 ? '0' : painted(String(number))
  const cells = rows.map(row => [
    row.node,
    colour(row.ok, paint.green),
    colour(row.changed, paint.yellow),
    colour(row.failed, paint.red),
    colour(row.unreachable, paint.red),
    colour(row.waiting, paint.cyan),
    String(row.restarts),
    String(row.reloads),
    row.reason === undefined ? '' : because(row.reason),
  ])
  return `${formatTable(COLUMNS, cells, width)}\n${closing}\n`
}

function closingLine(rollout: RolloutView): string {
  if (rollout.steps.length === 0 && rollout.status === 'succeeded')
    return `Revision ${rollout.revision}: every node has it already, nothing to do`
  const { startedAtMs, endedAtMs } = rollout
  const took =
    startedAtMs === undefined || endedAtMs === undefined
      ? ''
      : ` after ${formatDuration(Math.round((endedAtMs - startedAtMs) / 1_000) * 1_000)}`
  const reason = rollout.reason === undefined ? '' : `: ${because(rollout.reason)}`
  const done = rollout.steps.filter(step => step.state === 'done').length
  const ended =
    rollout.status === 'partial'
      ? `reached ${done} of ${count(rollout.steps.length, 'node')} only`
      : STATUS_TEXTS[rollout.status]
  return `Rollout ${rollout.id} of revision ${rollout.revision} ${ended}${took}${reason}`
}

const STATUS_TEXTS = {
  planned: 'is planned',
  staging: 'is staging',
  running: 'is running',
  draining: 'is stopping',
  succeeded: 'succeeded',
  partial: 'is partial',
  failed: 'failed',
  aborted: 'was aborted',
  superseded: 'was replaced by a newer one',
} satisfies Record<RolloutView['status'], string>
