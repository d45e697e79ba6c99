// A whole fleet on one virtual clock: controllers, operators, agents, products, the network, and what goes
// wrong with each. All of it follows from the seed.

import { createPresence } from '../../../controller/api/presence.ts'
import { createPreviewBoard } from '../../../controller/api/preview-board.ts'
import type { Random } from '../random.ts'
import { Violation } from '../violation.ts'
import { createChecks } from './checks.ts'
import { type Controller, startController } from './controller.ts'
import { createLiveCas } from './live-cas.ts'
import { createMachine, type Machine } from './machine.ts'
import { createMisfortunes } from './misfortunes.ts'
import { createNetwork } from './network.ts'
import { createOperators } from './operators.ts'
import type { Product } from './product.ts'
import { requireOutdated } from './outdated.ts'
import type { Scenario } from './scenario.ts'
import { createScheduler } from './scheduler.ts'
import { enrol, T0, type Trust } from './trust.ts'
import type { Vault } from './vault.ts'

export interface World {
  /** Faults and operators for as long as the seed says, then all is well and comes to rest. */
  run(): Promise<void>
  readonly trace: readonly string[]
  /** What happened how often: events of rollouts, reasons, connections that were verified. */
  readonly counts: ReadonlyMap<string, number>
  ends(): Promise<readonly string[]>
}

export interface WorldOptions {
  readonly product: Product
  readonly random: Random
  readonly scenario: Scenario
  readonly vault: Vault
  readonly trust: Trust
}

const MINUTE_MS = 60_000
const TICK_MS = 4_000
// Nothing is under way: who begins something does so at once, by itself.
const IDLE_TICK_MS = 20_000
// An agent counts as away after 90 s without a word.
const AWAY_MS = 100_000

