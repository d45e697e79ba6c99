// A fleet without machines in the store of a real controller: records, desired states, and reports as
// agents would have sent them. What is seen of it is what the API says.

import type { ChangeSummary, Report, Served, ServiceReport } from '../../shared/contract/report.ts'
import type { NodeState } from '../../shared/contract/operator-api.ts'
import { sha256 } from '../../shared/digest.ts'
import { epochIn, sealDesiredState } from '../../shared/contract/desired-state.ts'
import type { Controller } from '../../controller/controller.ts'
import { compileSpec } from '../../controller/api/operator/spec.ts'
import { OFFLINE_AFTER_MS } from '../../controller/api/presence.ts'
import type { Transaction } from '../../controller/store/store.ts'
import type { Running } from '../controller/api/support.ts'

type MadeState = Extract<
  NodeState,
  'converged' | 'drifting' | 'failed' | 'offline' | 'waiting' | 'pending' | 'converging'
>

export interface SyntheticNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly state: MadeState
}

const ROLES = ['data', 'meta', 'web', 'monitoring'] as const
const SITES = ['berlin', 'oslo', 'porto'] as const
const DAY_MS = 86_400_000

export const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { labels: { role: data } } }
  - { service: influxdb-meta, nodes: { labels: { role: meta } } }
  - { service: telegraf, nodes: { labels: { role: [data, web] } } }
  - { service: prometheus, nodes: { labels: { role: [monitoring, web] } } }
groups:
  - { name: web, kind: pool, percent: 10, nodes: { labels: { role: web } } }
