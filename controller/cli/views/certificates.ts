// Certificates as a table, what ends first on top, or each in full.

import { unreachable } from '../../../shared/assert.ts'
import type {
  CertificateClients,
  CertificateState,
  CertificateView,
} from '../../../shared/contract/certificates.ts'
import type { Paint } from '../output.ts'
import { type Column, formatTable } from '../table.ts'
import type { StatusViewOptions } from './status.ts'
import { because, count, relativeTime } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'ENDS' },
  { title: 'STATE' },
  { title: 'NODE' },
  { title: 'CERTIFICATE' },
  { title: 'RENEWAL' },
  { title: 'CLIENTS' },
  { title: 'SOURCE', wide: true },
  { title: 'ISSUER', wide: true },
  { title: 'NAMES', wide: true },
  { title: 'FINGERPRINT', wide: true },
  { title: 'REASON' },
]

/** What the list was asked for, for its last line. */
export interface CertificatesAsked {
  /** `--expiring` or the default of a forecast, as it was written. */
  readonly within: string | undefined
  readonly isForecast: boolean
}

/** Earliest end first; what has no known end last. */
export function byEnd(certificates: readonly CertificateView[]): readonly CertificateView[] {
  return certificates.toSorted((a, b) => {
    const [endA, endB] = [a.notAfterMs ?? Infinity, b.notAfterMs ?? Infinity]
    return endA === endB ? 0 : endA - endB
  })
}

export function certificatesText(
  certificates: readonly CertificateView[],
  asked: CertificatesAsked,
  options: StatusViewOptions,
): string {
  const { paint, width, nowMs } = options
  const summary = paint.bold(certificatesSummary(certificates, asked, nowMs))
  if (certificates.length === 0) return `${summary}\n`
  const rows = certificates.map(one => [
    endText(one, { paint, nowMs }),
    certificateStateText(one.state, paint),
    one.node ?? '-',
    whatText(one),
    renewalText(one, { paint, nowMs }),
    clientsText(one.clients),
    one.source ?? '-',
    one.issuer ?? '-',
    [...(one.names?.dns ?? []), ...(one.names?.ip ?? [])].join(' ') || '-',
    one.fingerprint ?? '-',
    one.reason.message,
  ])
  return `${formatTable(COLUMNS, rows, width)}\n${summary}\n`
}

export function certificateDetails(
  certificates: readonly CertificateView[],
  { paint, nowMs }: StatusViewOptions,
): string {
  return certificates.map(one => detailText(one, paint, nowMs)).join('\n')
}

/** `5 certificates: 4 ok, 1 unknown; the first ends in 12 d (prometheus https :9090 on prom-1)` */
export function certificatesSummary(
  certificates: readonly CertificateView[],
  { within, isForecast }: CertificatesAsked,
  nowMs: number,
): string {
  const scope = [
    ...(within === undefined ? [] : [`end within ${within}`]),
    ...(isForecast ? ['if nothing changes'] : []),
  ].join(' ')
  const [first] = byEnd(certificates)
  if (first === undefined) return scope === '' ? 'no certificates' : `no certificates ${scope}`
  const states = [...Map.groupBy(certificates, ({ state }) => state)]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, alike]) => `${alike.length} ${state}`)
  const text = `${count(certificates.length, 'certificate')}${scope === '' ? '' : ` ${scope}`}: ${states.join(', ')}`
  if (first.notAfterMs === undefined) return text
  const verb = first.notAfterMs <= nowMs ? 'ended' : 'ends'
  const where = first.node === undefined ? '' : ` on ${first.node}`
  return `${text}; the first ${verb} ${relativeTime(first.notAfterMs, nowMs)} (${whatText(first)}${where})`
}

function certificateStateText(state: CertificateState, paint: Paint): string {
  switch (state) {
    case 'ok':
      return paint.green(state)
    case 'renewal-due':
    case 'overdue':
    case 'unknown':
      return paint.yellow(state)
    case 'expired':
    case 'foreign':
      return paint.red(state)
    default:
      return unreachable(state)
  }
}

function endText(
  { notAfterMs }: CertificateView,
  { paint, nowMs }: { readonly paint: Paint; readonly nowMs: number },
): string {
  if (notAfterMs === undefined) return '-'
  const text = relativeTime(notAfterMs, nowMs)
  return notAfterMs <= nowMs ? paint.red(text) : text
}

// Why there is none is in the last column. That CA certificates have none is no news.
function renewalText(
  { kind, unrenewed, renewAtMs }: CertificateView,
  { paint, nowMs }: { readonly paint: Paint; readonly nowMs: number },
): string {
  if (unrenewed !== undefined) return kind === 'authority' ? 'no' : paint.yellow('no')
  if (renewAtMs === undefined) return '-'
  return renewAtMs <= nowMs ? 'now' : relativeTime(renewAtMs, nowMs)
}

function whatText({ kind, service, listener, role, subject }: CertificateView): string {
  switch (kind) {
    case 'listener':
      return [service, listener].filter(part => part !== undefined).join(' ')
    case 'identity':
      return 'agent'
    case 'authority':
      return [role, subject].filter(part => part !== undefined).join(' ')
    default:
      return unreachable(kind)
  }
}

/** `14 trust, 1 lacks-issuer` */
function clientsText(clients: readonly CertificateClients[]): string {
  if (clients.length === 0) return '-'
  const counts = new Map<string, number>()
  for (const { trust, count: number } of clients)
    counts.set(trust, (counts.get(trust) ?? 0) + number)
  return [...counts]
    .map(([trust, number]) => `${number} ${trust === 'trusts' ? 'trust' : trust}`)
    .join(', ')
}

function detailText(certificate: CertificateView, paint: Paint, nowMs: number): string {
  const { state, node, reason, unrenewed, names, chain = [], clients } = certificate
  const where = node === undefined ? '' : `${node} `
  const entries: readonly (readonly [string, string | undefined])[] = [
    ['state', `${certificateStateText(state, paint)}: ${because(reason)}`],
    ['ends', timeText(certificate.notAfterMs, nowMs)],
    [
      'renewal',
      unrenewed === undefined
        ? timeText(certificate.renewAtMs, nowMs)
        : `no: ${because(unrenewed)}`,
    ],
    ['source', certificate.source],
    ['names', names === undefined ? undefined : [...names.dns, ...names.ip].join(' ')],
    ['subject', certificate.subject],
    ['issuer', certificate.issuer],
    ['sha256', certificate.fingerprint],
    ...chain.map(
      ({ subject, notAfterMs }) =>
        ['chain', `${subject}, ends ${timeText(notAfterMs, nowMs) ?? '-'}`] as const,
    ),
    ...clients.map(client => ['client', clientText(client)] as const),
  ]
  const lines = entries
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `  ${key.padEnd(12)}${value}\n`)
  return `${paint.bold(`${where}${whatText(certificate)}`)}\n${lines.join('')}`
}

function clientText({ service, trust, count: number, nodes }: CertificateClients): string {
  const more = number > nodes.length ? ` and ${number - nodes.length} more` : ''
  return `${service} ${trust}: ${nodes.join(' ')}${more}`
}

function timeText(atMs: number | undefined, nowMs: number): string | undefined {
  if (atMs === undefined) return undefined
  const time = new Date(Math.min(atMs, TIME_MS_MAX)).toISOString().replace(/\.\d+Z$/, 'Z')
  return `${time} (${relativeTime(atMs, nowMs)})`
}

// Of a Date; what listeners of others show may end at any time.
const TIME_MS_MAX = 8.64e15
