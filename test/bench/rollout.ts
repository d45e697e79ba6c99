// What a rollout costs the controller that has a large fleet: a decision by itself, and a whole tick of
// the runner on a real database, each with a hundred nodes that have something new to say.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decide } from '../../controller/rollout/decide.ts'
import { evolveAll, startRollout } from '../../controller/rollout/evolve.ts'
import { makePlan } from '../../controller/rollout/plan.ts'
import { isRipe } from '../../controller/rollout/ripe.ts'
import type {
  NodeView,
  PlannedNode,
  Rollout,
  RolloutEvent,
} from '../../controller/rollout/rollout.ts'
import { createRunner, type Runner, type RunnerOptions } from '../../controller/rollout/runner.ts'
import { pieceOf, stepOf } from '../../controller/rollout/steps.ts'
import { openSqliteStore } from '../../controller/store/sqlite.ts'
import type { Store, Transaction } from '../../controller/store/store.ts'
import type { Clock } from '../../shared/clock.ts'
import { contentDigestOf, sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sampleContent, sampleNode, sampleReport, T0 } from '../contract/samples.ts'
import { median, printMetric, say } from './metric.ts'

const SIZES = [1_000, 10_000, 100_000] as const
const CHANGED = 100
const ROUNDS = 15
const CREATIONS = 3
const NOW = { atMs: T0, timeMs: 0 }

export async function benchRollouts(): Promise<void> {
  for (const size of SIZES) benchDecide(size)
  for (const size of SIZES) await benchRunner(size)
}

const nameOf = (index: number) => `n${String(index).padStart(6, '0')}`

// One content for all: what is decided does not depend on it, and hashing it is not what is measured.
function plannedNodes(size: number): readonly PlannedNode[] {
  const content = sampleContent('n')
  const to = contentDigestOf(content)
  return Array.from({ length: size }, (_, index) => {
    return { node: nameOf(index), from: undefined, to, content }
  })
}

/** All nodes have been given their documents; nobody has answered. */
function assignedRollout(size: number): { rollout: Rollout; events: readonly RolloutEvent[] } {
  const nodes = plannedNodes(size)
  const plan = makePlan({
    request: { revision: 1, author: 'ada', nodes },
    settings: { ramp: [] },
    groups: [],
    conditionOf: () => 'well',
  })
  const first: RolloutEvent = { kind: 'planned', ...NOW }
  const rest: readonly RolloutEvent[] = [
    { kind: 'started', ...NOW },
    ...nodes.map(({ node }) => ({ kind: 'node-assigned', node, generation: 1, ...NOW }) as const),
  ]
  return {
    rollout: evolveAll(startRollout('r', plan, first), rest),
    events: [first, ...rest],
  }
}

function viewOf(node: string, outcome: NodeView['outcome']): NodeView {
  return {
    node,
    online: true,
    highestGeneration: 1,
    observedGeneration: outcome === undefined ? undefined : 1,
    observedContent: undefined,
    sequence: 1,
    outcome,
    reason: undefined,
    silentMs: 0,
    inactive: false,
    broken: false,
  }
}

function benchDecide(size: number): void {
  const { rollout } = assignedRollout(size)
  const nodes = new Map<string, NodeView>()
  for (let index = 0; index < size; index++)
    nodes.set(nameOf(index), viewOf(nameOf(index), undefined))
  const took: number[] = []
  const whole: number[] = []
  const stride = Math.floor(size / CHANGED)
  for (let round = 0; round < ROUNDS; round++) {
    const fresh = new Map(nodes)
    const ripe = new Map<number, Set<string>>()
    const changed = Array.from({ length: CHANGED }, (_, index) =>
      nameOf(index * stride + (round % stride)),
    )
    const startMs = performance.now()
    // As the runner does for what has changed.
    for (const node of changed) {
      fresh.set(node, viewOf(node, 'staged'))
      const [piece, step] = [pieceOf(rollout, node), stepOf(rollout, node)]
      if (piece === undefined || step === undefined || !isRipe(rollout, step, fresh.get(node)))
        continue
      ripe.set(piece, (ripe.get(piece) ?? new Set()).add(node))
    }
    const fleet = { nodes: fresh, groups: new Map(), groupsOf: new Map() }
    const events = decide(rollout, { ...fleet, ripe }, NOW)
    took.push(performance.now() - startMs)
    const wholeMs = performance.now()
    const same = decide(rollout, fleet, NOW)
    whole.push(performance.now() - wholeMs)
    if (events.length < CHANGED || same.length !== events.length)
      throw new Error(`a decision on ${size} nodes has ${events.length} events`)
  }
  printMetric(`rollout.decide.tick_ms.${size}`, median(took), 'ms', took.length)
  printMetric(`rollout.decide.everyone_ms.${size}`, median(whole), 'ms', whole.length)
}

