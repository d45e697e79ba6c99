// How the nodes of a plan move, as text: limits, phases, batches, order. Pure.

import { formatDuration } from '../../../shared/duration.ts'
import type { RolloutView } from '../../../shared/contract/operator-api.ts'
import type { PlannedStep, RolloutPlanView } from '../../../shared/contract/rollout-plan.ts'
import { nodeText } from './plan.ts'
import type { Paint } from '../output.ts'
import { because, count } from './words.ts'

type PhaseView = RolloutPlanView['phases'][number]
type BatchView = PhaseView['batches'][number]

/** Lines, one for each batch, group and window. */
export function movesText(plan: RolloutPlanView, paint: Paint): string {
  const phases = plan.phases.flatMap(phase => phaseLines(phase, plan.phases.length > 1, paint))
  const budgets = plan.groups.map(
    ({ name, kind, members, limit }) =>
      `Group ${name} (${kind}): at most ${limit} of ${members.length} out at once`,
  )
  return [...phases, ...budgets].map(line => `${line}\n`).join('')
}

/** The stored plan of a rollout, whole. */
export function rolloutPlanText(
  id: string,
  plan: RolloutPlanView,
  options: { readonly paint: Paint; readonly showDiff: boolean },
): string {
  const { paint } = options
  const steps = plan.phases.flatMap(({ batches }) => batches.flatMap(({ nodes }) => nodes))
  const nodes = steps.map(step => stepText(step, options)).join('')
  const windows = plan.windows.map(({ message }) => `Interruption: ${message}\n`).join('')
  const of = plan.parent === undefined ? '' : ` of rollout ${plan.parent}`
  const head = `Plan ${plan.digest} of rollout ${id}: ${plan.kind}${of}, revision ${plan.revision}, by ${plan.author}`
  return `${paint.bold(head)}\n\n${nodes}${nodes === '' ? '' : '\n'}${movesText(plan, paint)}${windows}`
}

/** Who of a new rollout is held to nothing, and why. */
export function unheldText({ unheld = [] }: Pick<RolloutView, 'unheld'>, paint: Paint): string {
  if (unheld.length === 0) return ''
  const lines = unheld
    .slice(0, NODES_MAX)
    .map(({ node, reason }) => `  ${node}: ${because(reason)}\n`)
  const more = unheld.length - lines.length
  const rest = more === 0 ? '' : `  and ${more} more\n`
  const who = unheld.length === 1 ? '1 node is' : `${unheld.length} nodes are`
  return `${paint.yellow(`${who} held to no diff`)}\n${lines.join('')}${rest}`
}

function phaseLines(phase: PhaseView, isNamed: boolean, paint: Paint): readonly string[] {
  const { name, barrier, coordinated, batches } = phase
  const notes = [
    ...(coordinated ? ['all stopped and changed together'] : []),
    ...(barrier ? ['every node before the next phase'] : []),
  ]
  const title = isNamed || notes.length > 0 ? [`Phase ${[name, ...notes].join(', ')}`] : []
  return [
    ...title,
    ...batches.map((batch, index) => batchLine(batch, index, batches.length, paint)),
  ]
}

function batchLine(batch: BatchView, index: number, of: number, paint: Paint): string {
  const { rule, soakMs, promote, nodes, count: size = nodes.length } = batch
  const notes = [
    rule === 'strict' ? 'one by one while no failure is tolerated' : 'several at once',
    ...(soakMs === 0 ? [] : [`then watched for ${formatDuration(soakMs)}`]),
    ...(promote === 'manual' ? ['an operator promotes it'] : []),
  ]
  const names = nodes.map(({ node, disruption }) =>
    disruption === undefined || disruption === 'none' ? node : `${node} (${disruption})`,
  )
  const shown = names.length > NODES_MAX ? [...names.slice(0, NODES_MAX), '…'] : names
  return `Batch ${index + 1} of ${of}, ${count(size, 'node')}: ${shown.join(', ')}; ${paint.dim(notes.join(', '))}`
}

// Of a large batch the first ones tell enough; `--json` has all.
const NODES_MAX = 20

function stepText(
  { node, heldTo, preview }: PlannedStep,
  { paint, showDiff }: { readonly paint: Paint; readonly showDiff: boolean },
): string {
  if (preview === undefined && heldTo !== undefined)
    return `${paint.bold(node)}  ${paint.dim('its diff is kept no longer')}\n`
  if (preview === undefined)
    return `${paint.bold(node)}  ${paint.yellow('not asked')}: held to no diff\n`
  return nodeText({ node, ...preview }, { paint, showDiff, document: '' })
}
