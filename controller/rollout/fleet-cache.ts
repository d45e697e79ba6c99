// The views of the nodes of open rollouts and of their groups, kept up with what has changed instead of
// read anew for every decision. An optimisation and nothing else: whatever is in doubt is dropped and
// read again from the store, and a cache that was just made gives the same answers.

import type { RolloutMember } from '../store/store.ts'
import type { Changes } from './change-log.ts'
import type { FleetFrame, FrameDelta, NodeDelta } from './fleet-frame.ts'
import { type FleetInput, type GroupInput, viewMember, viewNodes } from './fleet-view.ts'
import { createFrameReader } from './frame-reader.ts'
import { createGroupCache, type GroupCache } from './group-cache.ts'
import { MOVING } from './judge.ts'
import { isRipe } from './ripe.ts'
import type { FleetView, GroupView, NodeView, Phase, Rollout } from './rollout.ts'
import type { RolloutTransaction } from './rollout-store.ts'
import { createScopes, type Scopes } from './scopes.ts'
import { allSteps, changedSteps, isPlanned, phaseOf, pieceOf, stepOf, stepsIn } from './steps.ts'

export interface FleetCacheOptions
  extends Pick<FleetInput, 'isOnline' | 'silentMs'>,
    Pick<GroupInput, 'clusterOf'> {
  /**
   * Nodes of which something has changed that the store does not know: whether they are online, what
   * is seen of their cluster. Absent: every node that is watched is asked each time.
   */
  readonly changedSince?: ((cursor: number | undefined) => Changes) | undefined
}

export interface FleetCache {
  /** What was seen is only good within the transaction. */
  view(tx: RolloutTransaction, rollout: Rollout): Promise<CachedView>
  groups(
    tx: RolloutTransaction,
    which: (frame: FleetFrame) => Iterable<string>,
  ): Promise<{
    readonly frame: FleetFrame
    readonly groups: ReadonlyMap<string, GroupView>
  }>
  frame(tx: RolloutTransaction): Promise<FleetFrame>
  /** Of rollouts that have ended nothing is kept. */
  retain(rollouts: ReadonlySet<string>): void
}

export interface CachedView {
  readonly frame: FleetFrame
  readonly fleet: Required<Pick<FleetView, 'nodes' | 'groups' | 'groupsOf' | 'ripe'>>
  /** Is one of the nodes in this scope? */
  readonly scopes: Scopes
}

interface RolloutView {
  rollout: Rollout
  readonly phase: Phase
  readonly nodes: Map<string, NodeView>
  readonly ripe: Map<number, Set<string>>
  /** Groups that its nodes are in, each with how many. */
  readonly touched: Map<string, number>
  readonly scopes: Scopes
  /** Of the touched ones; made when they are first needed. */
  readonly groups: Map<string, GroupView>
}

