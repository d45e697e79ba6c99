// Fixed nodes, plans and rollouts that the tests of the command line share.

import type { NodeView, PlanView, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import type { StepView } from '../../../controller/cli/views/rollout.ts'

export const NOW_MS = Date.UTC(2026, 10, 20, 12, 0, 0)
export const DAY_MS = 86_400_000

export const inSync = { code: 'in-sync', message: 'everything is as wanted' }

export function serviceReport(over: Partial<ServiceReport> = {}): ServiceReport {
  return {
    service: 'prometheus',
    unit: 'prometheus.service',
    version: '2.42.0',
    outcome: 'in-sync',
    reason: inSync,
    corrective: false,
    activation: 'none',
    activationReason: { code: 'nothing-to-activate', message: 'nothing changes' },
    changes: [],
    served: [
      {
        listener: '127.0.0.1:9090',
        ok: true,
        reason: { code: 'served-as-wanted', message: 'serves the expected certificate' },
        notAfterMs: NOW_MS + 89 * DAY_MS,
        protocol: 'TLSv1.3',
      },
    ],
    notices: [],
    notAfterMs: NOW_MS + 89 * DAY_MS,
    renewAtMs: NOW_MS + 59 * DAY_MS,
    activations: 0,
    ...over,
  }
}

export const influxdbPlanned = serviceReport({
  service: 'influxdb',
  unit: 'influxdb.service',
  version: '1.11.8-c1.11.8',
  outcome: 'planned',
  reason: { code: 'changes-planned', message: '2 changes' },
  activation: 'restart',
  activationReason: {
    code: 'listener-needs-restart',
    message: 'influxdb opens its listener at start only',
  },
  changes: [
    {
      resource: 'certificate',
      kind: 'certificate',
      action: 'create',
      summary: 'issue a certificate for data-1.example.org',
      reason: { code: 'certificate-missing', message: 'there is none yet' },
    },
    {
      resource: '/etc/influxdb/influxdb.conf',
      kind: 'config-file',
      action: 'update',
      summary: 'turn on [http] https-enabled',
      reason: { code: 'key-differs', message: 'https-enabled is false' },
      diff: [
        '--- /etc/influxdb/influxdb.conf',
        '+++ /etc/influxdb/influxdb.conf',
        '@@ -1,3 +1,3 @@',
        ' [http]',
        '-  https-enabled = false',
        '+  https-enabled = true',
        '   bind-address = ":8086"',
      ].join('\n'),
    },
  ],
  served: [
    {
      listener: '127.0.0.1:8086',
      ok: false,
      reason: { code: 'no-tls', message: 'answers without TLS' },
    },
  ],
})

export const prometheusDrifted = serviceReport({
  outcome: 'planned',
  reason: { code: 'changes-planned', message: '1 change' },
  corrective: true,
  activation: 'reload',
  activationReason: { code: 'read-per-connection', message: 'a reload reads the web config' },
  changes: [
    {
      resource: '/etc/prometheus/old.key',
      kind: 'file',
      action: 'remove',
      summary: 'remove a key that nothing uses',
      reason: { code: 'file-left-over', message: 'the certificate before used it' },
    },
  ],
  notices: [{ code: 'clock-skew', message: 'the clock of this node is 4 s behind' }],
})

export const plan: PlanView = {
  specDigest: 'a'.repeat(64),
  nodes: [
    {
      node: 'data-1',
      result: 'changes',
      reason: { code: 'changes-planned', message: '2 changes' },
      services: [influxdbPlanned],
    },
    {
      node: 'prom-1',
      result: 'changes',
      reason: { code: 'changes-planned', message: '1 change' },
      services: [prometheusDrifted],
    },
    { node: 'prom-2', result: 'none', reason: inSync, services: [serviceReport()] },
    {
      node: 'prom-3',
      result: 'unreachable',
      reason: { code: 'no-answer', message: 'no answer within 15s' },
      services: [],
    },
    {
      node: 'prom-4',
      result: 'unsupported',
      reason: { code: 'service-absent', message: 'influxdb is not installed here' },
      services: [],
    },
  ],
  changes: 3,
  windows: [{ code: 'window-elasticsearch-kibana', message: 'kibana waits for Elasticsearch' }],
  unselected: ['spare-1'],
}

export const emptyPlan: PlanView = {
  specDigest: 'a'.repeat(64),
  nodes: [{ node: 'prom-2', result: 'none', reason: inSync, services: [serviceReport()] }],
  changes: 0,
  windows: [],
  unselected: [],
}

export function nodeView(over: Partial<NodeView> = {}): NodeView {
  return {
    name: 'prom-1',
    labels: { role: 'prometheus', zone: 'eu-1' },
    names: { dns: ['prom-1.example.org'], ip: ['192.0.2.11'] },
    state: 'converged',
    reason: { code: 'converged', message: 'as revision 12 wants it' },
    createdAtMs: NOW_MS - 30 * DAY_MS,
    enrolledAtMs: NOW_MS - 30 * DAY_MS,
    seenAtMs: NOW_MS - 20_000,
    online: true,
    generation: 3,
    observedGeneration: 3,
    mode: 'enforce',
    revision: 12,
    agentVersion: '0.1.0',
    services: [serviceReport()],
    facts: { os: 'debian 12' },
    ...over,
  }
}

export const fleet: readonly NodeView[] = [
  nodeView({
    name: 'data-1',
    labels: { role: 'influxdb-data' },
    state: 'failed',
    reason: { code: 'service-failed', message: 'influxdb failed' },
    services: [
      serviceReport({
        service: 'influxdb',
        version: '1.11.8-c1.11.8',
        outcome: 'restored',
        reason: {
          code: 'restored-after-failure',
          message:
            'influxdb did not come up with the new certificate, the previous state was put back and works',
        },
        served: [
          {
            listener: '127.0.0.1:8086',
            ok: true,
            reason: { code: 'served-as-wanted', message: 'serves the expected certificate' },
            notAfterMs: NOW_MS + 11 * DAY_MS,
          },
        ],
        renewAtMs: NOW_MS - DAY_MS,
      }),
      serviceReport(),
    ],
  }),
  nodeView(),
  nodeView({
    name: 'prom-2',
    state: 'offline',
    online: false,
    seenAtMs: NOW_MS - 3 * 3_600_000,
    reason: { code: 'silent', message: 'not heard of for 3 h' },
  }),
  nodeView({
    name: 'spare-1',
    labels: {},
    state: 'pending',
    reason: { code: 'not-enrolled', message: 'waits for its agent to enroll' },
    online: false,
    enrolledAtMs: undefined,
    seenAtMs: undefined,
    generation: undefined,
    observedGeneration: undefined,
    mode: undefined,
    revision: undefined,
    agentVersion: undefined,
    services: [],
    facts: {},
  }),
]

export function step(over: Partial<StepView> & { readonly node: string }): StepView {
  return { state: 'waiting', sinceMs: NOW_MS, ...over }
}

export function rolloutView(over: Partial<RolloutView> = {}): RolloutView {
  return {
    id: 'r7',
    revision: 13,
    status: 'running',
    version: 2,
    steps: [step({ node: 'data-1' }), step({ node: 'prom-1' })],
    startedAtMs: NOW_MS,
    ...over,
  }
}