`

/** `count` nodes, of which about one in twenty has something; the same for the same count. */
export function syntheticNodes(count: number): readonly SyntheticNode[] {
  return Array.from({ length: count }, (_, index) => {
    const role = index % 40 < 3 ? 'meta' : (ROLES[[0, 2, 2, 0, 3][index % 5] ?? 0] ?? 'web')
    const site = SITES[index % 3] ?? 'oslo'
    return {
      name: `${role}-${site}-${index + 1}`,
      labels: { role, site, env: index % 7 === 0 ? 'staging' : 'prod' },
      state: ODD.get(index % 97) ?? 'converged',
    }
  })
}

const ODD: ReadonlyMap<number, MadeState> = new Map([
  [11, 'failed'],
  [23, 'drifting'],
  [24, 'drifting'],
  [38, 'offline'],
  [59, 'waiting'],
  [71, 'pending'],
  [83, 'converging'],
])

const PATTERNS = 10

/** Selects, publishes and reports; `nodes` may be thousands. */
export async function fillFleet(
  { context }: Controller,
  nodes: readonly SyntheticNode[],
): Promise<void> {
  const { store, presence } = context
  const nowMs = context.clock.now()
  const insertAll = (some: readonly SyntheticNode[]) =>
    store.transaction(async tx => {
      for (const node of some) await insert(tx, node, nowMs)
    })
  // Compiled for the first few, among whom is every role: a content names all listeners of the fleet.
  await insertAll(nodes.slice(0, PATTERNS))
  const { fleet } = await store.transaction(tx => compileSpec(context, tx, SPEC))
  const compiled = new Map(fleet.nodes.map(({ node, content }) => [node, content]))
  const contents = new Map(
    nodes.slice(0, PATTERNS).map(({ name, labels }) => [labels['role'], compiled.get(name)]),
  )
  for (let start = PATTERNS; start < nodes.length; start += 200)
    await insertAll(nodes.slice(start, Math.min(start + 200, nodes.length)))
  await store.transaction(async tx => {
    const text = SPEC
    const made = { digest: sha256(text), text, author: 'ada', createdAtMs: nowMs }
    await tx.revisions.insert(made)
  })
  for (let start = 0; start < nodes.length; start += 100)
    await store.transaction(async tx => {
      const epoch = epochIn(await tx.desired.epoch())
      for (const node of nodes.slice(start, start + 100)) {
        const content = contents.get(node.labels['role'])
        if (content === undefined || node.state === 'pending') continue
        const generation = node.state === 'converging' ? 4 : 3
        const state = sealDesiredState({
          node: node.name,
          ...epoch,
          generation,
          mode: 'enforce',
          permit: false,
          content,
        })
        await tx.desired.put({ state, revision: 1 })
        const services = content.services.map(({ service }) => serviceOf(node, service, nowMs))
        const report = reportOf(services, nowMs)
        await tx.reports.put({ node: node.name, report, receivedAtMs: nowMs })
      }
    })
  // As if they waited for news: they stay there however long somebody looks at them.
  for (const { name, state } of nodes)
    if (state !== 'offline' && state !== 'pending') presence.attend(name)
}

/** The same, where the time is over in which a controller that has just started waits for those that are offline. */
export async function fillSettled(
  { controller, elapse }: Pick<Running, 'controller' | 'elapse'>,
  nodes: readonly SyntheticNode[],
): Promise<void> {
  elapse(OFFLINE_AFTER_MS)
  await fillFleet(controller, nodes)
}

async function insert(tx: Transaction, node: SyntheticNode, nowMs: number): Promise<void> {
  const { name, labels, state } = node
  await tx.nodes.insert({
    name,
    labels,
    names: { dns: [`${name}.example.org`], ip: [] },
    createdAtMs: nowMs - 90 * DAY_MS,
    enrolledAtMs: undefined,
    seenAtMs: undefined,
  })
  if (state === 'pending') return
  await tx.nodes.setEnrolled(name, nowMs - 80 * DAY_MS)
  await tx.nodes.setSeen([name], nowMs - (state === 'offline' ? 5 * 3_600_000 : 20_000))
}

function reportOf(services: readonly ServiceReport[], nowMs: number): Report {
  return {
    sequence: 7,
    atMs: nowMs - 20_000,
    agentVersion: '0.1.0',
    observedGeneration: 3,
    mode: 'enforce',
    services: [...services],
    facts: { os: 'Debian GNU/Linux 12', kernel: '6.1.0-28-amd64' },
  }
}

function serviceOf(
  { name, state }: SyntheticNode,
  service: ServiceReport['service'],
  nowMs: number,
): ServiceReport {
  const isClient = service === 'telegraf' || service === 'metricbeat'
  // Spread by the name: what was issued on one day does not end on one day.
  const daysLeft = 6 + (Number.parseInt(sha256(name + service).slice(0, 6), 16) % 780) / 10
  const notAfterMs = nowMs + Math.round(daysLeft * DAY_MS)
  const told = TOLD[state] ?? TOLD.converged
  return {
    service,
    unit: `${service}.service`,
    version: VERSIONS[service] ?? '1.0.0',
    outcome: told.outcome,
    reason: told.reason,
    corrective: state === 'drifting',
    activation: state === 'drifting' ? 'restart' : 'none',
    activationReason:
      state === 'drifting'
        ? { code: 'inputs-not-loaded', message: `${service} runs with older inputs` }
        : { code: 'in-sync', message: 'nothing to load' },
    changes: state === 'drifting' && !isClient ? [DRIFT] : [],
    served: isClient ? [] : [servedBy(name, service, notAfterMs, state !== 'failed')],
    notices: [],
    ...(isClient ? {} : { notAfterMs, renewAtMs: notAfterMs - 10 * DAY_MS }),
    activations: 0,
  }
}

const IN_SYNC = { code: 'in-sync', message: 'every input is loaded and served' }
const TOLD = {
  converged: { outcome: 'in-sync', reason: IN_SYNC },
  converging: { outcome: 'in-sync', reason: IN_SYNC },
  offline: { outcome: 'in-sync', reason: IN_SYNC },
  pending: { outcome: 'in-sync', reason: IN_SYNC },
  drifting: {
    outcome: 'planned',
    reason: { code: 'file-differs', message: 'a setting was edited by hand: https-enabled' },
  },
  failed: {
    outcome: 'restored',
    reason: {
      code: 'unit-failed',
      message: 'the unit failed after the restart (exit code 1); the old state is back',
    },
  },
  waiting: {
    outcome: 'waiting',
    reason: { code: 'group-full', message: 'the group web may lose no further member now' },
  },
} as const satisfies Record<MadeState, Pick<ServiceReport, 'outcome' | 'reason'>>

const VERSIONS: Readonly<Partial<Record<ServiceReport['service'], string>>> = {
  influxdb: '1.11.8 Enterprise',
  'influxdb-meta': '1.11.8 Enterprise',
  telegraf: '1.32.3',
  prometheus: '2.53.2',
}

const DRIFT: ChangeSummary = {
  resource: '/etc/influxdb/influxdb.conf',
  kind: 'config-file',
  action: 'update',
  summary: 'sets 1 key that tlsfleet owns',
  reason: { code: 'file-differs', message: 'https-enabled is false' },
  diff: `--- /etc/influxdb/influxdb.conf
+++ /etc/influxdb/influxdb.conf
@@ -244,7 +244,7 @@
   # Determines whether HTTP endpoint is enabled.
   enabled = true
   # Determines whether HTTPS is enabled.
-  https-enabled = false
+  https-enabled = true
   https-certificate = "/var/lib/influxdb/tls/current/chain.pem"
   https-private-key = "/var/lib/influxdb/tls/current/key.pem"
`,
}

function servedBy(name: string, service: string, notAfterMs: number, ok: boolean): Served {
  return {
    listener: service === 'prometheus' ? 'https 127.0.0.1:9090' : 'https 127.0.0.1:8086',
    ok,
    reason: ok
      ? { code: 'served-as-wanted', message: 'serves the certificate in use' }
      : { code: 'connection-refused', message: 'nobody listens' },
    ...(ok
      ? {
          fingerprint: sha256(`${name} ${service}`),
          issuer: 'O=demo, CN=service intermediate 4c2f8a11',
          notAfterMs,
          names: { dns: [`${name}.example.org`], ip: [] },
          protocol: 'TLSv1.3',
          health: 'GET /ping 204',
        }
      : {}),
  }
}
