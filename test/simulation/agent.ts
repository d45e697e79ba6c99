// An agent and its node: what it was given, what its services run on whatever anybody believes, and
// what it says. It keeps to the protocol: nothing live is touched before a lease was granted for the
// document that is in force, a switch that has begun is finished, and what failed is not tried again.

import type { DesiredState } from '../../shared/contract/desired-state.ts'
import type { LeaseAnswer, LeaseRequest, SectionAct } from '../../shared/contract/agent-api.ts'
import type { ReportExcerpt } from '../../controller/store/store.ts'
import { Violation } from './violation.ts'

/** What becomes of a content on a node. */
export type Fate = 'good' | 'refusing' | 'late-refusing' | 'restoring' | 'breaking'

export interface Question {
  readonly node: string
  readonly generation: number
  readonly digest: string
  readonly purpose: LeaseRequest['purpose']
  readonly sequence: number
  /** With others: what it would do next. */
  readonly act?: SectionAct
}

/** A change that is made with others: what is asked for next. In the journal, as a switch is. */
export interface Gathering {
  readonly generation: number
  readonly digest: string
  readonly to: string
  readonly act: SectionAct
  /** Passes until its snapshot is taken. */
  readonly savingFor: number
}

export interface Switch {
  readonly generation: number
  readonly to: string
  readonly purpose: LeaseRequest['purpose']
  readonly isNew: boolean
}

export type Truth = 'new' | 'old' | 'broken'

export interface SimulatedAgent {
  readonly name: string
  isOnline: boolean
  /** Its operator has stopped the service. */
  isStopped: boolean
  accepted: DesiredState | undefined
  /** Digest of the content that its services run on. */
  live: string | undefined
  isBroken: boolean
  /** In the journal: a crash does not end it. */
  switching: Switch | undefined
  gathering: Gathering | undefined
  /** Generations before whose change a snapshot was taken. */
  readonly saved: Set<number>
  /** Generation that was tried, and what came of it. */
  readonly results: Map<number, Truth>
  readonly switches: Map<number, number>
  sequence: number
  readonly reports: ReportExcerpt[]
  readonly questions: Question[]
  /** Whose answer it waits for; an answer to another one finds nobody. */
  awaited: Question | undefined
  patience: number
}

export function createAgent(name: string, live: string | undefined): SimulatedAgent {
  return {
    name,
    isOnline: true,
    isStopped: false,
    accepted: undefined,
    live,
    isBroken: false,
    switching: undefined,
    gathering: undefined,
    saved: new Set(),
    results: new Map(),
    switches: new Map(),
    sequence: 0,
    reports: [],
    questions: [],
    awaited: undefined,
    patience: 0,
  }
}

/** In the middle of a switch it looks at nothing newer, and never at anything older. */
export function accept(agent: SimulatedAgent, document: DesiredState): void {
  if (agent.switching !== undefined || agent.gathering !== undefined) return
  if (agent.accepted !== undefined && document.generation <= agent.accepted.generation) return
  agent.accepted = document
}

/** One pass. */
export function work(agent: SimulatedAgent, fateOf: (digest: string) => Fate): void {
  if (agent.switching !== undefined) return finish(agent, agent.switching, fateOf)
  // A pass waits for its answer, and gives up after a while.
  if (agent.awaited !== undefined && agent.patience-- > 0) return
  agent.awaited = undefined
  if (agent.gathering !== undefined) return askAct(agent, agent.gathering)
  const document = agent.accepted
  if (document === undefined) return
  const { contentDigest, generation, mode } = document
  const fate = fateOf(contentDigest)
  if (fate === 'refusing') return tell(agent, 'failed')
  if (agent.isStopped) return tell(agent, 'waiting', 'inactive')
  const isThere = agent.live === contentDigest && !agent.isBroken
  if (mode === 'stage') return tell(agent, isThere ? 'in-sync' : 'staged')
  if (isThere) return tell(agent, 'in-sync')
  const result = agent.results.get(generation)
  if (result === 'old') return tell(agent, 'restored', 'restored', 2)
  if (result === 'broken') return tell(agent, 'failed', 'restore-failed', 2)
  if (fate === 'late-refusing') return tell(agent, 'failed', 'validation-failed')
  ask(agent, document.permit ? 'rollout' : 'correction')
}

export function ask(agent: SimulatedAgent, purpose: Question['purpose']): void {
  if (agent.accepted === undefined) return
  const { generation, digest } = agent.accepted
  const { name: node, sequence } = agent
  agent.awaited = { node, generation, digest, purpose, sequence }
  agent.patience = 3
  agent.questions.push(agent.awaited)
}

