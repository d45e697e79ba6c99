// An agent without a node behind it: it polls, answers previews, stages, claims and reports, as the
// real one does when all goes well, or fails where a test wants it to.

import { parseDesiredAnswer, parseLeaseAnswer } from '../../../shared/contract/agent-api.ts'
import {
  type DesiredContent,
  type DesiredState,
  positionOf,
} from '../../../shared/contract/desired-state.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { type Accepted, acceptDesired } from '../../../agent/desired.ts'
import type { ClusterView } from '../../../shared/contract/cluster-view.ts'
import type { ProbeRequest, Sighting } from '../../../shared/contract/probes.ts'
import type { OutcomeKind, Report, Served, ServiceReport } from '../../../shared/contract/report.ts'
import type { AgentClient } from './support.ts'

/** What an agent keeps on disk. */
export interface AgentMemory {
  accepted: Accepted | undefined
  sequence: number
}

export interface FakeAgentOptions {
  /** Of an earlier life; changed as this one goes on. */
  readonly memory?: AgentMemory
  /** What comes of enforcing. */
  readonly outcome?: 'changed' | 'failed' | 'restored'
  readonly log?: (line: string) => void
  /** What it says when it is asked for its plan, made of what it would say. */
  readonly preview?: (services: readonly ServiceReport[]) => ServiceReport[]
  /** What it says that its listeners serve. */
  readonly served?: (service: string, mode: DesiredState['mode']) => readonly Served[]
  /** What it says of its cluster. */
  readonly cluster?: () => ClusterView | undefined
  /** What it sees where it is asked to look; without it, it never answers. */
  readonly look?: (probe: ProbeRequest) => Promise<Sighting>
  /** Self-signed certificates that it shows once it enforces, by service. */
  readonly selfSigned?: Readonly<Record<string, ServiceReport['selfSigned']>>
}

export interface FakeAgent {
  stop(): Promise<void>
}

export function startFakeAgent(client: AgentClient, options: FakeAgentOptions = {}): FakeAgent {
  const stopping = new AbortController()
  const running = loop(client, options, stopping.signal)
  return {
    async stop() {
      stopping.abort()
      client.close()
      await running
    },
  }
}

const same = (services: readonly ServiceReport[]): ServiceReport[] => [...services]

async function loop(
  client: AgentClient,
  options: FakeAgentOptions,
  stop: AbortSignal,
): Promise<void> {
  const { memory = { accepted: undefined, sequence: 1 }, preview: said = same } = options
  const tell = (known: Omit<Parameters<typeof report>[0], 'sequence'>) =>
    client.post(AGENT_ROUTES.report, report({ ...known, sequence: memory.sequence++ }))
  await tell({ services: [] })
  try {
    while (!stop.aborted) {
      const path = `${AGENT_ROUTES.desired}?${question(memory)}&wait=5000`
      const answer = parseDesiredAnswer((await client.get(path)).body)
      if (answer.preview !== undefined)
        await client.post(AGENT_ROUTES.preview, {
          previewId: answer.preview.previewId,
          services: said(servicesOf(answer.preview.content, 'planned')),
        })
      for (const probe of answer.probes ?? []) {
        const sighting = await options.look?.(probe)
        const { probeId } = probe
        if (sighting !== undefined) await client.post(AGENT_ROUTES.probe, { probeId, sighting })
      }
      if (answer.document === undefined) continue
      const state = accept(client.node, memory, answer.document)
      options.log?.(`${client.node} ${state.mode} ${state.generation}`)
      const outcome = await pursue(client, state, options)
      const shown = state.mode === 'enforce' ? options.selfSigned : undefined
      const services = servicesOf(state.content, outcome).map(one => ({
        ...one,
        served: [...(options.served?.(one.service, state.mode) ?? [])],
        ...clusterOf(options),
        ...(shown?.[one.service] === undefined ? {} : { selfSigned: shown[one.service] }),
      }))
      const { generation, digest, mode } = state
      await tell({ services, generation, digest, mode })
    }
  } catch (error) {
    if (!stop.aborted) throw error
  }
}

function clusterOf({ cluster }: FakeAgentOptions) {
  const view = cluster?.()
  return view === undefined ? {} : { cluster: view }
}

function question({ accepted }: AgentMemory): string {
  if (accepted === undefined) return 'generation=0'
  const { epoch, generation } = positionOf(accepted.latest)
  return `generation=${generation}${epoch === 0 ? '' : `&epoch=${epoch}`}`
}

/** As the real agent judges it. */
function accept(node: string, memory: AgentMemory, received: unknown): DesiredState {
  const { accepted: current } = memory
  const highest = { generation: undefined, digest: undefined }
  const result = acceptDesired({ received, node, current, highest })
  if (result.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(result)}`)
  memory.accepted = result.accepted
  return result.accepted.latest
}

async function pursue(
  client: AgentClient,
  state: DesiredState,
  { outcome = 'changed' }: FakeAgentOptions,
): Promise<OutcomeKind> {
  if (state.mode === 'stage') return 'staged'
  if (!state.permit) return 'in-sync'
  const { generation, digest } = state
  const claim = { purpose: 'rollout', generation, digest }
  const lease = parseLeaseAnswer((await client.post(AGENT_ROUTES.lease, claim)).body)
  return lease.granted ? outcome : 'waiting'
}

function servicesOf(content: DesiredContent, outcome: OutcomeKind): readonly ServiceReport[] {
  return content.services.map(({ service }) => serviceReport(service, outcome))
}

export function serviceReport(
  service: ServiceReport['service'],
  outcome: OutcomeKind,
): ServiceReport {
  const reason = { code: `fake-${outcome}`, message: `the fake agent says ${outcome}` }
  return {
    service,
    outcome,
    reason,
    corrective: false,
    activation: outcome === 'planned' ? 'restart' : 'none',
    activationReason: reason,
    changes: [],
    served: [],
    notices: [],
    activations: 0,
  }
}

export function report(known: {
  readonly sequence: number
  readonly services: readonly ServiceReport[]
  readonly generation?: number
  readonly digest?: string
  readonly mode?: DesiredState['mode']
}): Report {
  return {
    sequence: known.sequence,
    atMs: Date.now(),
    agentVersion: 'fake',
    ...(known.generation === undefined ? {} : { observedGeneration: known.generation }),
    ...(known.digest === undefined ? {} : { observedDigest: known.digest }),
    ...(known.mode === undefined ? {} : { mode: known.mode }),
    services: [...known.services],
    facts: {},
  }
}
