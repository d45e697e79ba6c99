// Leases of a whole fleet: who holds one, who may take one, and what ends it (R1, R6, R9, R13).

import { type GroupDefinition, limitOf } from '../../../controller/fleet/groups.ts'
import type { Rollout, RolloutEvent } from '../../../controller/rollout/rollout.ts'
import type { LeaseRecord, Store } from '../../../controller/store/store.ts'
import { Violation } from '../violation.ts'
import type { Machine } from './machine.ts'
import type { Told } from './store-view.ts'

export interface LeaseChecks {
  onAct(machine: Machine, what: string): void
  onEvent(rollout: string, event: RolloutEvent): void
  check(
    seen: Pick<Told, 'leases' | 'frozen'>,
    world: { readonly rollouts: ReadonlyMap<string, Rollout>; readonly store: Store },
  ): Promise<void>
  restored(): void
  atEnd(): void
}

export interface LeaseChecksParts {
  readonly groups: readonly GroupDefinition[]
  readonly machines: ReadonlyMap<string, Machine>
  readonly trace: (line: string) => void
  readonly nowMs: () => number
}

export function createLeaseChecks(parts: LeaseChecksParts): LeaseChecks {
  const { groups, machines, trace, nowMs } = parts
  /** By group and node. */
  let leases: ReadonlyMap<string, LeaseRecord> = new Map()
  /** Nodes whose lease an operator has taken, since the last look. */
  const forced = new Set<string>()
  /** Nodes whose lease the store does not know any more, and until when they may act on it. */
  const forgotten = new Map<string, number>()

  const groupsWith = (node: string) => groups.filter(({ members }) => members.includes(node))
  const holders = (group: GroupDefinition) =>
    [...leases.values()].filter(one => one.group === group.name).map(({ node }) => node)

  function checkEnded(lease: LeaseRecord, rollouts: ReadonlyMap<string, Rollout>): void {
    const { group, node, purpose } = lease
    trace(`lease ${group}/${node} ends`)
    if (forced.has(node)) return
    const where = `R9: the lease of ${node} in ${group} ended`
    const machine = machines.get(node)
    if (machine?.hasJournal() === true) throw new Violation(`${where} in the middle of it`)
    // What was down before is down again: nobody waits for that.
    if (machine?.isStarting() === true && !machine.isStuck())
      throw new Violation(`${where} while a service of it starts`)
    if (purpose !== 'rollout') return
    for (const { id, endedAtMs, steps } of rollouts.values()) {
      const step = steps.flat().find(one => one.node === node)
      if (endedAtMs === undefined && step !== undefined && HOLDS.has(step.state))
        throw new Violation(`${where} while its step of ${id} is ${step.state}`)
    }
  }

  // A lease that was not there before makes no more of a group be out than it can spare.
  async function checkTaken(lease: LeaseRecord, store: Store): Promise<void> {
    const { group: name, node, purpose } = lease
    trace(`lease ${name}/${node} for ${purpose}`)
    const group = groups.find(one => one.name === name)
    const machine = machines.get(node)
    if (group === undefined) return
    const held = holders(group)
    if (held.length > group.maxUnavailable)
      throw new Violation(`R1: ${held.join(', ')} hold leases of ${name}`)
    const out = new Set<string>()
    for (const member of group.members) if (await isOut(store, member)) out.add(member)
    // Who is out makes nothing worse; whose certificate has ended is as good as out.
    if (out.has(node) || (purpose === 'renewal' && machine?.hasEnded() === true)) return
    const all = new Set([...out, ...held])
    if (all.size > limitOf(group))
      throw new Violation(`R1: ${[...all].join(', ')} of ${name} are out with ${node}`)
  }

  /** As anybody could tell: what it has said last, or that it says nothing. */
  async function isOut(store: Store, node: string): Promise<boolean> {
    if (machines.get(node)?.isAway() === true) return true
    const stored = await store.transaction(tx => tx.reports.get(node))
    return (
      stored?.report.services.some(
        ({ outcome, reason, activations }) =>
          (outcome === 'waiting' && INACTIVE.has(reason.code)) ||
          (outcome === 'failed' && activations > 0),
      ) === true
    )
  }

  function checkHeld(rollouts: ReadonlyMap<string, Rollout>): void {
    for (const { id, endedAtMs, steps } of rollouts.values()) {
      if (endedAtMs !== undefined) continue
      for (const { node, state } of steps.flat()) {
        if (state !== 'applying' && state !== 'suspect') continue
        for (const { name } of groupsWith(node))
          if (!leases.has(`${name}/${node}`))
            throw new Violation(`R6: ${node} is ${state} in ${id} without the lease of ${name}`)
      }
    }
  }

  return {
    onAct({ name }, what) {
      for (const group of groupsWith(name)) {
        const isForgotten = nowMs() < (forgotten.get(name) ?? 0)
        if (!leases.has(`${group.name}/${name}`) && !isForgotten)
          throw new Violation(`R1: ${name} does ${what} without the lease of ${group.name}`)
        const busy = group.members.filter(member => {
          const other = machines.get(member)
          return (
            member === name || (other?.isBusy() === true && leases.has(`${group.name}/${member}`))
          )
        })
        if (busy.length > group.maxUnavailable)
          throw new Violation(`R1: ${busy.join(', ')} of ${group.name} are disturbed at once`)
      }
    },
    onEvent(_rollout, event) {
      if (event.kind === 'lease-forced') forced.add(event.node)
    },
    async check({ leases: now, frozen }, { rollouts, store }) {
      const before = leases
      leases = now
      for (const [key, lease] of before) if (!now.has(key)) checkEnded(lease, rollouts)
      for (const [key, lease] of now) {
        if (before.has(key)) continue
        await checkTaken(lease, store)
        if (lease.purpose === 'correction' && frozen(lease.node))
          throw new Violation(`R10: ${lease.node} is frozen, and may correct`)
      }
      forced.clear()
      checkHeld(rollouts)
    },
    restored() {
      for (const { node } of leases.values()) forgotten.set(node, nowMs() + FORGOTTEN_MS)
      leases = new Map()
    },
    atEnd() {
      if (leases.size > 0)
        throw new Violation(`R20: leases are left: ${[...leases.keys()].join(', ')}`)
    },
  }
}

// What a node that was granted a lease before a restore takes at most to act on it, and to put it back.
const FORGOTTEN_MS = 180_000
const HOLDS: ReadonlySet<string> = new Set(['applying', 'suspect', 'broken'])
const INACTIVE: ReadonlySet<string> = new Set(['inactive', 'service-inactive', 'unit-inactive'])
