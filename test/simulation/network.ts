// What passes between the nodes of a world and its controllers: documents, reports, questions and their
// answers. It is lost, repeated and reordered, until somebody helps.

import type { Runner } from '../../controller/rollout/runner.ts'
import { accept, beAnswered, beGranted, type SimulatedAgent, work } from './agent.ts'
import type { createChecks } from './checks.ts'
import type { Scenario } from './fleet.ts'
import type { Contents } from './memory-store.ts'
import type { Random } from './random.ts'

export interface Network {
  poll(agent: SimulatedAgent): void
  /** Reports come in any order, some twice; the store takes the newest. */
  deliverReport(agent: SimulatedAgent): void
  deliverQuestion(agent: SimulatedAgent): Promise<void>
  /** The node is there, and all that waits between it and the controllers arrives. */
  help(agent: SimulatedAgent): Promise<void>
}

export interface NetworkParts {
  readonly scenario: Scenario
  readonly random: Random
  readonly contents: Contents
  readonly checks: Pick<ReturnType<typeof createChecks>, 'beforeClaim' | 'afterGrant' | 'after'>
  /** A controller that answers. */
  readonly first: () => Runner
  readonly quietly: <T>(attempt: () => Promise<T>) => Promise<T | undefined>
  readonly nowMs: () => number
  readonly trace: string[]
}

export function createNetwork(parts: NetworkParts): Network {
  const { scenario, random, contents, checks, first, quietly, nowMs, trace } = parts
  const { faults } = scenario

  function poll(agent: SimulatedAgent): void {
    const state = contents.desired.get(agent.name)?.state
    if (!agent.isOnline || state === undefined) return
    contents.seen.set(agent.name, nowMs())
    accept(agent, state)
  }

  function deliverReport(agent: SimulatedAgent): void {
    if (!agent.isOnline || agent.reports.length === 0) return
    const index = faults.lossy > 0 ? random.below(agent.reports.length) : 0
    const report = agent.reports[index]
    if (report === undefined) return
    if (!random.chance(faults.lossy / 2)) agent.reports.splice(index, 1)
    if (report.sequence <= (contents.reports.get(agent.name)?.sequence ?? 0)) return
    receive(agent, report)
    trace.push(`${agent.name} reports ${report.services[0]?.outcome} ${report.observedGeneration}`)
  }

  function receive({ name }: SimulatedAgent, report: SimulatedAgent['reports'][number]): void {
    contents.reports.set(name, { ...report, receivedAtMs: nowMs() })
    contents.changes.note(name)
  }

  async function deliverQuestion(agent: SimulatedAgent): Promise<void> {
    const index = random.below(agent.questions.length)
    const question = agent.questions[index]
    if (!agent.isOnline || question === undefined) return
    if (!random.chance(faults.lossy / 2)) agent.questions.splice(index, 1)
    const { generation, digest, purpose, sequence, act } = question
    const before = checks.beforeClaim()
    const answer = await quietly(() =>
      first().claim(agent.name, generation, digest, { purpose, sequence, act }),
    )
    if (answer?.granted === true) checks.afterGrant(agent.name, before)
    trace.push(
      `${agent.name} asks for ${purpose} ${generation}: ${answer?.reason.code ?? 'no answer'}`,
    )
    if (answer !== undefined && !random.chance(faults.lossy)) {
      if (act !== undefined) beAnswered(agent, question, answer)
      else if (answer.granted) beGranted(agent, question)
    }
    if (answer?.granted === true && random.chance(faults.away)) agent.isOnline = false
  }

  async function help(agent: SimulatedAgent): Promise<void> {
    agent.isOnline = true
    agent.isStopped = false
    // Nodes of a section keep no step with each other.
    if (agent.gathering !== undefined && random.chance(0.5)) return
    poll(agent)
    work(agent, digest => scenario.fateOf(agent.name, digest))
    while (agent.questions.length > 0) {
      const question = agent.questions.shift()
      if (question === undefined) break
      const { generation, digest, purpose, sequence, act } = question
      const before = checks.beforeClaim()
      const answer = await quietly(() =>
        first().claim(agent.name, generation, digest, { purpose, sequence, act }),
      )
      if (act !== undefined && answer !== undefined) beAnswered(agent, question, answer)
      if (answer?.granted !== true) continue
      checks.afterGrant(agent.name, before)
      beGranted(agent, question)
      checks.after()
    }
    work(agent, digest => scenario.fateOf(agent.name, digest))
    // The newest is all that counts, and it arrives.
    const report = agent.reports.at(-1)
    agent.reports.length = 0
    if (report !== undefined && report.sequence > (contents.reports.get(agent.name)?.sequence ?? 0))
      receive(agent, report)
    contents.seen.set(agent.name, nowMs())
    checks.after()
  }

  return { poll, deliverReport, deliverQuestion, help }
}
