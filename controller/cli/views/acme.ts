// ACME directories, and the orders that are not done.

import type { AcmeDirectoryView, AcmeOrderView, AcmeView } from '../../../shared/contract/acme.ts'
import { type Column, formatTable } from '../table.ts'
import type { StatusViewOptions } from './status.ts'
import { because, relativeTime } from './words.ts'

const DIRECTORY_COLUMNS: readonly Column[] = [
  { title: 'DIRECTORY' },
  { title: 'ACCOUNT' },
  { title: 'CHALLENGES' },
  { title: 'LAST HOUR', align: 'right' },
  { title: 'URL' },
]

const ORDER_COLUMNS: readonly Column[] = [
  { title: 'NODE' },
  { title: 'SERVICE' },
  { title: 'DIRECTORY' },
  { title: 'STATE' },
  { title: 'TRIES', align: 'right' },
  { title: 'NEXT' },
  { title: 'NAMES' },
  { title: 'REASON' },
]

export function acmeText({ directories, orders }: AcmeView, options: StatusViewOptions): string {
  if (directories.length === 0) return 'no ACME directories are configured\n'
  const table = formatTable(DIRECTORY_COLUMNS, directories.map(directoryRow), options.width)
  const blocked = directories.map(one => blockedText(one, options)).join('')
  if (orders.length === 0) return `${table}${blocked}\nno orders under way\n`
  const rows = orders.map(order => orderRow(order, options))
  return `${table}${blocked}\n${formatTable(ORDER_COLUMNS, rows, options.width)}`
}

function directoryRow(directory: AcmeDirectoryView): readonly string[] {
  const { name, url, challenges, accountUrl, ordered, ordersPerHour } = directory
  return [
    name,
    accountUrl === undefined ? 'none yet' : 'registered',
    challenges.join(' '),
    `${ordered} of ${ordersPerHour}`,
    url,
  ]
}

function blockedText(
  { name, blocked }: AcmeDirectoryView,
  { paint, nowMs }: StatusViewOptions,
): string {
  if (blocked === undefined) return ''
  return paint.yellow(
    `${name}: next try ${relativeTime(blocked.untilMs, nowMs)}: ${because(blocked.reason)}\n`,
  )
}

function orderRow(order: AcmeOrderView, { nowMs }: StatusViewOptions): readonly string[] {
  const { node, service, directory, state, attempts, nextAttemptAtMs, names, reason } = order
  return [
    node,
    service,
    directory,
    state,
    String(attempts),
    nextAttemptAtMs <= nowMs ? 'now' : relativeTime(nextAttemptAtMs, nowMs),
    [...names.dns, ...names.ip].join(' '),
    reason === undefined ? '-' : because(reason),
  ]
}
