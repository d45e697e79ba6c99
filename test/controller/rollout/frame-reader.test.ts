// What it costs to know of one node that has changed: the same in a fleet of any size.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { createFleetReader, type FleetReader } from '../../../controller/rollout/fleet-reader.ts'
import type { RolloutTransaction } from '../../../controller/rollout/rollout-store.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { Store, Transaction } from '../../../controller/store/store.ts'
import { sealDesiredState } from '../../../shared/contract/desired-state.ts'
import { nowAt, planOf, sampleContent, sampleNode, samplePlan, T0 } from '../../contract/samples.ts'

const SIZES = [20, 1_100]
const SPEC = `version: 1
fleet: demo
services:
  - { service: influxdb-meta, nodes: { labels: { role: meta } } }
groups:
  - { name: web, kind: pool, percent: 10, nodes: { labels: { role: web } } }
  - { name: everybody, kind: pool, percent: 10, nodes: all }
`
const nameOf = (index: number) => `n${String(index).padStart(5, '0')}`
const node = (name: string, role: string) => ({ ...sampleNode(name), labels: { role } })

/** How many times a part of the store was asked, and how many records it gave. */
type Counted = Record<string, { asked: number; given: number }>

const CHANGES: Readonly<Record<string, (tx: Transaction) => Promise<unknown>>> = {
  'nothing has changed': async () => {},
  'a node is added': tx => tx.nodes.insert(node('new', 'web')),
  'a node has other labels': async tx => {
    await tx.nodes.remove(nameOf(3), T0)
    await tx.nodes.insert(node(nameOf(3), 'meta'))
  },
  'an agent enrols': tx => tx.nodes.setEnrolled(nameOf(4), T0),
  'a node gets a document': tx => tx.desired.put({ state: documentOf(nameOf(5)), revision: 1 }),
  'a node is revoked': async tx => {
    await tx.identities.deny(nameOf(6), { cause: 'revoked', atMs: T0 })
    await tx.nodes.lock(nameOf(6), { reason: { code: 'operator', message: 'why' }, atMs: T0 })
  },
  'a node is removed': tx => tx.nodes.remove(nameOf(7), T0),
}

await t.test('what is read for a node that changes does not depend on the fleet', async t => {
  const [small, large] = [await costs(SIZES[0] ?? 0), await costs(SIZES[1] ?? 0)]
  t.strictSame(large, small)
  for (const [what, counted] of Object.entries(large)) {
    const given = Object.values(counted).reduce((sum, one) => sum + one.given, 0)
    t.ok(given <= 8, `${what}: ${given} records`)
  }
  t.equal(large['a node is added']?.['nodes.list']?.given, 1)
  t.notOk(large['an agent enrols']?.['nodes.list'], 'its labels are what they were')
})

await t.test('what another connection has written is looked at as a whole', async t => {
  const path = join(t.testdir(), 'store.db')
  const { store, reader } = await fleetOf(30, path)
  t.teardown(() => store.close())
  const frame = (tx: RolloutTransaction) => reader.frame(tx)
  t.equal((await counted(store, frame))['nodes.list']?.given, 30)
  t.strictSame(await counted(store, frame), { 'revisions.latest': { asked: 1, given: 1 } })

  const other = new DatabaseSync(path)
  other.exec(`update nodes set labels_json = '{"role":"meta"}' where name = '${nameOf(2)}'`)
  other.close()

  t.equal((await counted(store, frame))['nodes.list']?.given, 30)
  const { groups } = await store.transaction(frame)
  t.strictSame(groups.get('influxdb-meta')?.members, [nameOf(2)])
})

/** By what has happened, what it takes to see the rollout and all groups again. */
async function costs(size: number): Promise<Record<string, Counted>> {
  const { store, reader } = await fleetOf(size)
  try {
    const look = async (tx: RolloutTransaction) => {
      const rollout = await tx.rollouts.get('r')
      if (rollout !== undefined) await reader.read(tx, rollout, nowAt())
      await reader.readGroups(tx, nameOf(1), nowAt())
    }
    await store.transaction(look)
    const found: Record<string, Counted> = {}
    for (const [what, change] of Object.entries(CHANGES)) {
      await store.transaction(change)
      found[what] = await counted(store, look)
    }
    return found
  } finally {
    await store.close()
  }
}

async function fleetOf(
  size: number,
  path = ':memory:',
): Promise<{ store: Store; reader: FleetReader }> {
  const store = await openSqliteStore({ path, busyTimeoutMs: 0, nowMs: T0 })
  const names = Array.from({ length: size }, (_, index) => nameOf(index))
  await store.transaction(async tx => {
    const author = { author: 'ann', createdAtMs: T0 }
    await tx.revisions.insert({ digest: 'spec', text: SPEC, ...author })
    for (const name of names) await tx.nodes.insert(node(name, 'web'))
    const plan = planOf(samplePlan(names))
    const events = [{ kind: 'planned', ...nowAt() }] as const
    await tx.rollouts.insert({ id: 'r', plan, events, atMs: T0 })
  })
  const clock = { now: () => T0, monotonic: () => 0, sleep: async () => {} }
  const changedSince = () => ({ cursor: 0, nodes: [] })
  return { store, reader: createFleetReader({ clock, isOnline: () => true, changedSince }) }
}

function documentOf(name: string) {
  const content = sampleContent(name)
  return sealDesiredState({ node: name, generation: 1, mode: 'stage', permit: false, content })
}

/** Lists and maps by their sizes, anything else that is there as one; what gives nothing is left out. */
async function counted(
  store: Store,
  work: (tx: RolloutTransaction) => Promise<unknown>,
): Promise<Counted> {
  const found: Counted = {}
  const note = (what: string, given: number) => {
    if (given === 0) return
    const before = found[what] ?? { asked: 0, given: 0 }
    found[what] = { asked: before.asked + 1, given: before.given + given }
  }
  await store.transaction(tx => work(watched(tx, note)))
  return found
}

function watched(tx: Transaction, note: (what: string, given: number) => void): RolloutTransaction {
  const told = async <R>(what: string, asked: Promise<R>): Promise<R> => {
    const answer = await asked
    note(what, sizeOf(answer))
    return answer
  }
  const { nodes, desired, revisions, rollouts, leases, freezes } = tx
  return {
    ...tx,
    nodes: {
      ...nodes,
      list: page => told('nodes.list', nodes.list(page)),
      get: name => told('nodes.get', nodes.get(name)),
    },
    desired: {
      ...desired,
      get: name => told('desired.get', desired.get(name)),
      revisions: names => told('desired.revisions', desired.revisions(names)),
    },
    revisions: {
      latest: () => told('revisions.latest', revisions.latest()),
      get: number => told('revisions.get', revisions.get(number)),
    },
    rollouts: {
      ...rollouts,
      members: id => told('rollouts.members', rollouts.members(id)),
      membersNamed: names => told('rollouts.membersNamed', rollouts.membersNamed(names)),
      events: (id, page) => told('rollouts.events', rollouts.events(id, page)),
    },
    leases: { ...leases, all: page => told('leases.all', leases.all(page)) },
    freezes: { ...freezes, list: page => told('freezes.list', freezes.list(page)) },
  }
}

function sizeOf(answer: unknown): number {
  if (answer === undefined) return 0
  if (Array.isArray(answer)) return answer.length
  return answer instanceof Map ? answer.size : 1
}