export function createFleetCache(options: FleetCacheOptions): FleetCache {
  const { isOnline, changedSince } = options
  const frames = createFrameReader()
  let stored: number | undefined
  let told: number | undefined
  let groups: GroupCache | undefined
  const views = new Map<string, RolloutView>()
  /** As they were when they were read. */
  const watched = new Map<string, { readonly member: Seen; readonly online: boolean }>()

  /** Begins each look. Resolves with what is known of the fleet, nothing of it older than the store. */
  async function refresh(tx: RolloutTransaction) {
    const look = await frames.look(tx)
    const changes = await tx.rollouts.changedSince(stored)
    const more = changedSince?.(told) ?? asked()
    const names = new Set([...(changes.nodes ?? []), ...(more.nodes ?? [])])
    const isDoubtful = changes.nodes === undefined || more.nodes === undefined
    const known = isDoubtful || look.nodes === undefined ? undefined : groups
    const again = new Set([...names].filter(node => watched.has(node)))
    const members = await named(tx, known === undefined ? [] : again.union(new Set(look.nodes)))
    // From here on nothing is waited for, and what fails half way is not gone on with.
    groups = undefined
    const { frame, delta } = look.take()
    if (known === undefined || delta === undefined) {
      views.clear()
      watched.clear()
      groups = createGroupCache(frame, options)
    } else {
      shift(known, delta)
      for (const node of delta.nodes.keys()) if (concerns(known, frame, node)) again.add(node)
      takeIn(known, again, members)
      groups = known
    }
    // Only now: what was not taken in is told again.
    stored = changes.cursor
    told = more.cursor
    return { frame, groups }
  }

  function shift(known: GroupCache, delta: FrameDelta): void {
    known.shift(delta)
    for (const [node, change] of delta.nodes)
      for (const view of views.values()) if (isPlanned(view.rollout, node)) move(view, node, change)
  }

  /** Does anything that is kept depend on this node? */
  function concerns(known: GroupCache, { groupsOf }: FleetFrame, node: string): boolean {
    if ((groupsOf.get(node) ?? []).some(group => known.has(group))) return true
    return [...views.values()].some(({ rollout }) => isPlanned(rollout, node))
  }

  function asked(): Changes {
    const nodes = [...watched].filter(([, { member, online }]) => {
      try {
        return isOnline(member) !== online
      } catch {
        return true
      }
    })
    return { cursor: 0, nodes: nodes.map(([node]) => node) }
  }

  async function readAgain(
    tx: RolloutTransaction,
    known: GroupCache,
    nodes: ReadonlySet<string>,
  ): Promise<void> {
    const again = new Set([...nodes].filter(node => watched.has(node)))
    takeIn(known, again, await named(tx, again))
  }

  function takeIn(known: GroupCache, nodes: ReadonlySet<string>, members: Members): void {
    for (const node of nodes) {
      try {
        const member = members.get(node)
        if (member === undefined) watched.delete(node)
        else note(member)
        known.change(node, member)
        for (const view of views.values()) apply(view, node, member)
      } catch {
        // Whoever needs it reads it again and fails alone, with this error.
        drop(known, node)
      }
    }
  }

  function drop(known: GroupCache, node: string): void {
    known.drop(node)
    for (const [id, view] of views) if (pieceOf(view.rollout, node) !== undefined) views.delete(id)
  }

  // What nodes are asked about that have a report of several kilobytes each.
  function note(member: RolloutMember): void {
    const { node, enrolledAtMs, seenAtMs, desired, highestGeneration } = member
    const seen = { node, enrolledAtMs, seenAtMs, desired, highestGeneration, report: undefined }
    watched.set(node, { member: seen, online: isOnline(member) })
  }

  function apply(view: RolloutView, node: string, member: RolloutMember | undefined): void {
    if (pieceOf(view.rollout, node) === undefined) return
    const seen = member && viewMember({ ...options, rollout: view.rollout }, member)
    if (seen === undefined) view.nodes.delete(node)
    else view.nodes.set(node, seen)
    mark(view, node)
  }

  async function load(
    tx: RolloutTransaction,
    rollout: Rollout,
    { groupsOf }: FleetFrame,
  ): Promise<{ readonly view: RolloutView; readonly members: Members }> {
    const members = await tx.rollouts.members(rollout.id)
    for (const member of members) note(member)
    const touched = new Map<string, number>()
    for (const { node } of members) count(touched, groupsOf.get(node) ?? [], 1)
    const view: RolloutView = {
      rollout,
      phase: phaseOf(rollout),
      nodes: viewNodes({ ...options, rollout, members }),
      ripe: new Map(),
      touched,
      scopes: createScopes(),
      groups: new Map(),
    }
    for (const { node } of allSteps(rollout)) mark(view, node)
    views.set(rollout.id, view)
    return { view, members: new Map(members.map(member => [member.node, member])) }
  }

  async function addGroups(
    tx: RolloutTransaction,
    current: FleetFrame,
    known: GroupCache,
    names: Iterable<string>,
    read: Members = NONE_READ,
  ): Promise<void> {
    const missing = [...names].flatMap(name => {
      const definition = known.has(name) ? undefined : current.groups.get(name)
      return definition === undefined ? [] : [definition]
    })
    if (missing.length === 0) return
    const nodes = new Set(missing.flatMap(one => one.members.filter(node => !read.has(node))))
    const members = new Map(read)
    for (const member of (await named(tx, nodes)).values()) {
      members.set(member.node, member)
      note(member)
    }
    for (const definition of missing) known.add(definition, only(members, definition.members))
  }

  return {
    async view(tx, rollout) {
      const { frame: current, groups: known } = await refresh(tx)
      const old = views.get(rollout.id)
      if (old?.phase === phaseOf(rollout)) {
        const changed = changedSteps(old.rollout, rollout)
        old.rollout = rollout
        for (const { node } of changed) mark(old, node)
        // Their silence changes without anybody telling.
        const moving = [...stepsIn(rollout, MOVING)].map(({ node }) => node)
        await readAgain(tx, known, new Set(moving))
      }
      const kept = views.get(rollout.id)
      const { view, members } =
        kept?.phase === phaseOf(rollout)
          ? { view: kept, members: NONE_READ }
          : await load(tx, rollout, current)
      await addGroups(tx, current, known, view.touched.keys(), members)
      known.settle(await tx.leases.all())
      place(view.groups, known, view.touched.keys())
      const { nodes, ripe, scopes } = view
      const { groupsOf } = current
      return { frame: current, fleet: { nodes, groups: view.groups, groupsOf, ripe }, scopes }
    },
    async groups(tx, which) {
      const { frame: current, groups: known } = await refresh(tx)
      const names = [...which(current)]
      await addGroups(tx, current, known, names)
      known.settle(await tx.leases.all())
      const found = new Map<string, GroupView>()
      place(found, known, names)
      return { frame: current, groups: found }
    },
    frame: async tx => (await refresh(tx)).frame,
    retain(rollouts) {
      for (const id of views.keys()) if (!rollouts.has(id)) views.delete(id)
    },
  }
}

