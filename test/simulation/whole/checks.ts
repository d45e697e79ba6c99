// What must hold in a whole fleet, said apart from the product and measured on its nodes: at every act of
// an agent, after everything that a controller commits, whenever an agent dies, and at the end.

import * as z from 'zod/mini'
import { parser } from '../../../shared/contract/schema.ts'
import { canonicalJson, type Json } from '../../../shared/digest.ts'
import { evolveAll } from '../../../controller/rollout/evolve.ts'
import type { Rollout, RolloutEvent, Step } from '../../../controller/rollout/rollout.ts'
import { plannedNodes } from '../../../controller/rollout/steps.ts'
import type { Store } from '../../../controller/store/store.ts'
import { createEventChecks } from '../event-checks.ts'
import { Violation } from '../violation.ts'
import { checkConverged } from './converged.ts'
import { createEdgeChecks, type EdgeChecks } from './edges.ts'
import { groupsIn } from './fleet-groups.ts'
import { createLeaseChecks } from './lease-checks.ts'
import type { Act, Machine } from './machine.ts'
import type { Scenario } from './scenario.ts'
import { readSince, type Told } from './store-view.ts'
import { whyTorn } from './torn.ts'

export interface Checks {
  /** Before an agent activates a service, or lets live files be another release. */
  onAct(machine: Machine, act: Act): void
  onDeath(machine: Machine): void
  /** An answer to a poll, as it leaves the controller. */
  onDocument(node: string, answer: string): void
  /** A report was taken by a controller. */
  onReport(node: string, sequence: number): void
  /** After anything that may have been committed; `reporter`: a report of this node. */
  onCommit(reporter?: string): Promise<void>
  /** The world has disturbed this node: what it restarts for that is no restart of a release. */
  disturbed(node: string): void
  /** This node says now what it would change. */
  previewed(node: string): void
  /** The store is another one, of before. */
  restored(store: Store): Promise<void>
  readonly edges: EdgeChecks
  /** After anything that a process may have loaded. */
  checkEdges(): void
  /** No rollout is under way. */
  isIdle(): boolean
  /** Everything is well again, and has had its time. */
  atEnd(): Promise<void>
}

export interface ChecksParts {
  readonly scenario: Scenario
  readonly store: Store
  readonly machines: ReadonlyMap<string, Machine>
  /** Nodes whose listeners others see as somebody else's. */
  readonly masked: ReadonlyMap<string, number>
  readonly trace: (line: string) => void
  readonly nowMs: () => number
  /** Something was seen to happen of which there should be some. */
  readonly count: (what: string) => void
}

