// A whole fleet in one process: several controllers on one store, agents on nodes, a network that
// loses, repeats and reorders, operators who interfere. The controllers are the production ones. One
// action at a time; what must hold is checked after every one.

import { type Clock } from '../../shared/clock.ts'
import type { ClusterView } from '../../shared/contract/cluster-view.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { OperationalError } from '../../shared/errors.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import { createChangeLog } from '../../controller/rollout/change-log.ts'
import type { Runner } from '../../controller/rollout/runner.ts'
import type { GateVerdict, Rollout } from '../../controller/rollout/rollout.ts'
import { T0 } from '../contract/samples.ts'
import { accept, ask, createAgent, goBack, repair, type SimulatedAgent, work } from './agent.ts'
import { createChecks } from './checks.ts'
import type { Engine } from './engine.ts'
import { createScenario } from './fleet.ts'
import { createMemoryStore, Killed } from './memory-store.ts'
import { createNetwork } from './network.ts'
import { createOperators, WHY } from './operators.ts'
import type { Random } from './random.ts'
import { requireSameView } from './view-check.ts'
import { Violation } from './violation.ts'

export interface World {
  /** One random thing happens. */
  act(): Promise<void>
  /** Faults end, operators help, and everything goes on in order until all rollouts have ended. */
  heal(): Promise<void>
  checkEnd(): void
  /** What happened, for the one who looks into a violation; and for comparing two runs. */
  readonly trace: readonly string[]
  readonly rollouts: () => readonly Rollout[]
}

export interface WorldOptions {
  readonly engine: Engine
  readonly random: Random
  /** The wall clock jumps by years. Nothing else may differ. */
  readonly wallJumps?: boolean
}

