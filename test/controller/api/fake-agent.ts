// An agent without a node behind it: it polls, answers previews, stages, claims and reports, as the
// real one does when all goes well, or fails where a test wants it to.

import { parseDesiredAnswer, parseLeaseAnswer } from '../../../shared/contract/agent-api.ts'
import {
  type DesiredContent,
  type DesiredState,
  isIntact,
  parseDesiredState,
} from '../../../shared/contract/desired-state.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import type { OutcomeKind, Report, ServiceReport } from '../../../shared/contract/report.ts'
import type { AgentClient } from './support.ts'

export interface FakeAgentOptions {
  /** What comes of enforcing. */
  readonly outcome?: 'changed' | 'failed' | 'restored'
  readonly log?: (line: string) => void
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

async function loop(
  client: AgentClient,
  options: FakeAgentOptions,
  stop: AbortSignal,
): Promise<void> {
  let generation = 0
  let sequence = 1
  await client.post(AGENT_ROUTES.report, report({ sequence: sequence++, services: [] }))
  try {
    while (!stop.aborted) {
      const path = `${AGENT_ROUTES.desired}?generation=${generation}&wait=5000`
      const answer = parseDesiredAnswer((await client.get(path)).body)
      if (answer.preview !== undefined)
        await client.post(AGENT_ROUTES.preview, {
          previewId: answer.preview.previewId,
          services: servicesOf(answer.preview.content, 'planned'),
        })
      if (answer.document === undefined) continue
      const state = parseDesiredState(answer.document)
      if (!isIntact(state)) throw new Error('the document is not what its digest says')
      generation = state.generation
      options.log?.(`${client.node} ${state.mode} ${generation}`)
      const services = servicesOf(state.content, await pursue(client, state, options))
      const { digest, mode } = state
      await client.post(
        AGENT_ROUTES.report,
        report({ sequence: sequence++, services, generation, digest, mode }),
      )
    }
  } catch (error) {
    if (!stop.aborted) throw error
  }
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
