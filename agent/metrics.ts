// What this node tells of itself in the text format of Prometheus: as a file for node_exporter's
// textfile collector, and over the local socket.
//
// A converged agent writes nothing. So the file holds what changes only when something happens: ends
// of certificates are timestamps, and counters count events. What moves by itself (passes, the last
// contact) is told over the socket, and in the file only where agent.toml asks for it to be refreshed.

import type { ServiceReport } from '../shared/contract/report.ts'
import {
  createCounter,
  exposition,
  type Family,
  gauge,
  seconds,
  single,
} from '../shared/exposition.ts'

export interface AgentMetrics {
  /** After a pass. */
  passed(services: readonly ServiceReport[], nowMs: number): void
  /** The controller has answered. */
  contacted(nowMs: number): void
  /** It could not be asked. */
  missed(): void
  /** A permit was asked for and not given. */
  waited(): void
  /** What changes by events only. */
  lasting(): string
  /** Everything. */
  text(): string
}

export interface AgentFacts {
  readonly node: string
  readonly fleet: string
  readonly version: string
}

// Of a service that is desired, one is 1 and all others are 0.
const OUTCOMES = [
  'in-sync',
  'changed',
  'staged',
  'planned',
  'waiting',
  'restored',
  'failed',
  'unsupported',
] as const satisfies readonly ServiceReport['outcome'][]

export function createAgentMetrics(facts: () => AgentFacts): AgentMetrics {
  const counters = createCounters()
  let services: readonly ServiceReport[] = []
  let passes = 0
  let lastPassMs: number | undefined
  let lastContactMs: number | undefined
  // Undefined until the first question has ended.
  let isReachable: boolean | undefined

  const lasting = (): readonly Family[] => [
    infoOf(facts()),
    single(
      'gauge',
      'tlsfleet_agent_controller_reachable',
      '1 while the controller answers what it is asked.',
      isReachable === undefined ? undefined : Number(isReachable),
    ),
    ...serviceMetrics(services),
    ...counters.families(),
  ]
  const moving = (): readonly Family[] => [
    single(
      'counter',
      'tlsfleet_agent_passes_total',
      'Looks at everything since the start.',
      passes,
    ),
    single(
      'gauge',
      'tlsfleet_agent_last_pass_timestamp_seconds',
      'When the last one ended.',
      lastPassMs && seconds(lastPassMs),
    ),
    single(
      'gauge',
      'tlsfleet_agent_last_contact_timestamp_seconds',
      'When the controller last answered.',
      lastContactMs && seconds(lastContactMs),
    ),
  ]
  return {
    passed(now, nowMs) {
      counters.count(services, now)
      services = now
      passes += 1
      lastPassMs = nowMs
    },
    contacted(nowMs) {
      lastContactMs = nowMs
      isReachable = true
    },
    missed() {
      isReachable = false
    },
    waited: () => counters.waited(),
    lasting: () => exposition(lasting()),
    text: () => exposition([...lasting(), ...moving()]),
  }
}

function infoOf({ node, fleet, version }: AgentFacts): Family {
  return gauge('tlsfleet_agent_info', 'The agent, always 1.', [
    { labels: { node, fleet, version }, value: 1 },
  ])
}

function serviceMetrics(services: readonly ServiceReport[]): readonly Family[] {
  const times = (
    name: string,
    help: string,
    timeOf: (service: ServiceReport) => number | undefined,
  ): Family =>
    gauge(
      name,
      help,
      services.flatMap(service => {
        const atMs = timeOf(service)
        return atMs === undefined
          ? []
          : [{ labels: { service: service.service }, value: seconds(atMs) }]
      }),
    )
  return [
    gauge(
      'tlsfleet_agent_service_outcome',
      '1 for what became of the service in the last pass.',
      services.flatMap(({ service, outcome }) =>
        OUTCOMES.map(one => ({
          labels: { service, outcome: one },
          // After a change the service is as wanted: the next pass must not be another file.
          value: one === settled(outcome) ? 1 : 0,
        })),
      ),
    ),
    times(
      'tlsfleet_agent_certificate_not_after_timestamp_seconds',
      'End of the certificate in use.',
      one => one.notAfterMs,
    ),
    times(
      'tlsfleet_agent_certificate_renew_at_timestamp_seconds',
      'When its renewal is due.',
      one => one.renewAtMs,
    ),
    gauge(
      'tlsfleet_agent_listeners_not_ok',
      'Listeners that were not seen serving what they should.',
      services.map(({ service, served }) => ({
        labels: { service },
        value: served.filter(({ ok }) => !ok).length,
      })),
    ),
  ]
}

function settled(outcome: ServiceReport['outcome']): ServiceReport['outcome'] {
  return outcome === 'changed' ? 'in-sync' : outcome
}

function createCounters() {
  const found = createCounter(
    'tlsfleet_agent_drift_found_total',
    'Differences from what a service had converged to.',
  )
  const corrected = createCounter('tlsfleet_agent_drift_corrected_total', 'Of these, put right.')
  const activations = createCounter(
    'tlsfleet_agent_activations_total',
    'Restarts and reloads that were made.',
  )
  const restores = createCounter(
    'tlsfleet_agent_restores_total',
    'Changes that were taken back because they did not prove themselves.',
  )
  const waits = createCounter(
    'tlsfleet_agent_lease_waits_total',
    'Changes that had to wait for a permit or a lease of the controller.',
  )
  for (const counter of [restores, waits]) counter.add({}, 0)
  const all = [found, corrected, activations, restores, waits]
  return {
    families: () => all.map(counter => counter.family()),
    waited: () => waits.add({}),
    count(before: readonly ServiceReport[], now: readonly ServiceReport[]) {
      for (const one of now) {
        const { service } = one
        const last = before.find(other => other.service === service)
        // Seen again in every pass while it cannot be corrected: found once.
        found.add({ service }, isDrift(one) && !isOpenDrift(last) ? 1 : 0)
        corrected.add({ service }, isDrift(one) && one.outcome === 'changed' ? 1 : 0)
        if (one.activations > 0) activations.add({ service, kind: one.activation }, one.activations)
        if (one.outcome === 'restored' && last?.outcome !== 'restored') restores.add({})
      }
    },
  }
}

function isDrift({ corrective, changes }: ServiceReport): boolean {
  return corrective && changes.length > 0
}

function isOpenDrift(report: ServiceReport | undefined): boolean {
  return report !== undefined && isDrift(report) && report.outcome !== 'changed'
}
