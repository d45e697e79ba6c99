// The fleet as a table: one row a service, the node's own columns once.

import { unreachable } from '../../../shared/assert.ts'
import type { NodeState, NodeView } from '../../../shared/contract/operator-api.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import type { Paint } from '../output.ts'
import { type Column, type Width, formatTable } from '../table.ts'
import { count, relativeTime } from './words.ts'

export interface StatusViewOptions {
  readonly paint: Paint
  readonly width: Width
  readonly nowMs: number
}

const COLUMNS: readonly Column[] = [
  { title: 'NODE' },
  { title: 'STATE' },
  { title: 'REVISION', align: 'right' },
  { title: 'SERVICE' },
  { title: 'VERSION' },
  { title: 'CERTIFICATE ENDS' },
  { title: 'UNIT', wide: true },
  { title: 'OUTCOME', wide: true },
  { title: 'LISTENERS', wide: true },
  { title: 'REASON' },
]

export function statusText(nodes: readonly NodeView[], options: StatusViewOptions): string {
  if (nodes.length === 0) return 'no nodes yet; add one: tlsfleet node add NAME --dns NAME\n'
  const rows = nodes.flatMap(node => nodeRows(node, options))
  const summary = options.paint.bold(statusSummary(nodes, options.nowMs))
  return `${formatTable(COLUMNS, rows, options.width)}\n${summary}\n`
}

function nodeRows(node: NodeView, { paint, nowMs }: StatusViewOptions): readonly string[][] {
  const own = [node.name, stateText(node.state, paint), String(node.revision ?? '-')]
  if (node.services.length === 0)
    return [[...own, '-', '-', '-', '-', '-', '-', node.reason.message]]
  return node.services.map((service, index) => [
    ...(index === 0 ? own : ['', '', '']),
    service.service,
    service.version ?? '-',
    certificateEnd(service, { paint, nowMs }),
    service.unit ?? '-',
    service.outcome,
    service.served.map(({ listener }) => listener).join(' ') || '-',
    rowReason(node, service, index === 0),
  ])
}

export function stateText(state: NodeState, paint: Paint): string {
  switch (state) {
    case 'converged':
      return paint.green(state)
    case 'converging':
    case 'waiting':
    case 'drifting':
      return paint.yellow(state)
    case 'failed':
    case 'locked':
    case 'offline':
      return paint.red(state)
    case 'pending':
    case 'idle':
      return paint.dim(state)
    default:
      return unreachable(state)
  }
}

/** What is served counts, not what lies on disk. The earliest end of all listeners. */
function certificateEnd(
  service: ServiceReport,
  { paint, nowMs }: { readonly paint: Paint; readonly nowMs: number },
): string {
  const endMs = servedEndMs(service)
  if (endMs === undefined) return service.served.length === 0 ? '-' : paint.red('no TLS')
  const text = relativeTime(endMs, nowMs)
  if (endMs <= nowMs) return paint.red(`ended ${text}`)
  const isLate = service.renewAtMs !== undefined && service.renewAtMs < nowMs
  return isLate ? paint.yellow(text) : text
}

function servedEndMs(service: ServiceReport): number | undefined {
  const ends = service.served.flatMap(served => served.notAfterMs ?? [])
  return ends.length === 0 ? undefined : Math.min(...ends)
}

// A service that is not as it should be speaks for itself; else the node says why it is as it is.
function rowReason(node: NodeView, service: ServiceReport, isFirst: boolean): string {
  const isOff = node.state === 'offline' || node.state === 'pending' || node.state === 'locked'
  if (isOff) return isFirst ? node.reason.message : ''
  if (service.outcome !== 'in-sync' && service.outcome !== 'changed') return service.reason.message
  const bad = service.served.find(served => !served.ok)
  if (bad !== undefined) return `${bad.listener}: ${bad.reason.message}`
  return isFirst ? node.reason.message : service.reason.message
}

/** `12 nodes: 11 converged, 1 offline; first certificate ends in 12 d (prometheus on prom-1)` */
export function statusSummary(nodes: readonly NodeView[], nowMs: number): string {
  const states = new Map<NodeState, number>()
  for (const node of nodes) states.set(node.state, (states.get(node.state) ?? 0) + 1)
  const counted = [...states]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, number]) => `${number} ${state}`)
  const served = nodes
    .flatMap(node =>
      node.services.map(service => ({ node, service, endMs: servedEndMs(service) ?? Infinity })),
    )
    .toSorted((a, b) => a.endMs - b.endMs)
  const [first] = served
  const text = `${count(nodes.length, 'node')}: ${counted.join(', ')}`
  if (first === undefined || first.endMs === Infinity) return text
  const verb = first.endMs <= nowMs ? 'ended' : 'ends'
  const when = relativeTime(first.endMs, nowMs)
  return `${text}; first certificate ${verb} ${when} (${first.service.service} on ${first.node.name})`
}