export async function createWorld(options: WorldOptions): Promise<World> {
  const { product, scenario, vault, trust } = options
  const random = options.random.split('world')
  let { store } = vault
  const { faults, nodes } = scenario
  const scheduler = createScheduler()
  const lines: string[] = []
  const trace = (line: string) => void lines.push(`${scheduler.nowMs()} ${line}`)
  const counts = new Map<string, number>()
  const countOne = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
  let failure: unknown
  let isCalm = false
  let isLoaded = false
  let count = 0
  /** Whose requests were answered since the last look. */
  const committed: string[] = []
  const fail = (error: unknown) => {
    failure ??= error
  }
  const guarded = (work: () => void) => {
    try {
      work()
    } catch (error) {
      fail(error)
      throw error
    }
  }

  const machines = new Map<string, Machine>()
  const masked = new Map<string, number>()
  const checks = createChecks({
    scenario,
    store,
    machines,
    masked,
    trace,
    nowMs: () => scheduler.nowMs(),
    count: countOne,
  })
  const controllers: Controller[] = []
  const startedMs: number[] = []
  const heardMs = new Map<string, number>()
  const cas = createLiveCas(() => store, trust)
  const [now, monotonic] = [() => T0 + scheduler.nowMs(), () => scheduler.nowMs()]
  const presence = createPresence({ clock: { now, monotonic, sleep: async () => {} } })
  const previews = createPreviewBoard({
    clock: scheduler.clock,
    newId: () => `p${++count}`,
    wake(names) {
      for (const one of controllers) if (!one.isDead()) one.context.desiredWakes.wake(names)
    },
  })
  const deaths = options.random.split('deaths')
  const start = (index: number) => {
    startedMs[index] = scheduler.nowMs()
    controllers[index] = startController({
      name: `c${index}`,
      store,
      scheduler,
      trust,
      cas,
      product,
      previews,
      looks: scenario.looks,
      random: options.random.split(`controller ${index} ${scheduler.nowMs()}`),
      dies: () =>
        !isCalm && deaths.chance(faults.commitDeath)
          ? deaths.pick(['before', 'after'] as const)
          : undefined,
      newId: () => `r${String(++count).padStart(3, '0')}`,
      onFault: fail,
      presence: scenario.controllers > 1 ? presence : undefined,
    })
  }

  const network = createNetwork({
    scheduler,
    random: options.random.split('network'),
    loss: () => (isCalm ? 0 : faults.loss),
    slowMs: faults.slowMs,
    controllers: () => controllers,
    onSent(node, { path }) {
      if (path.endsWith('/preview')) checks.previewed(node)
    },
    onDelivered(node, path, { status, text }, { body }) {
      heardMs.set(node, scheduler.nowMs())
      if (path.endsWith('/desired')) {
        if (status === 200) checks.onDocument(node, text)
        return
      }
      if (path.endsWith('/report') && status === 200)
        checks.onReport(node, Number(/"sequence":(\d+)/.exec(body ?? '')?.[1] ?? 0))
      trace(
        `${node} ${path.slice(path.lastIndexOf('/') + 1)} ${status}${status === 200 ? '' : ` ${/"code":"([^"]+)"/.exec(text)?.[1]}`}`,
      )
      committed.push(node)
    },
  })

  for (const name of nodes)
    machines.set(
      name,
      createMachine({
        name,
        product,
        scheduler,
        trust,
        writesTo: scenario.writers.get(name),
        random: options.random.split(`machine ${name}`),
        connect: isDead => network.connect(name, isDead),
        handshake: async target => {
          const other = machines.get(target.host)
          if (other === undefined || network.cut.has(name) || network.cut.has(other.name))
            return { kind: 'unreachable', reason: NO_ROUTE }
          if (masked.has(other.name))
            return { kind: 'plaintext', http: { status: 204, headers: {}, body: '' } }
          return other.node.host.network.handshake(target)
        },
        idleRestart: () => (isCalm ? 0 : faults.idleRestart),
        staysDown: () => (isCalm ? 0 : faults.staysDown),
        comesUp: settings => !scenario.badNodes.has(name) || !/tls1\.3/i.test(settings),
        isAway: () =>
          scheduler.nowMs() - (heardMs.get(name) ?? 0) > AWAY_MS &&
          startedMs.every(at => scheduler.nowMs() - at > AWAY_MS),
        onAct: (machine, act) => guarded(() => checks.onAct(machine, act)),
        onStuck: (_machine, unit) => trace(`${name}: ${unit} stays down from now on`),
        onLoaded: () => void (isLoaded = true),
        onDeath(machine) {
          try {
            checks.onDeath(machine)
          } catch (error) {
            fail(error)
          }
          scheduler.after(500 + random.below(20_000), () => machine.boot())
        },
        onFailure: fail,
      }),
    )

  const spawn = (work: () => Promise<void>) => void work().catch(fail)
  const operators = createOperators({
    scenario,
    random: options.random.split('operators'),
    store: () => store,
    cas: () => cas,
    controllers: () => controllers,
    nowMs: () => scheduler.nowMs(),
    trace,
    onCommit: () => checks.onCommit(),
    spawn,
  })
  const misfortunes = createMisfortunes({
    scenario,
    random: options.random.split('misfortunes'),
    machines,
    masked,
    network,
    operators,
    checks,
    scheduler,
    trace,
    killController(index) {
      trace(`controller ${index} is killed`)
      controllers[index]?.kill()
    },
    backUp() {
      trace('a backup is taken')
      vault.backups?.take(T0 + scheduler.nowMs())
    },
    restore,
  })

  /** Controllers that go on with the store of before. */
  const outdated: Controller[] = []
  let epoch = 0

  // All of them are stopped, but one nobody has thought of.
  async function restore(): Promise<void> {
    await checks.onCommit()
    const restored = await vault.backups?.restore(T0 + scheduler.nowMs())
    if (restored === undefined) return
    trace('the store is restored')
    countOne('restored')
    store = restored.store
    epoch = restored.epoch
    const [left, ...others] = controllers.splice(0)
    for (const one of others) one.kill()
    if (left !== undefined && !left.isDead()) outdated.push(left)
    await checks.restored(store)
    for (let index = 0; index < scenario.controllers; index++) start(index)
    await checks.onCommit()
  }

  async function lookBack(): Promise<void> {
    for (const controller of outdated)
      counts.set(
        'outdated',
        (counts.get('outdated') ?? 0) +
          (await requireOutdated(controller, machines.values(), epoch)),
      )
  }

  async function tick(index: number): Promise<void> {
    const controller = controllers[index]
    if (controller === undefined || controller.isDead()) {
      trace(`controller ${index} starts`)
      await cas.reload()
      start(index)
      return
    }
    if (outdated.length > 0 && random.chance(0.1)) await lookBack()
    await controller.alive(() => controller.tick())
    if (controller.isDead()) trace(`controller ${index} died`)
    await checks.onCommit()
    if (scenario.rotates) spawn(() => turn(controller))
  }

  // Nodes are asked what they would change, which takes its time.
  async function turn(controller: Controller): Promise<void> {
    await controller.alive(() => controller.turn())
    if (controller.isDead()) await cas.reload()
    await checks.onCommit()
  }

  async function until(isOver: () => boolean, untilMs: number): Promise<void> {
    while (!isOver() && (await scheduler.step(untilMs))) {
      if (failure !== undefined) throw failure
      for (const node of committed.splice(0)) await checks.onCommit(node)
      if (!isLoaded) continue
      isLoaded = false
      checks.checkEdges()
    }
    if (failure !== undefined) throw failure
  }

  const pass = (ms: number) => until(() => false, scheduler.nowMs() + ms)

  /** Goes on in the world until this is done. */
  async function whilst(work: () => Promise<void>): Promise<void> {
    let isOver = false
    spawn(async () => {
      await work()
      isOver = true
    })
    await until(() => isOver, scheduler.nowMs() + MINUTE_MS)
  }

  function every(ms: () => number, work: () => Promise<void>): void {
    const again = async () => {
      await work()
      scheduler.after(ms(), again)
    }
    scheduler.after(ms(), again)
  }

  const active = () => store.transaction(tx => tx.rollouts.active())

  /** Until no rollout is active: whoever pauses is told to go on, and what nobody can tell is given up. */
  async function settle(): Promise<void> {
    for (let minute = 0; minute < SETTLE_MINUTES; minute++) {
      // A rotation carries the newest spec, which may be one that products refuse: it is corrected first.
      if ((await active()).length === 0 && (await operators.isRotationStopped()))
        await whilst(() => operators.apply(scenario.final))
      const rollouts = await active()
      const isRotating = await operators.helpRotation()
      if (rollouts.length === 0 && !isRotating) return
      for (const rollout of rollouts) await operators.help(rollout)
      for (const machine of machines.values()) machine.retry()
      await pass(MINUTE_MS)
    }
    const left = (await active()).map(({ id, status }) => `${id} ${status}`)
    throw new Violation(`R20: not ended: ${left.join(', ')}`)
  }

  async function heal(): Promise<void> {
    isCalm = true
    trace('all faults end')
    await misfortunes.end()
    await pass(2 * MINUTE_MS)
    await settle()
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const before = (await store.transaction(tx => tx.rollouts.list({ limit: 1 })))[0]?.id
      await whilst(() => operators.apply(scenario.final))
      if ((await store.transaction(tx => tx.rollouts.list({ limit: 1 })))[0]?.id === before) break
      await settle()
    }
    await pass(REST_MINUTES * MINUTE_MS)
    await look()
  }

  /** Everybody looks once, also those who have just done something. */
  async function look(): Promise<void> {
    for (const machine of machines.values()) machine.wake()
    await pass(3 * MINUTE_MS)
  }

  /** R20 of a fleet at rest: nobody writes anything any more. */
  async function checkRest(): Promise<void> {
    const changes = () => [...machines.values()].map(({ node }) => node.changes())
    const before = changes()
    await look()
    const after = changes()
    for (const [index, name] of nodes.entries())
      if (before[index] !== after[index])
        throw new Violation(`R18: ${name} writes, although it is at rest`)
  }

  async function busy(): Promise<void> {
    for (const [index, variant] of scenario.variants.entries()) {
      if ((await active()).length === 0) spawn(() => operators.apply(variant))
      await pass(scenario.busyMs / scenario.variants.length)
      if (scenario.rotates && index === 0) await operators.rotate()
    }
  }

  return {
    trace: lines,
    counts,
    ends: async () =>
      (await store.transaction(tx => tx.rollouts.list({ limit: 100 }))).map(({ status }) => status),
    async run() {
      await enrol(store, trust, nodes)
      for (let index = 0; index < scenario.controllers; index++) {
        start(index)
        every(
          () => (isCalm && checks.isIdle() ? IDLE_TICK_MS : TICK_MS) + random.below(2_000),
          () => tick(index),
        )
      }
      for (const machine of machines.values())
        scheduler.after(random.below(2_000), () => machine.boot())
      every(
        () => 12_000,
        async () => (isCalm ? undefined : misfortunes.happen()),
      )
      await pass(5_000)
      await busy()
      await heal()
      await checks.atEnd()
      await checkRest()
      await checks.atEnd()
      for (const [what, times] of Object.entries(checks.edges.counts)) counts.set(what, times)
      for (const { status } of await store.transaction(tx => tx.rotations.list({ limit: 10 })))
        countOne(`rotation-${status}`)
    },
  }
}

// Whoever waits longest before it looks or asks again has done so twice.
const REST_MINUTES = 12
const SETTLE_MINUTES = 90
const ROUNDS_MAX = 5
const NO_ROUTE = { code: 'host-unreachable', message: 'there is no way to it' }