type Seen = RolloutMember
type Members = ReadonlyMap<string, RolloutMember>

const NONE_READ: Members = new Map()

async function named(tx: RolloutTransaction, nodes: Iterable<string>): Promise<Members> {
  const names = [...nodes]
  const members = names.length === 0 ? [] : await tx.rollouts.membersNamed(names)
  return new Map(members.map(member => [member.node, member]))
}

/** A node of the rollout has come, gone or other labels. */
function move(
  { rollout, groups, scopes, touched }: RolloutView,
  node: string,
  { after, groupsBefore, groupsAfter }: NodeDelta,
): void {
  count(touched, groupsBefore, -1)
  count(touched, groupsAfter, 1)
  for (const name of groupsBefore) if (!touched.has(name)) groups.delete(name)
  // Scopes are asked about the current phase.
  if (pieceOf(rollout, node) !== undefined) scopes.change(node, after)
}

function count(counts: Map<string, number>, names: readonly string[], more: 1 | -1): void {
  for (const name of names) {
    const sum = (counts.get(name) ?? 0) + more
    if (sum === 0) counts.delete(name)
    else counts.set(name, sum)
  }
}

function mark({ rollout, nodes, ripe }: RolloutView, node: string): void {
  const piece = pieceOf(rollout, node)
  const step = stepOf(rollout, node)
  if (piece === undefined || step === undefined) return
  const marked = ripe.get(piece)
  if (isRipe(rollout, step, nodes.get(node))) {
    if (marked === undefined) ripe.set(piece, new Set([node]))
    else marked.add(node)
    return
  }
  marked?.delete(node)
  if (marked?.size === 0) ripe.delete(piece)
}

function only<T>(all: ReadonlyMap<string, T>, names: readonly string[]): Map<string, T> {
  const some = new Map<string, T>()
  for (const name of names) {
    const one = all.get(name)
    if (one !== undefined) some.set(name, one)
  }
  return some
}

function place(into: Map<string, GroupView>, known: GroupCache, names: Iterable<string>): void {
  for (const name of names) {
    const group = known.get(name)
    if (group === undefined) into.delete(name)
    else if (into.get(name) !== group) into.set(name, group)
  }
}
