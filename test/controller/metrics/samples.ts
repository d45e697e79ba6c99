// A fleet of one node in which all is well.

import type { FleetSnapshot, SnapshotCertificate } from '../../../controller/metrics/snapshot.ts'
import type { Rotation } from '../../../controller/rotation/rotation.ts'

export const DAY_MS = 86_400_000
export const T0 = Date.parse('2027-01-15T08:00:00Z')

export const sampleCertificate: SnapshotCertificate = {
  kind: 'listener',
  node: 'n1',
  service: 'prometheus',
  listener: 'https :9090',
  state: 'ok',
  reason: { code: 'ok', message: 'is renewed in time' },
  notAfterMs: T0 + 30 * DAY_MS,
  renewAtMs: T0 + 20 * DAY_MS,
}

export const sampleSnapshot: FleetSnapshot = {
  atMs: T0,
  tookMs: 12,
  nodes: new Map([['converged', 1]]),
  certificates: [sampleCertificate],
  rollouts: [],
  rotation: undefined,
  pendingRequests: new Map([
    ['csr', 0],
    ['acme', 0],
  ]),
  debts: 1,
  auditHead: 7,
  outbox: new Map(),
}

export const sampleRotation: Rotation = {
  id: 'x1',
  subject: { kind: 'service', from: 'a', to: 'b' },
  pace: 'normal',
  isTainted: false,
  status: 'running',
  direction: 'forward',
  phase: 'distribute',
  phaseSinceMs: T0 - 1,
  rollout: undefined,
  stopped: undefined,
  author: 'ada',
  approvals: 0,
  confirmedBy: [],
  version: 1,
  startedAtMs: T0 - 1,
  endedAtMs: undefined,
}