// Some take their time for it.
function askAct(agent: SimulatedAgent, gathering: Gathering): void {
  const { generation, digest, act, savingFor } = gathering
  if (savingFor > 0) return void (agent.gathering = { ...gathering, savingFor: savingFor - 1 })
  agent.saved.add(generation)
  const { name: node, sequence } = agent
  agent.awaited = { node, generation, digest, purpose: 'rollout', sequence, act }
  agent.patience = 3
  agent.questions.push(agent.awaited)
}

const NEXT = { stop: 'switch', switch: 'start' } as const

/** The answer to a question of a section has arrived. */
export function beAnswered(agent: SimulatedAgent, question: Question, answer: LeaseAnswer): void {
  const { gathering } = agent
  if (agent.awaited !== question || gathering === undefined) return
  agent.awaited = undefined
  if (answer.granted) {
    const { act, generation, to } = gathering
    if (act !== 'start') return void (agent.gathering = { ...gathering, act: NEXT[act] })
    agent.gathering = undefined
    agent.switching = { generation, to, purpose: 'rollout', isNew: true }
    return
  }
  if (answer.again !== true) goBack(agent)
}

/** It serves what it served before. */
export function goBack(agent: SimulatedAgent): void {
  const { gathering } = agent
  if (gathering === undefined) return
  agent.gathering = undefined
  agent.results.set(gathering.generation, 'old')
  tell(agent, 'restored', 'together-back', 1)
}

/** The answer to a question has arrived. */
export function beGranted(agent: SimulatedAgent, question: Question): void {
  if (agent.awaited !== question || agent.switching !== undefined) return
  if (question.act !== undefined) return
  agent.awaited = undefined
  const { generation, purpose } = question
  const document = agent.accepted
  // An answer about a document that is not in force any more permits nothing.
  if (document?.generation !== generation || agent.isStopped) return
  const isThere = agent.live === document.contentDigest && !agent.isBroken
  const isNew = document.mode === 'enforce' && !isThere
  if (isNew && agent.results.has(generation)) return
  if (purpose === 'rollout' && !isNew) return
  // What is live is written once more: the certificate with another key, the file as it was.
  const to = isNew && purpose !== 'renewal' ? document.contentDigest : agent.live
  if (to === undefined || (agent.isBroken && !isNew)) return
  if (document.together !== undefined && purpose === 'rollout') {
    const savingFor = (generation + agent.name.length + agent.sequence) % 4
    agent.gathering = { generation, digest: document.digest, to, act: 'stop', savingFor }
    return
  }
  agent.switching = { generation, to, purpose, isNew: to !== agent.live || agent.isBroken }
}

function finish(
  agent: SimulatedAgent,
  { generation, to, isNew }: Switch,
  fateOf: (digest: string) => Fate,
): void {
  agent.switching = undefined
  agent.awaited = undefined
  const count = (agent.switches.get(generation) ?? 0) + (isNew ? 1 : 0)
  agent.switches.set(generation, count)
  if (count > 1) throw new Violation(`R5: ${agent.name} switched ${count} times to ${generation}`)
  const fate = isNew ? fateOf(to) : 'good'
  if (fate === 'restoring' && !agent.isBroken) {
    agent.results.set(generation, 'old')
    return tell(agent, 'restored', 'restored', 2)
  }
  if (fate === 'breaking' || fate === 'restoring') {
    agent.isBroken = true
    agent.results.set(generation, 'broken')
    return tell(agent, 'failed', 'restore-failed', 2)
  }
  agent.isBroken = false
  agent.live = to
  if (isNew) agent.results.set(generation, 'new')
  const isStaged = agent.accepted?.mode === 'stage'
  tell(agent, isStaged ? 'staged' : 'changed', 'changed', 1)
}

/** An operator repairs it by hand: it runs on what it is to have. */
export function repair(agent: SimulatedAgent): void {
  if (!agent.isBroken || agent.switching !== undefined) return
  agent.isBroken = false
  if (agent.accepted === undefined) return
  agent.live = agent.accepted.contentDigest
  agent.results.set(agent.accepted.generation, 'new')
}

type Outcome = ReportExcerpt['services'][number]['outcome']

function tell(
  agent: SimulatedAgent,
  outcome: Outcome,
  code: string = outcome,
  activations = 0,
): void {
  if (agent.accepted === undefined) return
  const { generation, digest } = agent.accepted
  const reason = { code, message: code }
  agent.reports.push({
    sequence: ++agent.sequence,
    receivedAtMs: 0,
    observedGeneration: generation,
    observedDigest: digest,
    services: [{ service: 'prometheus', outcome, reason, activations, served: [] }],
  })
  // What was never sent is of no interest once there are many newer ones.
  if (agent.reports.length > 6) agent.reports.shift()
}