export function createChecks(parts: ChecksParts): Checks {
  const { machines, trace, scenario, count } = parts
  let { store } = parts
  const groups = groupsIn(scenario)
  const edges = createEdgeChecks(machines)
  /** Of (node, generation): the only digest. */
  const digests = new Map<string, string>()
  const generations = new Map<string, number>()
  const restarts = new Map<string, number>()
  /** As folded from their events. */
  let rollouts = new Map<string, Rollout>()
  /** By node: sequence of the newest report that was taken. */
  const taken = new Map<string, number>()
  const sequences = new Map<string, number>()
  /** By node: edits when it said last what it would change; by rollout and node: those its plan knows of. */
  const said = new Map<string, number>()
  const bound = new Map<string, number>()
  const permittedMs = new Map<string, number>()
  let timeMs: number | undefined
  let frozen: Told['frozen'] = () => false

  const leases = createLeaseChecks({ ...parts, groups })
  const events = createEventChecks({
    engine: { evolveAll, plannedNodes },
    settings: scenario.limits,
    isFrozen: node => frozen(node),
    sequenceOf: node => sequences.get(node) ?? 0,
    requireDone: (before, step) => requireTruth(before, step, 'done'),
    requireReverted: (before, step) => requireTruth(before, step, 'reverted'),
    trace,
  })

  // Its own word is not all there is: it has stored what it is said to be done with, is at rest, and
  // nothing of it is down for good.
  function requireTruth(before: Rollout, { node, generation = 0 }: Step, what: string): void {
    const machine = machines.get(node)
    if (machine === undefined) return
    const where = `R3: ${node} is ${what} in ${before.id}, but`
    if (machine.storedGeneration() < generation)
      throw new Violation(`${where} has stored ${machine.storedGeneration()} of ${generation}`)
    if (machine.isStuck() && machine.wasStuckAt() >= generation)
      throw new Violation(`${where} a service of it is down for good`)
  }

  function checkRestarts(machine: Machine, unit: string): void {
    const { name, node } = machine
    if (machine.isLoaded(unit))
      throw new Violation(`R5: ${name} restarts ${unit}, which has loaded all there is to load`)
    const service = unit.replace('.service', '')
    const content = SETTINGS.map(path => node.files.text(path) ?? '').join('\n')
    const link = node.tree.get(`/etc/${service}/tls/current`)
    const release = link?.kind === 'symlink' ? link.target : ''
    const key = [name, unit, machine.storedGeneration(), release, content].join(' ')
    const times = (restarts.get(key) ?? 0) + 1
    restarts.set(key, times)
    if (times > RESTARTS_MAX)
      throw new Violation(`R5: ${name} restarts ${service} ${times} times with the same files`)
  }

  // What was planned is what is done: a node that somebody has edited since refuses.
  function checkPlanned(machine: Machine): void {
    const { name } = machine
    for (const { id, endedAtMs, steps } of rollouts.values()) {
      const known = bound.get(`${id} ${name}`)
      if (endedAtMs !== undefined || known === undefined || machine.edits() === known) continue
      const step = steps.flat().find(one => one.node === name)
      if (step?.generation === machine.storedGeneration() && step.state === 'applying')
        throw new Violation(`stale: ${name} carries out a plan of before it was edited`)
    }
  }

  // What others see from before its switch on is not what it says of itself.
  function onVantage({ id, plan }: Rollout, event: RolloutEvent): void {
    if (event.kind === 'node-permitted') permittedMs.set(`${id} ${event.node}`, parts.nowMs())
    if (event.kind !== 'node-done' || event.reason !== undefined || !scenario.looks) return
    const { services = [] } =
      plannedNodes(plan).findLast(one => one.node === event.node)?.content ?? {}
    if (services.length === 0) return
    const sinceMs = parts.masked.get(event.node)
    if (sinceMs !== undefined && sinceMs < (permittedMs.get(`${id} ${event.node}`) ?? 0))
      throw new Violation(`R3: ${event.node} is done in ${id}, and others see something else`)
  }

  async function onPlanned({ id, plan }: Pick<Rollout, 'id' | 'plan'>): Promise<void> {
    edges.onRollout({ plan })
    trace(`${id} planned`)
    for (const { node, preview } of plannedNodes(plan)) {
      if (preview === undefined || !(await changesFile(store, preview))) continue
      bound.set(`${id} ${node}`, said.get(node) ?? 0)
    }
  }

  async function onRolloutEvents({
    rollout,
    start,
    events: stored,
  }: Told['changed'][number]): Promise<void> {
    const [first, ...rest] = stored
    if (first === undefined) return
    const known = rollouts.get(rollout.id)
    if (known === undefined) await onPlanned(rollout)
    const before = known ?? start(first)
    const after = events.onEvents(before, known === undefined ? rest : stored)
    for (const event of stored) {
      leases.onEvent(rollout.id, event)
      onVantage(after, event)
      count(event.kind)
      if ('reason' in event && event.reason !== undefined) count(event.reason.code)
    }
    rollouts.set(rollout.id, after)
  }

  // One look at a time: who works for operators looks beside the others.
  let last: Promise<void> = Promise.resolve()
  function onCommit(reporter?: string): Promise<void> {
    const looked = last.then(() => look(reporter))
    last = looked.catch(() => {})
    return looked
  }

  async function look(reporter?: string): Promise<void> {
    const seen = await readSince(store, rollouts, reporter)
    frozen = seen.frozen
    if (timeMs !== undefined) events.onTime(rollouts.values(), seen.timeMs - timeMs)
    timeMs = seen.timeMs
    for (const report of seen.reports) onStored(report)
    for (const one of seen.changed) await onRolloutEvents(one)
    await leases.check(seen, { rollouts, store })
    const active = [...rollouts.values()].filter(({ endedAtMs }) => endedAtMs === undefined)
    const busy = active.flatMap(({ steps }) => steps.flat().map(({ node }) => node))
    if (new Set(busy).size < busy.length) throw new Violation('R15: a node is in two rollouts')
  }

  // R14: the newest that was taken is the one that counts, in whatever order they came.
  function onStored({ node, sequence }: Told['reports'][number]): void {
    if (sequence < (sequences.get(node) ?? 0))
      throw new Violation(`R14: an older report of ${node} took the place of a newer one`)
    sequences.set(node, sequence)
    // Whoever died over it has told nobody that it took a report.
    const newest = taken.get(node) ?? 0
    if (sequence < newest)
      throw new Violation(`R14: report ${sequence} of ${node} counts, and ${newest} was taken`)
  }

  function onDocument(name: string, answer: string): void {
    const { document } = parseIssued(JSON.parse(answer))
    if (document === undefined) return
    const { generation, digest } = document
    trace(`${name} is given ${generation}`)
    const key = `${name} ${generation}`
    const known = digests.get(key)
    if (known !== undefined && known !== digest)
      throw new Violation(`R4: ${name} was given two documents of generation ${generation}`)
    digests.set(key, digest)
    if (generation < (generations.get(name) ?? 0))
      throw new Violation(`R4: ${name} goes back to generation ${generation}`)
    generations.set(name, generation)
  }

  const isIdle = () => [...rollouts.values()].every(({ endedAtMs }) => endedAtMs !== undefined)

  return {
    edges,
    checkEdges: () => edges.check(!isIdle()),
    isIdle,
    onAct(machine, act) {
      const { name } = machine
      const stored = machine.storedGeneration()
      const known = machine.control()?.status().generation ?? stored
      if (known > stored)
        throw new Violation(`R13: ${name} acts on generation ${known} and has stored ${stored}`)
      if (act.kind === 'begin') return checkPlanned(machine)
      const what = act.kind === 'activate' ? `${act.verb} ${act.unit}` : 'switch'
      trace(`${name} ${what}`)
      leases.onAct(machine, what)
      if (act.kind === 'activate' && act.verb === 'restart') checkRestarts(machine, act.unit)
      return undefined
    },
    onDeath(machine) {
      trace(`${machine.name} dies`)
      const torn = whyTorn(machine)
      if (torn !== undefined) throw new Violation(`torn: ${machine.name}: ${torn}`)
    },
    onDocument,
    onReport: (node, sequence) => void taken.set(node, Math.max(taken.get(node) ?? 0, sequence)),
    onCommit,
    disturbed(node) {
      for (const key of restarts.keys()) if (key.startsWith(`${node} `)) restarts.delete(key)
    },
    previewed: node => void said.set(node, machines.get(node)?.edits() ?? 0),
    async restored(other) {
      await last
      store = other
      const known = await other.transaction(tx => tx.rollouts.list({ limit: 100 }))
      rollouts = new Map(known.map(rollout => [rollout.id, rollout]))
      timeMs = undefined
      for (const map of [taken, sequences, bound]) map.clear()
      events.restarted()
      leases.restored()
      edges.restored()
      said.clear()
    },
    async atEnd() {
      await onCommit()
      leases.atEnd()
      for (const machine of machines.values()) await checkConverged(store, machine)
      await requireReplayed(store, rollouts)
    },
  }
}

