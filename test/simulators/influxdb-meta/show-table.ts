// What `influxd-ctl show` prints: two layouts. Readers must go by the headers.

import { isAtLeast } from '../version.ts'
import type { ShowCluster, Status } from './wire.ts'

/** The version in which the layout changed is not known; the manual of 1.9 is the first with the new. */
const NEW_LAYOUT_SINCE = '1.9.0'

export function showTable(
  cluster: ShowCluster,
  status: Status,
  version: string,
  layout: string | undefined,
): string {
  const isNew = layout === undefined ? isAtLeast(version, NEW_LAYOUT_SINCE) : layout === 'new'
  return isNew ? newLayout(cluster, status) : oldLayout(cluster)
}

function oldLayout({ data, meta }: ShowCluster): string {
  return [
    ...section('Data Nodes', [
      ['ID', 'TCP Address', 'Version'],
      ...data.map(({ id, tcpAddr, version }) => [String(id), tcpAddr, version]),
    ]),
    '',
    ...section('Meta Nodes', [
      ['TCP Address', 'Version'],
      ...meta.map(({ addr, version }) => [addr, version]),
    ]),
    '',
  ].join('\n')
}

function newLayout({ data, meta }: ShowCluster, { leader, peers }: Status): string {
  const others = (peers ?? []).filter(peer => peer !== leader)
  return [
    ...section('Data Nodes', [
      ['ID', 'TCP Address', 'HTTP Address', 'Version', 'Labels', 'Passive'],
      ...data.map(({ id, tcpAddr, addr, version }) => [
        String(id),
        tcpAddr,
        addr,
        version,
        LABELS,
        'false',
      ]),
    ]),
    '',
    ...section('Meta Nodes', [
      ['ID', 'Raft Address', 'HTTP Address', 'Version', 'Labels'],
      ...meta.map(({ id, tcpAddr, addr, version }) => [String(id), tcpAddr, addr, version, LABELS]),
    ]),
    '',
    'Raft Status',
    '==========',
    `Leader  ${leader}`,
    `Peers   [${others.map(peer => JSON.stringify(peer)).join(', ')}]`,
    '',
  ].join('\n')
}

/** JSON, and so with blanks and commas where there are labels. */
const LABELS = '{}'

function section(title: string, rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map(row => (row[column] ?? '').length)),
  )
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 2))
      .join('')
      .trimEnd(),
  )
  return [title, '==========', ...lines]
}
