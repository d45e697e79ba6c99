// A snapshot of the fleet as families of metrics. Pure; docs/monitoring.md has the table.
//
// Times are timestamps: an alert subtracts time(), and nothing changes while nothing happens. What
// reports claim (names of listeners, codes of reasons) is bounded here, or one node could make as many
// series as it likes.

import { type Family, gauge, type Sample, seconds, single } from '../../shared/exposition.ts'
import type { CertificateState } from '../../shared/contract/certificates.ts'
import { NodeState } from '../../shared/contract/operator-api.ts'
import type { FleetSnapshot, SnapshotCertificate } from './snapshot.ts'

// A scrape of so many is 3 MB of text; those that end first are the ones somebody must know of.
export const SERIES_MAX = 20_000
/** Of one node: nobody has as many listeners. */
const NODE_SERIES_MAX = 64
const REASONS_MAX = 64
const LABEL_LENGTH_MAX = 200
const FINGERPRINT_LENGTH = 16

const KINDS = ['listener', 'identity', 'authority'] as const
const STATES: readonly CertificateState[] = [
  'ok',
  'renewal-due',
  'overdue',
  'expired',
  'foreign',
  'unknown',
]
const OPEN_STATUSES = ['planned', 'staging', 'running', 'draining']

export function fleetMetrics(snapshot: FleetSnapshot): readonly Family[] {
  return [
    gauge(
      'tlsfleet_nodes',
      'Nodes by what an operator sees of them in one word.',
      NodeState.options.map(state => ({
        labels: { state },
        value: snapshot.nodes.get(state) ?? 0,
      })),
    ),
    ...certificateMetrics(snapshot.certificates),
    ...rolloutMetrics(snapshot),
    ...rotationMetrics(snapshot),
    single(
      'gauge',
      'tlsfleet_cluster_debts',
      'Clusters that were told of a restart and not yet that it is over.',
      snapshot.debts,
    ),
    gauge(
      'tlsfleet_certificate_requests_pending',
      'Certificate requests that somebody outside has to answer.',
      [...snapshot.pendingRequests].map(([issuer, value]) => ({ labels: { issuer }, value })),
    ),
    gauge(
      'tlsfleet_webhook_outbox',
      'Notifications that are still to be delivered.',
      [...snapshot.outbox].map(([webhook, value]) => ({ labels: { webhook }, value })),
    ),
    single(
      'gauge',
      'tlsfleet_audit_head',
      'Number of the newest record of the audit log; it never goes back, but for a restore.',
      snapshot.auditHead,
    ),
    single(
      'gauge',
      'tlsfleet_inventory_timestamp_seconds',
      'When the fleet was last looked at for these metrics.',
      seconds(snapshot.atMs),
    ),
    single(
      'gauge',
      'tlsfleet_inventory_duration_seconds',
      'How long that took.',
      seconds(snapshot.tookMs),
    ),
  ]
}

function certificateMetrics(certificates: readonly SnapshotCertificate[]): readonly Family[] {
  const leaves = expiries(certificates, 'listener')
  const identities = expiries(certificates, 'identity')
  const authorities = expiries(certificates, 'authority')
  const leftOut = [leaves, identities, authorities].reduce((sum, one) => sum + one.leftOut, 0)
  return [
    gauge(
      'tlsfleet_certificates',
      'Certificates by kind and state.',
      KINDS.flatMap(kind =>
        STATES.map(state => ({
          labels: { kind, state },
          value: certificates.filter(one => one.kind === kind && one.state === state).length,
        })),
      ),
    ),
    gauge(
      'tlsfleet_certificates_unrenewed',
      'Certificates that nobody will renew if nothing changes, by the code of the reason.',
      unrenewed(certificates),
    ),
    gauge(
      'tlsfleet_certificate_not_after_timestamp_seconds',
      'End of the certificate that a listener was seen serving.',
      leaves.samples,
    ),
    gauge(
      'tlsfleet_identity_not_after_timestamp_seconds',
      'End of the client certificate of an agent.',
      identities.samples,
    ),
    gauge(
      'tlsfleet_ca_not_after_timestamp_seconds',
      'End of a CA certificate: of the controller, or of others that the fleet is told to trust.',
      authorities.samples,
    ),
    single(
      'gauge',
      'tlsfleet_certificates_left_out',
      `Certificates without a series of their own: beyond ${SERIES_MAX} of a kind those that end last.`,
      leftOut,
    ),
  ]
}

