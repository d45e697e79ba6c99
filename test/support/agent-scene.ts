// What tests of the daemon start with: a stock node, a controller, and an agent that has passed once.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'
import { until } from '../lab/until.ts'
import { createFakeController, type FakeController } from './fake-controller.ts'
import { type AgentParts, type RunningAgent, startAgent } from './memory-agent.ts'
import { type MemoryNode, newNode, outcomes, wish } from './memory-fleet.ts'

export const CONF = '/etc/influxdb/influxdb.conf'
/** What is served, where it is TLS. */
export const TLS = /^[0-9a-f]{64}$/

export const services = await wish()

export interface Scene {
  readonly node: MemoryNode
  readonly controller: FakeController
  readonly agent: RunningAgent
}

/** The process ends with the test. */
export async function scene(t: Test, parts: AgentParts = {}, node = newNode()): Promise<Scene> {
  const controller = createFakeController(() => node.nowMs())
  const agent = await startAgent(node, controller, parts)
  t.teardown(() => agent.kill())
  return { node, controller, agent }
}

export function seen<T>(what: string, check: () => T | false | undefined): Promise<T> {
  return until(check, { what, everyMs: 2, timeoutMs: 60_000 })
}

/** Long enough for messages in memory to arrive. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await nextTurn()
}

export function lastOf<T>(list: readonly T[]): T | undefined {
  return list.at(-1)
}

/** Outcomes of the services after the last pass. */
export function summary({ agent }: Scene): Record<string, string> {
  return outcomes(agent.control.status().services)
}