export function createWorld({ engine, random, wallJumps = false }: WorldOptions): World {
  const scenario = createScenario(random)
  const { names, faults } = scenario
  const trace: string[] = []
  const deaths = random.split('deaths')
  const rivals = random.split('rivals')
  const walls = random.split('walls')
  const epochs = random.split('epochs')
  const looks = random.split('looks')
  const restores = epochs.pick([0, 0, 0, 0.004])
  const isTold = looks.chance(0.5)
  const online = new Map<string, boolean>()
  const flips = createChangeLog()
  // Without being told, a runner asks who is there each time, and not who leads.
  const leaders: typeof scenario.leaders = isTold ? scenario.leaders : new Map()
  const ranking = [...leaders.values()].flat()
  let led: string | undefined
  let monoMs = 0
  let wallOffsetMs = 0
  let rivalry = false

  const checks = createChecks({ engine, scenario: { ...scenario, leaders }, trace })
  const store = createMemoryStore(
    engine,
    scenario.spec,
    (before, events) => checks.onEvents(before, events),
    async () => {
      if (rivalry || controllers.length < 2 || !rivals.chance(faults.rival)) return
      rivalry = true
      await quietly(() => rivals.pick(controllers).tick())
      rivalry = false
    },
    passedMs => checks.onTime(passedMs),
  )
  const parsed = parseFleetSpec(scenario.spec)
  if (parsed.kind !== 'ok') throw new Error(`the spec of the simulation is wrong`)
  const { spec } = parsed
  const { contents } = store
  const plain = store.open(() => undefined)
  const agents = new Map<string, SimulatedAgent>()
  // For operators and agents, whose requests are answered by whoever is up.
  const first = () => random.pick(controllers)
  const nowMs = () => T0 + monoMs
  const parts = { scenario, random, contents, checks, first, quietly, trace }
  const network = createNetwork({ ...parts, nowMs })
  seedFleet()
  checks.attach(contents, agents)

  const clock: Clock = {
    now: () => T0 + monoMs + wallOffsetMs,
    monotonic: () => monoMs,
    sleep: async () => {},
  }
  const active = () => rollouts().filter(({ endedAtMs }) => endedAtMs === undefined)
  const rollouts = () => [...contents.rollouts.values()].map(({ rollout }) => rollout)
  const planner = () => controllers[0]
  const operators = createOperators({ ...parts, spec, agents, rollouts, active, planner })
  let isCalm = false
  let count = 0
  const controllers: Runner[] = Array.from({ length: scenario.controllers }, startController)

  function startController(): Runner {
    return engine.createRunner({
      store: store.open(() =>
        !isCalm && deaths.chance(faults.controllerCrash)
          ? deaths.pick(['before', 'after'] as const)
          : undefined,
      ),
      clock,
      onPublished: () => {},
      isOnline: ({ node }) => agents.get(node)?.isOnline === true,
      ...(isTold ? { changedSince: flipsSince } : {}),
      verdictsOf: judge,
      vantageOf: (node, generation) => look(node, generation),
      clusterOf: (node, kind) => clusterOf(node, kind),
      log: {
        info: () => {},
        warn: () => {},
        error: fields => {
          const err: unknown = 'err' in fields ? fields.err : undefined
          if (err instanceof Killed || err instanceof Violation) throw err
          throw new Violation(`it could not move: ${String(err)}`)
        },
      },
      newId: () => `r${++count}`,
    })
  }

  function flipsSince(cursor: number | undefined) {
    for (const { name, isOnline } of agents.values()) {
      if (online.get(name) !== isOnline) flips.note(name)
      online.set(name, isOnline)
    }
    const leader = leaderNow()
    if (leader !== led) for (const name of ranking) flips.note(name)
    led = leader
    return flips.since(cursor)
  }

  const leaderNow = () => ranking.find(name => agents.get(name)?.isOnline === true)

  function clusterOf(node: string, kind: ClusterView['kind']): ClusterView | undefined {
    if (kind !== 'influxdb-meta' || !ranking.includes(node)) return undefined
    const leader = leaderNow()
    const size = ranking.length
    return { kind, size, members: [], health: 'green', ...(leader === undefined ? {} : { leader }) }
  }

  /** What a runner has kept is what one sees that was just started. */
  async function checkViews(): Promise<void> {
    const fresh = startController()
    for (const kept of controllers)
      for (const rollout of active())
        await plain.transaction(async tx =>
          requireSameView(await kept.view(tx, rollout), await fresh.view(tx, rollout), rollout.id),
        )
  }

  // Of a store from a backup nothing is known but that its generations are outdated.
  function restore(): void {
    contents.epoch += 100 + epochs.below(100)
    contents.changes.noteAll()
    for (const [node, highest] of contents.highest)
      contents.highest.set(node, Math.max(highest + 1, contents.epoch))
    trace.push(`restored: epoch ${contents.epoch}`)
    for (const index of controllers.keys())
      if (epochs.chance(0.5)) controllers[index] = startController()
  }

  function judge(rollout: Rollout): readonly GateVerdict[] {
    if (!rollout.plan.settings.gates.includes('cluster')) return []
    const broken = [...agents.values()].some(agent => agent.isBroken)
    const verdict = broken
      ? 'fail'
      : !isCalm && random.chance(faults.verdict)
        ? 'inconclusive'
        : 'pass'
    return [{ gate: 'cluster', verdict, reason: WHY }]
  }

  // Another node looks at what this one reports: it sees the truth.
  function look(node: string, generation: number) {
    const agent = agents.get(node)
    if (agent === undefined || faults.lie === 0) return undefined
    const isBroken = agent.results.get(generation) === 'broken'
    return { kind: isBroken ? ('disagrees' as const) : ('agrees' as const) }
  }

  function seedFleet(): void {
    for (const name of names) {
      const { content, digest } = scenario.contentOf(name, 1)
      const isNew = random.chance(0.2)
      contents.nodes.set(name, {
        name,
        labels: {},
        names: { dns: [`${name}.test`], ip: [] },
        createdAtMs: T0,
        enrolledAtMs: T0,
        seenAtMs: T0,
      })
      const agent = createAgent(name, isNew ? undefined : digest)
      agents.set(name, agent)
      if (isNew) continue
      const state = sealDesiredState({
        node: name,
        generation: 1,
        mode: 'enforce',
        permit: false,
        content,
      })
      contents.desired.set(name, { state, revision: 1 })
      contents.highest.set(name, 1)
      contents.published.set(`${name} ${digest}`, { content, revision: 1 })
      if (random.chance(0.9)) {
        accept(agent, state)
        work(agent, digestOf => scenario.fateOf(name, digestOf))
        network.deliverReport(agent)
      }
    }
  }

  const agentOf = (name: string): SimulatedAgent => {
    const agent = agents.get(name)
    if (agent === undefined) throw new Error(`no node ${name}`)
    return agent
  }

  /** What an operator or a controller does when it is told no, or dies. */
  async function quietly<T>(attempt: () => Promise<T>): Promise<T | undefined> {
    try {
      return await attempt()
    } catch (error) {
      if (error instanceof Killed) return undefined
      if (error instanceof OperationalError) return undefined
      throw error
    }
  }

  async function tick(index: number): Promise<void> {
    const runner = controllers[index]
    if (runner === undefined) return
    try {
      await runner.tick()
    } catch (error) {
      if (!(error instanceof Killed)) throw error
      trace.push(`controller ${index} dies ${error.message}`)
      controllers[index] = startController()
    }
  }

  function pass(ms: number): void {
    monoMs += ms
    if (wallJumps && walls.chance(0.05)) wallOffsetMs = (walls.below(21) - 10) * 365 * 86_400_000
  }

  const is = (level: number) => random.chance(0.02 * level)

  return {
    trace,
    rollouts,
    async act() {
      const agent = agentOf(random.pick(names))
      pass(random.below(1_500))
      if (active().length < 2 && random.chance(0.05)) await operators.plan()
      const chosen = random.below(100)
      if (chosen < 30) await tick(random.below(controllers.length))
      else if (chosen < 45) network.poll(agent)
      else if (chosen < 62) work(agent, digest => scenario.fateOf(agent.name, digest))
      else if (chosen < 80) network.deliverReport(agent)
      else if (chosen < 94) await network.deliverQuestion(agent)
      else await operators.operate(0.1)
      if (is(faults.offline)) agent.isOnline = false
      else if (random.chance(0.04)) agent.isOnline = true
      if (is(faults.agentCrash)) agent.awaited = undefined
      if (is(faults.stop)) agent.isStopped = !agent.isStopped
      if (is(faults.sleep)) pass(random.below(60_000))
      if (is(faults.renewal)) ask(agent, 'renewal')
      if (is(faults.drift)) ask(agent, 'correction')
      if (random.chance(0.01)) repair(agent)
      if (is(faults.away) && !agent.isOnline) goBack(agent)
      if (is(faults.freeze)) operators.freeze()
      if (epochs.chance(restores)) restore()
      if (looks.chance(0.02)) await checkViews()
      checks.after()
    },
    async heal() {
      isCalm = true
      contents.freezes.clear()
      for (let round = 0; active().length > 0; round++) {
        if (round >= 400)
          throw new Violation(`R20: it does not end: ${JSON.stringify(checks.describe(active()))}`)
        for (const agent of agents.values()) await network.help(agent)
        for (const rollout of active()) await operators.assist(rollout, round)
        for (let index = 0; index < controllers.length; index++) {
          pass(1_000)
          await tick(index)
          checks.after()
        }
      }
      // What was given back last still has to reach its nodes, one after the other: each takes its lease,
      // and the next one can after the tick that finds it given back, or when who was woken for it is
      // not waited for any more.
      for (let round = 0; round < 3 + 2 * agents.size; round++) {
        pass(10_000)
        for (const agent of agents.values()) await network.help(agent)
        await tick(0)
      }
    },
    checkEnd: () => checks.atEnd(),
  }
}