function expiries(
  all: readonly SnapshotCertificate[],
  kind: SnapshotCertificate['kind'],
): { readonly samples: readonly Sample[]; readonly leftOut: number } {
  const ofKind = all
    .filter(one => one.kind === kind && one.notAfterMs !== undefined)
    .toSorted((a, b) => (a.notAfterMs ?? 0) - (b.notAfterMs ?? 0))
  // The first of those with the same labels is the one that ends first.
  const samples = new Map<string, Sample>()
  const perNode = new Map<string, number>()
  let leftOut = 0
  for (const one of ofKind) {
    const labels = labelsOf(one)
    const key = Object.values(labels).join('\0')
    if (samples.has(key)) continue
    const { node = '' } = one
    const count = (perNode.get(node) ?? 0) + 1
    if (samples.size >= SERIES_MAX || (node !== '' && count > NODE_SERIES_MAX)) {
      leftOut += 1
      continue
    }
    perNode.set(node, count)
    samples.set(key, { labels, value: seconds(one.notAfterMs ?? 0) })
  }
  return { samples: [...samples.values()], leftOut }
}

function labelsOf(one: SnapshotCertificate): Sample['labels'] {
  const { kind, node = '', service = '', listener = '', role = '', authority, fingerprint } = one
  switch (kind) {
    case 'listener':
      return { node, service, listener: listener.slice(0, LABEL_LENGTH_MAX) }
    case 'identity':
      return { node }
    case 'authority': {
      const id = authority?.id ?? fingerprint?.slice(0, FINGERPRINT_LENGTH) ?? ''
      return { role, id, state: authority?.state ?? '' }
    }
  }
}

function unrenewed(certificates: readonly SnapshotCertificate[]): readonly Sample[] {
  const counts = new Map<string, { readonly labels: Sample['labels']; value: number }>()
  for (const { kind, unrenewed: reason } of certificates) {
    // Of a CA that is always so: its end is what counts.
    if (reason === undefined || kind === 'authority') continue
    const known = counts.get(`${kind} ${reason.code}`)
    const code = known !== undefined || counts.size < REASONS_MAX ? reason.code : 'other'
    const key = `${kind} ${code}`
    const entry = counts.get(key) ?? { labels: { kind, reason: code }, value: 0 }
    entry.value += 1
    counts.set(key, entry)
  }
  // Zeros, so that an alert sees the beginning.
  const idle = KINDS.filter(kind => kind !== 'authority').flatMap(kind =>
    [...counts.values()].some(one => one.labels['kind'] === kind)
      ? []
      : [{ labels: { kind, reason: '' }, value: 0 }],
  )
  return [...counts.values(), ...idle]
}

function rolloutMetrics({ rollouts }: FleetSnapshot): readonly Family[] {
  const open = rollouts.filter(({ endedAtMs }) => endedAtMs === undefined)
  const statuses = [...new Set([...OPEN_STATUSES, ...open.map(({ status }) => status)])]
  const lastEnded = new Map<string, number>()
  for (const { status, endedAtMs } of rollouts)
    if (endedAtMs !== undefined)
      lastEnded.set(status, Math.max(lastEnded.get(status) ?? 0, endedAtMs))
  return [
    gauge(
      'tlsfleet_rollouts_open',
      'Rollouts that have not ended, by status.',
      statuses.map(status => ({
        labels: { status },
        value: open.filter(one => one.status === status).length,
      })),
    ),
    gauge(
      'tlsfleet_rollout_last_ended_timestamp_seconds',
      'When a rollout last ended so, among the newest ten.',
      [...lastEnded].map(([status, atMs]) => ({ labels: { status }, value: seconds(atMs) })),
    ),
  ]
}

function rotationMetrics({ rotation }: FleetSnapshot): readonly Family[] {
  const labels =
    rotation === undefined
      ? undefined
      : {
          kind: rotation.subject.kind,
          direction: rotation.direction,
          phase: rotation.phase,
        }
  return [
    single(
      'gauge',
      'tlsfleet_rotation_open',
      '1 while a CA or an issuer is being replaced.',
      rotation === undefined ? 0 : 1,
    ),
    gauge(
      'tlsfleet_rotation_phase_since_timestamp_seconds',
      'When the phase of the rotation under way began.',
      labels === undefined || rotation === undefined
        ? []
        : [{ labels, value: seconds(rotation.phaseSinceMs) }],
    ),
    single(
      'gauge',
      'tlsfleet_rotation_stopped',
      '1 while the rotation goes no further until an operator resumes it.',
      rotation?.stopped === undefined ? 0 : 1,
    ),
  ]
}
