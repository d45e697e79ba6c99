// Looks that the controller asks for: at the listener of another node, with nothing secret to send, and
// at the cluster that this node's own product is in. Nothing is changed and nothing is kept.

import type {
  ClusterProbe,
  ListenerProbe,
  ProbeAnswer,
  ProbeRequest,
  Sighting,
} from '../shared/contract/probes.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { describeError, OperationalError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Handshake, Host, HttpAnswer } from './host.ts'
import type { Remote } from './remote.ts'
import { healthQuestion, type HealthQuestion } from './services/health-questions.ts'

export interface Probes {
  /** Listeners are looked at beside the loop, clusters by the loop: their products are its business. */
  take(asked: readonly ProbeRequest[]): void
  /** `services`: what this node has; `look` asks their products anew, as a report may be of before a change. */
  answerClusters(
    services: readonly ServiceTls[],
    look: (services: readonly ServiceTls[]) => Promise<readonly ServiceReport[]>,
  ): Promise<void>
}

export interface ProbesOptions {
  readonly host: Pick<Host, 'network'>
  readonly remote: () => Pick<Remote, 'probe'>
  readonly log: Logger
  /** There is a cluster to be looked at. */
  readonly wake: () => void
  readonly signal: AbortSignal
}

// On the other side of a network. The controller waits longer, and asks somebody else then.
const HANDSHAKE_TIMEOUT_MS = 5_000
const AT_ONCE_MAX = 8
// Whoever asks for more is not the controller that we know; what is left out is asked for again.
const WAITING_MAX = 64

export function createProbes(options: ProbesOptions): Probes {
  const { host, wake } = options
  const waiting: ListenerProbe[] = []
  let clusters: readonly ClusterProbe[] = []
  let running = 0

  async function work(): Promise<void> {
    running++
    try {
      for (let probe = waiting.shift(); probe !== undefined; probe = waiting.shift()) {
        const sighting = await lookAtListener(host, probe)
        await tell(options, { probeId: probe.probeId, sighting })
      }
    } finally {
      running--
    }
  }

  return {
    take(asked) {
      for (const probe of asked) {
        if (probe.kind === 'cluster') clusters = [...clusters, probe].slice(-WAITING_MAX)
        else if (waiting.length < WAITING_MAX) waiting.push(probe)
      }
      while (running < Math.min(AT_ONCE_MAX, waiting.length + running) && waiting.length > 0)
        void work()
      if (clusters.length > 0) wake()
    },
    async answerClusters(services, look) {
      const asked = clusters
      clusters = []
      for (const { probeId, service } of asked) {
        const own = services.filter(one => one.service === service)
        const reports = own.length === 0 ? [] : await look(own)
        const view = reports.find(one => one.service === service)?.cluster
        const sighting: Sighting =
          view === undefined
            ? { kind: 'unknown', reason: { code: 'cluster-unknown', message: UNKNOWN } }
            : { kind: 'cluster', view }
        await tell(options, { probeId, sighting })
      }
    },
  }
}

const UNKNOWN = 'this node has no such product that would tell of its cluster'

/** Never throws: that something cannot be reached is what was to be found out. */
export async function lookAtListener(
  { network }: Pick<Host, 'network'>,
  probe: ListenerProbe,
): Promise<Sighting> {
  const { service, host, port, serverName, trust, tls, clientAuth } = probe
  const question = healthQuestion(service)
  const handshake = await network.handshake({
    host,
    port,
    serverName,
    trust,
    // Without a client certificate the question would be refused, and the handshake with it.
    ...(question === undefined || clientAuth ? {} : { httpGet: question.path }),
    isPlainExpected: tls === 'off',
    timeoutMs: HANDSHAKE_TIMEOUT_MS,
  })
  return sightingOf(handshake, {
    question: clientAuth ? undefined : question,
    isVerified: trust.length > 0,
  })
}

/** What the controller is told of a handshake. */
export function sightingOf(
  handshake: Handshake,
  {
    question,
    isVerified,
  }: { readonly question: HealthQuestion | undefined; readonly isVerified: boolean },
): Sighting {
  if (handshake.kind === 'unreachable') return { kind: 'unreachable', reason: handshake.reason }
  const unhealthy = question && unhealthyBy(question, handshake.http)
  const health = unhealthy === undefined ? {} : { unhealthy }
  if (handshake.kind === 'plaintext') return { kind: 'plaintext', ...health }
  const { fingerprint, untrusted } = handshake
  const trust = untrusted === undefined || !isVerified ? {} : { untrusted }
  return { kind: 'tls', fingerprint, ...trust, ...health }
}

function unhealthyBy({ path, workingStatuses }: HealthQuestion, http: HttpAnswer | undefined) {
  if (http === undefined) return { code: 'health-no-answer', message: `GET ${path} has no answer` }
  if (http.status < 500 || workingStatuses.includes(http.status)) return undefined
  return { code: 'unhealthy', message: `GET ${path} answers ${http.status}` }
}

// Whoever asked and does not hear of it asks again.
async function tell({ remote, log, signal }: ProbesOptions, answer: ProbeAnswer): Promise<void> {
  try {
    await remote().probe(answer, signal)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    log.debug({ code: error.code, error: describeError(error) }, 'probe could not be answered')
  }
}
