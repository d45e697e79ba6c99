// A snapshot as metrics, and how many series the claims of nodes can make.

import t from 'tap'
import { fleetMetrics, SERIES_MAX } from '../../../controller/metrics/fleet-metrics.ts'
import type { FleetSnapshot } from '../../../controller/metrics/snapshot.ts'
import { exposition } from '../../../shared/exposition.ts'
import { lint, readMetrics, valueOf } from '../../support/metrics-text.ts'
import { DAY_MS, sampleCertificate, sampleRotation, sampleSnapshot, T0 } from './samples.ts'

const textOf = (change: Partial<FleetSnapshot> = {}) =>
  exposition(fleetMetrics({ ...sampleSnapshot, ...change }))

await t.test('a fleet at rest has its zeros', async t => {
  const text = textOf()
  lint(t, text)
  for (const [sample, value] of [
    ['tlsfleet_nodes{state="converged"}', 1],
    ['tlsfleet_nodes{state="failed"}', 0],
    ['tlsfleet_certificates{kind="listener",state="ok"}', 1],
    ['tlsfleet_certificates{kind="identity",state="expired"}', 0],
    ['tlsfleet_certificates_unrenewed{kind="listener",reason=""}', 0],
    ['tlsfleet_certificates_left_out', 0],
    [
      'tlsfleet_certificate_not_after_timestamp_seconds{node="n1",service="prometheus",listener="https :9090"}',
      (T0 + 30 * DAY_MS) / 1000,
    ],
    ['tlsfleet_rollouts_open{status="running"}', 0],
    ['tlsfleet_rotation_open', 0],
    ['tlsfleet_rotation_stopped', 0],
    ['tlsfleet_certificate_requests_pending{issuer="csr"}', 0],
    ['tlsfleet_cluster_debts', 1],
    ['tlsfleet_audit_head', 7],
    ['tlsfleet_inventory_timestamp_seconds', T0 / 1000],
  ] as const)
    t.equal(valueOf(text, sample), value, sample)
})

await t.test('what happens shows', async t => {
  const silent = { code: 'node-silent', message: 'x' }
  const text = textOf({
    certificates: [
      { ...sampleCertificate, unrenewed: silent },
      { ...sampleCertificate, notAfterMs: T0, state: 'expired' },
      { kind: 'identity', node: 'n1', state: 'ok', reason: silent, notAfterMs: T0 + 1_000 },
      {
        kind: 'authority',
        role: 'service-root',
        authority: { id: 'ca1', state: 'active' },
        state: 'ok',
        reason: silent,
        unrenewed: silent,
        notAfterMs: T0 + 2_000,
      },
    ],
    rollouts: [
      {
        id: 'r1',
        status: 'running',
        toward: undefined,
        reason: undefined,
        startedAtMs: T0,
        endedAtMs: undefined,
      },
      {
        id: 'r2',
        status: 'failed',
        toward: undefined,
        reason: silent,
        startedAtMs: T0,
        endedAtMs: T0 + 5_000,
      },
    ],
    rotation: { ...sampleRotation, stopped: silent },
    outbox: new Map([['oncall', 3]]),
  })
  lint(t, text)
  const s0 = T0 / 1000
  for (const [sample, value] of [
    ['tlsfleet_certificates_unrenewed{kind="listener",reason="node-silent"}', 1],
    ['tlsfleet_certificates{kind="listener",state="expired"}', 1],
    [
      'tlsfleet_certificate_not_after_timestamp_seconds{node="n1",service="prometheus",listener="https :9090"}',
      s0,
    ],
    ['tlsfleet_identity_not_after_timestamp_seconds{node="n1"}', s0 + 1],
    [
      'tlsfleet_ca_not_after_timestamp_seconds{role="service-root",id="ca1",state="active"}',
      s0 + 2,
    ],
    ['tlsfleet_rollouts_open{status="running"}', 1],
    ['tlsfleet_rollout_last_ended_timestamp_seconds{status="failed"}', s0 + 5],
    ['tlsfleet_rotation_open', 1],
    ['tlsfleet_rotation_stopped', 1],
    [
      'tlsfleet_rotation_phase_since_timestamp_seconds{kind="service",direction="forward",phase="distribute"}',
      s0 - 0.001,
    ],
    ['tlsfleet_webhook_outbox{webhook="oncall"}', 3],
  ] as const)
    t.equal(valueOf(text, sample), value, sample)
})

await t.test('no node makes as many series as it likes, and no fleet too many', async t => {
  const name = 'tlsfleet_certificate_not_after_timestamp_seconds'
  const seriesOf = (text: string) => readMetrics(text).get(name)?.samples.size
  const many = Array.from({ length: 1_000 }, (_, index) => ({
    ...sampleCertificate,
    listener: `https :${index}`,
    unrenewed: { code: `claim-${index}`, message: 'x' },
  }))
  const one = textOf({ certificates: many })
  t.equal(seriesOf(one), 64)
  t.equal(valueOf(one, 'tlsfleet_certificates_left_out'), 936)
  t.ok((readMetrics(one).get('tlsfleet_certificates_unrenewed')?.samples.size ?? 99) <= 66)
  t.equal(valueOf(one, 'tlsfleet_certificates_unrenewed{kind="listener",reason="other"}'), 936)

  const fleet = Array.from({ length: SERIES_MAX + 5 }, (_, index) => ({
    ...sampleCertificate,
    node: `n${index}`,
    notAfterMs: T0 + (SERIES_MAX + 5 - index) * 1_000,
  }))
  const large = textOf({ certificates: fleet })
  t.equal(seriesOf(large), SERIES_MAX)
  t.equal(valueOf(large, 'tlsfleet_certificates_left_out'), 5)
  const last = `{node="n${SERIES_MAX + 4}",service="prometheus",listener="https :9090"}`
  t.equal(valueOf(large, name + last), T0 / 1000 + 1, 'those that end first are kept')
})