async function benchRunner(size: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'tlsfleet-bench-rollout-'))
  const store = await openSqliteStore({ path: join(dir, 'store.db'), busyTimeoutMs: 0 })
  try {
    const setUpMs = await timed(() => fill(store, size))
    await benchCreate(store, size)
    await begin(store, size)
    const runner = createRunner({ ...QUIET, store })
    const coldMs = await timed(() => runner.tick())
    const [took, idle]: [number[], number[]] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      await report(store, size, round)
      took.push(await timed(() => runner.tick()))
      idle.push(await timed(() => runner.tick()))
    }
    say(`${size} nodes: set up in ${Math.round(setUpMs)} ms`)
    printMetric(`rollout.runner.tick_ms.${size}`, median(took), 'ms', took.length)
    printMetric(`rollout.runner.idle_ms.${size}`, median(idle), 'ms', idle.length)
    printMetric(`rollout.runner.first_ms.${size}`, coldMs, 'ms', 1)
    await benchNodes(store, runner, size)
  } finally {
    await store.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

const GROUPS = `version: 1
fleet: bench
services: []
groups:
  - { name: everybody, kind: pool, percent: 10, nodes: all }
  - { name: web, kind: pool, percent: 10, nodes: { labels: { role: web } } }
  - { name: meta, kind: raft, nodes: { labels: { role: meta } } }
`

/** A plan for the whole fleet, made and stored; taken back, so that it is in nobody's way. */
async function benchCreate(store: Store, size: number): Promise<void> {
  const takenBack = new Error('it is only measured')
  const runner = createRunner({
    ...QUIET,
    store: {
      transaction: work =>
        store.transaction(async tx => {
          await work(tx)
          throw takenBack
        }),
    },
  })
  const from = contentDigestOf(sampleContent('n'))
  const content = sampleContent('n', 2)
  const to = contentDigestOf(content)
  const nodes = Array.from({ length: size }, (_, index) => {
    return { node: nameOf(index), from, to, content }
  })
  const created: number[] = []
  for (let round = 0; round < CREATIONS; round++) {
    const startMs = performance.now()
    await runner.create({ revision: 1, author: 'ada', nodes }, 'ada').catch((error: unknown) => {
      if (!String(error).includes(takenBack.message)) throw error
    })
    created.push(performance.now() - startMs)
  }
  printMetric(`rollout.runner.create_ms.${size}`, median(created), 'ms', created.length)
}

/** A node comes, gets other labels, goes: what the next tick takes, in a fleet with groups. */
async function benchNodes(store: Store, runner: Runner, size: number): Promise<void> {
  const author = { author: 'ada', createdAtMs: T0 }
  await store.transaction(tx => tx.revisions.insert({ digest: 'groups', text: GROUPS, ...author }))
  const specMs = await timed(() => runner.tick())
  const [added, labelled, removed]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    const insert = (tx: Transaction, role: string) =>
      tx.nodes.insert({ ...sampleNode(`m${round}`), labels: { role }, enrolledAtMs: T0 })
    await store.transaction(tx => insert(tx, 'web'))
    added.push(await timed(() => runner.tick()))
    const { names } = sampleNode(`m${round}`)
    await store.transaction(tx => tx.nodes.change(`m${round}`, { names, labels: { role: 'meta' } }))
    labelled.push(await timed(() => runner.tick()))
    if (round % 3 === 0) continue
    await store.transaction(tx => tx.nodes.remove(`m${round}`, T0))
    removed.push(await timed(() => runner.tick()))
  }
  printMetric(`rollout.runner.node_added_ms.${size}`, median(added), 'ms', added.length)
  printMetric(`rollout.runner.node_labelled_ms.${size}`, median(labelled), 'ms', labelled.length)
  printMetric(`rollout.runner.node_removed_ms.${size}`, median(removed), 'ms', removed.length)
  printMetric(`rollout.runner.new_spec_ms.${size}`, specMs, 'ms', 1)
}

const CLOCK: Clock = { now: () => T0, monotonic: () => 0, sleep: async () => {} }

const QUIET: Omit<RunnerOptions, 'store'> = {
  clock: CLOCK,
  onPublished: () => {},
  isOnline: () => true,
  changedSince: () => ({ cursor: 0, nodes: [] }),
  log: { info: () => {}, warn: () => {}, error: fields => fail(fields) },
}

function fail(fields: object): never {
  throw new Error('a rollout could not move', { cause: 'err' in fields ? fields.err : fields })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

const PAGE = 5_000

async function fill(store: Store, size: number): Promise<void> {
  const content = sampleContent('n')
  for (let first = 0; first < size; first += PAGE)
    await store.transaction(async tx => {
      for (let index = first; index < Math.min(size, first + PAGE); index++) {
        const node = nameOf(index)
        await tx.nodes.insert({ ...sampleNode(node), enrolledAtMs: T0, seenAtMs: T0 })
        const document = { node, generation: 1, mode: 'stage', permit: false, content } as const
        await tx.desired.put({ state: sealDesiredState(document), revision: 1 })
      }
    })
}

async function begin(store: Store, size: number): Promise<void> {
  const { rollout, events } = assignedRollout(size)
  const { plan } = rollout
  await store.transaction(tx => tx.rollouts.insert({ id: 'r', plan, events, atMs: T0 }))
}

/** A hundred nodes, spread over the fleet, say that they have prepared what they were given. */
async function report(store: Store, size: number, round: number): Promise<void> {
  const stride = Math.floor(size / CHANGED)
  await store.transaction(async tx => {
    for (let index = 0; index < CHANGED; index++) {
      const node = nameOf(index * stride + (round % stride))
      const state = (await tx.desired.get(node))?.state
      if (state === undefined) throw new Error(`${node} has no document`)
      const { generation, digest } = state
      const said = sampleReport({ outcome: 'staged', generation, digest, sequence: round + 1 })
      await tx.reports.put({ node, receivedAtMs: T0, report: said })
    }
  })
}