const parseIssued = parser(
  'answer to a poll',
  z.object({ document: z.optional(z.object({ generation: z.number(), digest: z.string() })) }),
)

// A restart, and one more by which what did not take effect is tried again.
const RESTARTS_MAX = 2
const SETTINGS = [
  '/etc/influxdb/influxdb.conf',
  '/etc/default/prometheus',
  '/etc/telegraf/telegraf.conf',
  '/etc/telegraf/tls/upstream-ca.pem',
] as const

/** Would the node change the file that people edit? */
async function changesFile(store: Store, digest: string): Promise<boolean> {
  const preview = await store.transaction(tx => tx.previews.get(digest))
  return (preview?.services ?? []).some(({ changes }) =>
    changes.some(({ resource }) => resource === SETTINGS[0]),
  )
}

/** What the events come to is what is stored. */
async function requireReplayed(store: Store, folded: ReadonlyMap<string, Rollout>): Promise<void> {
  for (const own of folded.values()) {
    const stored = await store.transaction(tx => tx.rollouts.get(own.id))
    if (stored === undefined || textOf(own) !== textOf(stored))
      throw new Violation(`R6: the events of ${own.id} do not come to what is stored`)
  }
}

function textOf({ plan: _plan, ...state }: Rollout): string {
  const json: Json = JSON.parse(JSON.stringify(state))
  return canonicalJson(json)
}
