// Nodes as a list, and one node in full.

import type { NodeView } from '../../../shared/contract/operator-api.ts'
import type { Labels } from '../../../shared/contract/schema.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { type Column, formatTable } from '../table.ts'
import { type StatusViewOptions, stateText } from './status.ts'
import { because, count, relativeTime } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'NODE' },
  { title: 'STATE' },
  { title: 'SEEN' },
  { title: 'AGENT' },
  { title: 'LABELS' },
  { title: 'MODE', wide: true },
  { title: 'REVISION', align: 'right', wide: true },
  { title: 'GENERATION', align: 'right', wide: true },
  { title: 'SERVICES', wide: true },
  { title: 'NAMES' },
]

export function nodesText(nodes: readonly NodeView[], options: StatusViewOptions): string {
  const { paint, width, nowMs } = options
  if (nodes.length === 0) return 'no nodes\n'
  const rows = nodes.map(node => [
    node.name,
    stateText(node.state, paint),
    seenText(node, nowMs),
    node.agentVersion ?? '-',
    labelsText(node.labels),
    node.mode ?? '-',
    String(node.revision ?? '-'),
    String(node.generation ?? '-'),
    node.services.map(({ service }) => service).join(' ') || '-',
    [...node.names.dns, ...node.names.ip].join(' '),
  ])
  return formatTable(COLUMNS, rows, width)
}

export function nodeText(node: NodeView, { paint, nowMs }: StatusViewOptions): string {
  const facts = Object.entries(node.facts).map(([key, value]) => `${key}=${value}`)
  const entries: readonly (readonly [string, string])[] = [
    ['state', `${stateText(node.state, paint)}: ${because(node.reason)}`],
    ['labels', labelsText(node.labels)],
    ['dns', node.names.dns.join(' ') || '-'],
    ['ip', node.names.ip.join(' ') || '-'],
    ['added', timeText(node.createdAtMs, nowMs)],
    ['enrolled', timeText(node.enrolledAtMs, nowMs)],
    ['seen', node.online ? 'online' : timeText(node.seenAtMs, nowMs)],
    ['agent', node.agentVersion ?? '-'],
    ['mode', node.mode ?? '-'],
    ['revision', String(node.revision ?? '-')],
    ['generation', `${node.generation ?? '-'}, observed ${node.observedGeneration ?? '-'}`],
    ['facts', facts.join(' ') || '-'],
  ]
  const head = entries.map(([key, value]) => `  ${key.padEnd(12)}${value}\n`).join('')
  const services = node.services.map(service => serviceText(service, nowMs)).join('')
  return `${paint.bold(node.name)}\n${head}${services}`
}

function serviceText(service: ServiceReport, nowMs: number): string {
  const lines = [
    `  ${service.service}${service.version === undefined ? '' : ` ${service.version}`}  ${service.outcome}: ${because(service.reason)}`,
  ]
  if (service.unit !== undefined) lines.push(`    unit      ${service.unit}`)
  if (service.notAfterMs !== undefined)
    lines.push(`    leaf      ends ${timeText(service.notAfterMs, nowMs)}`)
  if (service.renewAtMs !== undefined)
    lines.push(`    renewal   ${timeText(service.renewAtMs, nowMs)}`)
  for (const served of service.served) {
    const end =
      served.notAfterMs === undefined ? '' : `, ends ${timeText(served.notAfterMs, nowMs)}`
    const protocol = served.protocol === undefined ? '' : `, ${served.protocol}`
    const verdict = served.ok ? 'ok' : 'not ok'
    lines.push(
      `    serves    ${served.listener}: ${verdict}: ${because(served.reason)}${protocol}${end}`,
    )
  }
  if (service.changes.length > 0)
    lines.push(`    changes   ${count(service.changes.length, 'change')}`)
  for (const notice of service.notices) lines.push(`    note      ${because(notice)}`)
  return `${lines.join('\n')}\n`
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length === 0 ? '-' : pairs.toSorted().join(' ')
}

function seenText(node: NodeView, nowMs: number): string {
  if (node.online) return 'online'
  return node.seenAtMs === undefined ? 'never' : relativeTime(node.seenAtMs, nowMs)
}

function timeText(atMs: number | undefined, nowMs: number): string {
  if (atMs === undefined) return 'never'
  return `${new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')} (${relativeTime(atMs, nowMs)})`
}
