// Certificate requests as a table, and what became of the certificates of an import.

import { unreachable } from '../../../shared/assert.ts'
import type {
  CertificateRequestView,
  ImportedCertificate,
  ImportOutcome,
  RequestStateName,
} from '../../../shared/contract/certificate-requests.ts'
import type { Paint } from '../output.ts'
import { type Column, formatTable } from '../table.ts'
import type { StatusViewOptions } from './status.ts'
import { because, count, relativeTime } from './words.ts'

const REQUEST_COLUMNS: readonly Column[] = [
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'NODE' },
  { title: 'SERVICE' },
  { title: 'KEY' },
  { title: 'USE' },
  { title: 'MADE' },
  { title: 'NAMES' },
  { title: 'REASON' },
]

export function requestsText(
  requests: readonly CertificateRequestView[],
  { paint, width, nowMs }: StatusViewOptions,
): string {
  if (requests.length === 0) return 'no certificate requests\n'
  const rows = requests.map(one => [
    one.id.slice(0, 8),
    stateText(one.state, paint),
    one.node,
    one.service,
    one.keyType,
    one.clientUse ? 'server, client' : 'server',
    relativeTime(one.createdAtMs, nowMs),
    [...one.names.dns, ...one.names.ip].join(' '),
    one.reason === undefined ? '-' : because(one.reason),
  ])
  const states = [...Map.groupBy(requests, ({ state }) => state)]
    .map(([state, alike]) => `${alike.length} ${state}`)
    .join(', ')
  const summary = `${count(requests.length, 'certificate request')}: ${states}`
  return `${formatTable(REQUEST_COLUMNS, rows, width)}\n${paint.bold(summary)}\n`
}

function stateText(state: RequestStateName, paint: Paint): string {
  switch (state) {
    case 'pending':
      return paint.yellow(state)
    case 'signed':
      return paint.green(state)
    case 'refused':
      return paint.red(state)
    case 'withdrawn':
      return paint.dim(state)
    default:
      return unreachable(state)
  }
}

const IMPORT_COLUMNS: readonly Column[] = [
  { title: 'OUTCOME' },
  { title: 'NODE' },
  { title: 'SERVICE' },
  { title: 'ENDS' },
  { title: 'FROM' },
  { title: 'REASON' },
]

export function importedText(
  results: readonly ImportedCertificate[],
  { paint, width, nowMs }: StatusViewOptions,
): string {
  const rows = results.map(one => [
    outcomeText(one.outcome, paint),
    one.node ?? '-',
    one.service ?? '-',
    one.notAfterMs === undefined ? '-' : relativeTime(one.notAfterMs, nowMs),
    one.source,
    one.reasons.map(because).join('; ') || (one.subject ?? '-'),
  ])
  const outcomes = [...Map.groupBy(results, ({ outcome }) => outcome)]
    .map(([outcome, alike]) => `${alike.length} ${wordFor(outcome)}`)
    .join(', ')
  const summary = `${count(results.length, 'certificate')}: ${outcomes}`
  return `${formatTable(IMPORT_COLUMNS, rows, width)}\n${paint.bold(summary)}\n`
}

function outcomeText(outcome: ImportOutcome, paint: Paint): string {
  switch (outcome) {
    case 'taken':
      return paint.green(wordFor(outcome))
    case 'known':
    case 'issuer':
      return paint.dim(wordFor(outcome))
    case 'refused':
      return paint.red(wordFor(outcome))
    default:
      return unreachable(outcome)
  }
}

function wordFor(outcome: ImportOutcome): string {
  switch (outcome) {
    case 'known':
      return 'taken before'
    case 'issuer':
      return 'CA certificate'
    case 'taken':
    case 'refused':
      return outcome
    default:
      return unreachable(outcome)
  }
}
