// A runner over a store of three nodes whose agents behave as told, and what makes them all come to rest.

import type { Test } from 'tap'
import type { Rollout } from '../../../controller/rollout/rollout.ts'
import {
  createRunner,
  type Runner,
  type RunnerOptions,
} from '../../../controller/rollout/runner.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { Store, Transaction } from '../../../controller/store/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'
import { type Behaviour, pass } from './fake-fleet.ts'

export const NAMES = ['a', 'b', 'c'] as const

export const clock: Clock = { now: () => T0, monotonic: () => 0, sleep: async () => {} }
export const silent = { info: () => {}, warn: () => {}, error: () => {} }

interface Fixture {
  readonly store: Store
  readonly runner: Runner
  readonly published: string[][]
  readonly errors: object[]
  readonly behaviours: Record<string, Behaviour>
}

export async function setUp(t: Test, more: Partial<RunnerOptions> = {}): Promise<Fixture> {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  t.teardown(() => store.close())
  await store.transaction(async tx => {
    for (const name of NAMES) await tx.nodes.insert(sampleNode(name))
  })
  const published: string[][] = []
  const errors: object[] = []
  const behaviours: Record<string, Behaviour> = {}
  const runner = createRunner({
    store,
    clock,
    onPublished: nodes => published.push([...nodes]),
    isOnline: ({ node }) => behaviours[node] !== 'asleep',
    log: { ...silent, error: fields => errors.push(fields) },
    newId: counter('r'),
    ...more,
  })
  return { store, runner, published, errors, behaviours }
}

function counter(prefix: string): () => string {
  let count = 0
  return () => `${prefix}${++count}`
}

/** Ticks and passes of all agents in turn, until nothing moves. */
export async function settle({
  store,
  runner,
  behaviours,
}: Omit<Fixture, 'published' | 'errors'>): Promise<void> {
  for (let quiet = 0, round = 0; quiet < 2; round++) {
    if (round > 100) throw new Error('the rollout does not come to rest')
    const before = await store.transaction(versions)
    for (const node of NAMES) await pass(store, runner, node, behaviours[node] ?? 'good')
    await runner.tick()
    quiet = (await store.transaction(versions)) === before ? quiet + 1 : 0
  }
}

async function versions(tx: Transaction): Promise<string> {
  const rollouts = await tx.rollouts.list({ limit: 9 })
  return rollouts.map(({ id, version }) => `${id} ${version}`).join()
}

export const statesOf = (rollout: Rollout | undefined) =>
  (rollout?.steps ?? [])
    .flat()
    .map(step => step.state)
    .join(' ')

export const read = (store: Store, id: string) => store.transaction(tx => tx.rollouts.get(id))
