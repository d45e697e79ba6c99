// A plan as text: node by node, service by service, change by change.

import { unreachable } from '../../../shared/assert.ts'
import type { PlannedNodeView, PlanView } from '../../../shared/contract/operator-api.ts'
import type { ChangeSummary, ServiceReport } from '../../../shared/contract/report.ts'
import type { Paint } from '../output.ts'
import { because, count } from './words.ts'

export interface PlanViewOptions {
  readonly paint: Paint
  /** Name of the fleet spec, for example `fleet.yaml`. */
  readonly document: string
  readonly showDiff: boolean
}

export function planText(plan: PlanView, options: PlanViewOptions): string {
  const nodes = plan.nodes.map(node => nodeText(node, options)).join('')
  const closing = [
    ...orderLine(plan),
    ...plan.windows.map(window => `Interruption: ${window.message}`),
    ...(plan.unselected.length === 0
      ? []
      : [`Not selected by ${options.document}: ${plan.unselected.join(', ')}`]),
    ...(plan.refused === undefined
      ? []
      : [options.paint.yellow(`Refused as it is: ${because(plan.refused)}`)]),
    options.paint.bold(planSummary(plan, options.document)),
  ]
  return `${nodes}${nodes === '' ? '' : '\n'}${closing.join('\n')}\n`
}

/** True when applying would do nothing at all, as far as every node could say. */
export function isEmptyPlan(plan: PlanView): boolean {
  return plan.nodes.every(node => node.result === 'none')
}

/** `Plan: 3 nodes, 12 changes, 4 restarts`, and what is left to know. */
export function planSummary(plan: PlanView, document: string): string {
  if (isEmptyPlan(plan))
    return plan.nodes.length === 0
      ? `Plan: no changes, ${document} selects no node`
      : `Plan: no changes, ${count(plan.nodes.length, 'node')} as ${document} says`
  const services = plan.nodes
    .filter(node => node.result === 'changes')
    .flatMap(node => node.services)
  const sum = (activation: string) =>
    services.filter(service => service.activation === activation).length
  const nodesWith = (result: string) => plan.nodes.filter(node => node.result === result).length
  const changes = services.reduce((total, service) => total + service.changes.length, 0)
  const extras = [
    [sum('reload'), count(sum('reload'), 'reload')],
    [nodesWith('unreachable'), `${count(nodesWith('unreachable'), 'node')} unreachable`],
    [nodesWith('unsupported'), `${count(nodesWith('unsupported'), 'node')} unsupported`],
  ] as const
  return [
    `Plan: ${count(plan.changes, 'node')}`,
    count(changes, 'change'),
    count(sum('restart'), 'restart'),
    ...extras.flatMap(([number, text]) => (number === 0 ? [] : [text])),
  ].join(', ')
}

function orderLine(plan: PlanView): readonly string[] {
  const moving = plan.nodes.filter(
    node => node.result === 'changes' || node.result === 'unreachable',
  )
  return moving.length < 2 ? [] : [`Order: ${moving.map(node => node.node).join(', ')}`]
}

/** One node, its services and their changes. */
export function nodeText(node: PlannedNodeView, options: PlanViewOptions): string {
  const { paint } = options
  const name = paint.bold(node.node)
  switch (node.result) {
    case 'none':
      return `${name}  no changes\n${servicesText(node, options)}`
    case 'unreachable':
      return `${name}  ${paint.yellow('unreachable')}: ${because(node.reason)}; what would change is not known\n`
    case 'unsupported':
      return `${name}  ${paint.red('unsupported')}: ${because(node.reason)}\n${servicesText(node, options)}`
    case 'changes':
      return `${name}\n${servicesText(node, options)}`
    default:
      return unreachable(node.result)
  }
}

function servicesText(node: PlannedNodeView, options: PlanViewOptions): string {
  return node.services.map(service => serviceText(service, options)).join('')
}

function serviceText(service: ServiceReport, options: PlanViewOptions): string {
  const version = service.version === undefined ? '' : ` ${service.version}`
  const notices = service.notices.map(notice => `    note: ${because(notice)}\n`).join('')
  const headline = serviceHeadline(service, options.paint)
  if (headline === undefined && notices === '') return ''
  const changes = service.changes.map(change => changeText(change, options)).join('')
  return `  ${service.service}${version}  ${headline ?? 'no changes'}\n${changes}${notices}`
}

/** What becomes of the service; undefined when there is nothing to tell. */
function serviceHeadline(service: ServiceReport, paint: Paint): string | undefined {
  if (service.outcome === 'unsupported' || service.outcome === 'failed')
    return `${paint.red(service.outcome)}: ${because(service.reason)}`
  if (service.changes.length === 0) return undefined
  const drift = service.corrective ? 'corrects drift, ' : ''
  const waiting = service.outcome === 'waiting' ? `waits: ${because(service.reason)}, ` : ''
  return `${waiting}${drift}${activationText(service, paint)}: ${because(service.activationReason)}`
}

function activationText(service: ServiceReport, paint: Paint): string {
  switch (service.activation) {
    case 'none':
      return 'no restart'
    case 'reload':
      return paint.cyan('reload')
    case 'restart':
      return paint.yellow('restart')
    default:
      return unreachable(service.activation)
  }
}

function changeText(change: ChangeSummary, { paint, showDiff }: PlanViewOptions): string {
  const lines = [
    `    ${mark(change, paint)} ${change.resource}: ${change.summary}`,
    `      ${paint.dim(`because ${because(change.reason)}`)}`,
  ]
  if (showDiff && change.diff !== undefined)
    lines.push(
      ...change.diff
        .trimEnd()
        .split('\n')
        .map(line => diffLine(line, paint)),
    )
  return `${lines.join('\n')}\n`
}

function mark(change: ChangeSummary, paint: Paint): string {
  switch (change.action) {
    case 'create':
      return paint.green('+')
    case 'update':
      return paint.yellow('~')
    case 'remove':
      return paint.red('-')
    default:
      return unreachable(change.action)
  }
}

function diffLine(line: string, paint: Paint): string {
  const colour = line.startsWith('@@')
    ? paint.cyan
    : line.startsWith('+')
      ? paint.green
      : line.startsWith('-')
        ? paint.red
        : (text: string) => text
  return line === '' ? '' : `        ${colour(line)}`
}
