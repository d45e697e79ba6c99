// The impure part of rollouts: reads, decides, appends, and in the same transaction writes what the
// events imply. All state is in the store: a runner killed anywhere and started again goes on.

import { randomBytes } from 'node:crypto'
import { assert } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import type { LeaseAnswer } from '../../shared/contract/agent-api.ts'
import { contentDigestOf } from '../../shared/contract/desired-state.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { RolloutMember } from '../store/store.ts'
import { carryOut, type Move, NO_MOVE } from './carry-out.ts'
import { createControllerClock } from './controller-clock.ts'
import type { Changes } from './change-log.ts'
import { decide } from './decide.ts'
import { hasEnded } from './evolve.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import { type AskNodes, childOf, type FollowKind } from './follow.ts'
import { createFleetReader, type FleetReader, type MadePlan } from './fleet-reader.ts'
import type { ClusterOf } from './fleet-view.ts'
import { type Claim, decideClaim, releaseFinished, whyNoLease } from './leases.ts'
import { createMembership } from './membership.ts'
import { isRefusal, type Refusal, request, type RolloutCommand } from './request.ts'
import type {
  FleetView,
  GateVerdict,
  Now,
  Plan,
  PlannedNode,
  Rollout,
  RolloutEvent,
  RolloutPlan,
  ShownPlan,
  VantageOf,
} from './rollout.ts'
import type { RolloutStore, RolloutTransaction } from './rollout-store.ts'
import { createWaiters, type Waiters } from './waiters.ts'

export interface RunnerOptions {
  readonly store: RolloutStore
  readonly clock: Clock
  /** Called after the commit with the nodes that have a new document: wakes their long polls. */
  readonly onPublished: (nodes: readonly string[]) => void
  /**
   * Is the agent there? False defers the node, so it must not be false merely because this process
   * has just started and agents are still on their way back.
   */
  readonly isOnline: (member: RolloutMember) => boolean
  /** Called with nodes that were refused a lease and would be granted it now: wakes their long polls. */
  readonly onFree?: (nodes: readonly string[]) => void
  readonly log: RunnerLog
  /** What gates say about the current batch of a rollout, as far as anybody has looked. */
  readonly verdictsOf?: (rollout: Rollout) => readonly GateVerdict[]
  /** What another node sees of what this one reports. */
  readonly vantageOf?: VantageOf
  /** How the nodes of the current batch are seen from outside before it begins. */
  readonly baselineOf?: (rollout: Rollout) => FleetView['baseline']
  /** What a node was seen to say of its cluster after its report. */
  readonly clusterOf?: ClusterOf
  /** Nodes of which something has changed that the store does not know: presence, `clusterOf`. Absent: all are asked each time. */
  readonly changedSince?: (cursor: number | undefined) => Changes
  /** Names a new rollout; unique for ever. */
  readonly newId?: () => string
}

export interface RunnerLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What an operator asks of a rollout, beside its id. */
export interface Order {
  readonly actor: string
  readonly command: Exclude<RolloutCommand, { kind: 'claim' }>
  /** For the audit log, of commands that have none themselves. */
  readonly reason?: Reason
  /** Refused with `version-mismatch` when the rollout has moved on since. */
  readonly expectedVersion?: number
}

export interface Runner {
  /** Stores the rollout and makes its first moves; `reason` where nobody has asked for it. Throws `stale-plan`, `overlapping-rollout`, `quorum-loss`, `not-found`. */
  create(plan: RolloutPlan, actor: string, reason?: Reason): Promise<Rollout>
  /** Lets every active rollout do all that can be done now; resolves with the number of events. */
  tick(): Promise<number>
  /** A node claims its permit, or asks for a lease, before its point of no return. */
  claim(
    node: string,
    generation: number,
    digest: string,
    more?: Partial<Pick<Claim, 'purpose' | 'sequence' | 'act'>>,
  ): Promise<LeaseAnswer>
  /** Throws `not-found`, `version-mismatch`; refused when the tables of states do not allow it. */
  order(id: string, order: Order): Promise<Rollout | Refusal>
  /** Makes the rollout that takes one back, or tries its failures once more; its nodes are held to what `ask` gives. Throws `illegal-transition`, `nothing-to-do`. */
  follow(id: string, kind: FollowKind, actor: string, ask?: AskNodes): Promise<Rollout>
  /** Throws `not-found`; refused when it is too late. */
  abort(id: string, actor: string, reason: Reason): Promise<Rollout | Refusal>
  /** The fleet as decisions about this rollout see it. */
  view(tx: RolloutTransaction, rollout: Rollout): Promise<FleetView>
  /** The plan that `create` would make, and what it was made from. Writes nothing. `spec`: the one to come. Throws `quorum-loss`. */
  plan(request: RolloutPlan, spec: FleetSpec): Promise<MadePlan>
  /** Must this node take leases? May be a second old. */
  isGrouped(tx: RolloutTransaction, node: string): Promise<boolean>
  /** By name; may be a second old. */
  groupsOf(tx: RolloutTransaction, node: string): Promise<readonly string[]>
  /** All groups of the fleet, as they are now. */
  viewGroups(tx: RolloutTransaction): ReturnType<FleetReader['readAllGroups']>
}

// A rollout that still moves after so many decisions, or events, goes on at the next tick, so that one
// cannot keep the others from moving, nor an operator waiting who has begun it.
const ROUNDS_MAX = 64
const EVENTS_MAX = 1_024

interface Running extends RunnerOptions {
  readonly reader: FleetReader
  readonly waiters: Waiters
  readonly now: (tx: RolloutTransaction) => Promise<Now>
  readonly advance: () => Promise<void>
}

export function createRunner(options: RunnerOptions): Runner {
  const { advance, now } = createControllerClock(options)
  const reader = createFleetReader(options)
  const waiters = createWaiters(options.clock)
  const membership = createMembership(options.clock, tx => reader.frame(tx))
  const running = { ...options, advance, now, reader, waiters }
  return {
    create: (plan, actor, reason) => create(running, plan, actor, reason),
    tick: () => tick(running),
    claim: (node, generation, digest, { purpose = 'rollout', sequence, act } = {}) =>
      claim(running, { node, generation, digest, purpose, sequence, act }),
    order: (id, order) => obey(running, id, order),
    follow: (id, kind, actor, ask) => follow(running, { id, kind, actor, ask }),
    abort: (id, actor, reason) => obey(running, id, { actor, command: { kind: 'abort', reason } }),
    plan: (request, spec) =>
      options.store.transaction(tx => running.reader.plan(tx, request, spec)),
    isGrouped: async (tx, node) => (await membership(tx, node)) !== undefined,
    groupsOf: async (tx, node) => (await membership(tx, node)) ?? [],
    viewGroups: tx => running.reader.readAllGroups(tx),
    view: async (tx, rollout) => running.reader.read(tx, rollout, await now(tx)),
  }
}

async function create(
  running: Running,
  request: RolloutPlan,
  actor: string,
  reason?: Reason,
): Promise<Rollout> {
  const { store, newId = randomId, reader } = running
  const id = newId()
  const inserted = await store.transaction(async tx => {
    const now = await running.now(tx)
    const { plan, members } = await reader.plan(tx, request)
    requireShown(plan, request.shown)
    for (const [digest, preview] of request.previews ?? []) await tx.previews.put(digest, preview)
    const why = reason === undefined ? {} : { reason }
    const events: readonly RolloutEvent[] = [{ kind: 'planned', ...why, ...now }]
    await tx.audit.append({ atMs: now.atMs, actor, action: 'rollout-create', subject: id, ...why })
    const rollout = await tx.rollouts.insert({ id, plan, events, atMs: now.atMs })
    // After the insert, because a node of another rollout has moved away for that reason.
    const first = request.phases?.[0]?.nodes ?? request.nodes
    requireCurrent(first, members)
    return rollout
  })
  await advanceSafely(running, id)
  return (await store.transaction(tx => tx.rollouts.get(id))) ?? inserted
}

interface Following {
  readonly id: string
  readonly kind: FollowKind
  readonly actor: string
  readonly ask?: AskNodes | undefined
}

/** A child rollout: its plan is made from how its parent ended. */
async function follow(running: Running, { id, kind, actor, ask }: Following): Promise<Rollout> {
  const plan = await running.store.transaction(async tx => {
    const rollout = await tx.rollouts.get(id)
    if (rollout === undefined) throw new OperationalError('not-found', `there is no rollout ${id}`)
    if (!hasEnded(rollout))
      throw new OperationalError('illegal-transition', `rollout ${id} is ${rollout.status} still`)
    return childOf(tx, rollout, kind, actor)
  })
  if (plan.nodes.length === 0)
    throw new OperationalError('nothing-to-do', `no node of rollout ${id} is left to ${VERB[kind]}`)
  return create(running, { ...plan, ...(await ask?.(plan.nodes)) }, actor)
}

const VERB = { rollback: 'take back', retry: 'try again' } as const

function randomId(): string {
  return `r-${randomBytes(6).toString('hex')}`
}

// What an operator has seen is carried out, or nothing is.
function requireShown({ digest }: Plan, shown: ShownPlan | undefined): void {
  if (shown === undefined || shown.digest === digest) return
  throw stalePlan(shown.digest)
}

/** Of a plan that was shown, and cannot be made any more. */
export function stalePlan(digest: string): OperationalError {
  const name = digest.slice(0, 12)
  const message = `could not apply plan ${name}: the fleet or its spec has changed since it was made, so the plan is stale`
  return new OperationalError('stale-plan', message, { hint: 'plan again', details: { digest } })
}

// Compare and set: a plan made from what somebody else has replaced meanwhile is made again.
function requireCurrent(nodes: readonly PlannedNode[], members: MadePlan['members']): void {
  // Most nodes of a large fleet share a content.
  const checked = new Map<PlannedNode['content'], string>()
  for (const { node, from, to, content } of nodes) {
    const digest = checked.get(content) ?? contentDigestOf(content)
    checked.set(content, digest)
    assert(digest === to, `the plan names another content for ${node} than it holds`)
    const member = members.get(node)
    if (member === undefined) {
      const message = `could not plan for node ${node}, which does not exist`
      throw new OperationalError('not-found', message)
    }
    const current = member.desired?.contentDigest
    if (current === from) continue
    const message = `could not start a plan that ${node} has moved away from`
    const details = { node, planned: from, current }
    throw new OperationalError('stale-plan', message, { hint: 'plan again', details })
  }
}

async function tick(running: Running): Promise<number> {
  await running.advance()
  const { active, free } = await running.store.transaction(async tx => {
    await releaseFinished(tx)
    const ids = (await tx.rollouts.active()).map(({ id }) => id)
    return { active: ids, free: await freeNow(running, tx) }
  })
  running.waiters.woke(free)
  if (free.length > 0) running.onFree?.(free)
  running.reader.retain(new Set(active))
  let count = 0
  for (const id of active) {
    count += await advanceSafely(running, id)
    await rollBackByItself(running, id)
  }
  return count
}

/** Who waits for a lease, and would be granted it. */
async function freeNow(running: Running, tx: RolloutTransaction): Promise<readonly string[]> {
  const { waiters, reader } = running
  return waiters.ready(async (waiter, woken) => {
    const now = await running.now(tx)
    const fleet = await reader.readGroups(tx, waiter.node, now)
    return whyNoLease(tx, waiter, fleet, { now, woken })
  })
}

// Once, for a change that failed and asks for it; never for a rollback. Killed between the two, an
// operator does it: nothing is rolled back without anybody having seen why. Nobody was shown what its
// nodes would change, so they are held to nothing: what failed is put back whatever else was edited since.
async function rollBackByItself(running: Running, id: string): Promise<void> {
  const rollout = await running.store.transaction(tx => tx.rollouts.get(id))
  if (rollout?.status !== 'failed' || rollout.plan.kind !== 'change') return
  if (!rollout.plan.settings.autoRollback) return
  try {
    await follow(running, { id, kind: 'rollback', actor: 'controller' })
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    running.log.warn({ rollout: id, err: error }, 'could not roll back')
  }
}

// One rollout that cannot go on must not stop the others.
async function advanceSafely(running: Running, id: string): Promise<number> {
  let count = 0
  try {
    for (let round = 0; round < ROUNDS_MAX && count < EVENTS_MAX; round++) {
      const events = await advance(running, id)
      if (events === 0) break
      count += events
    }
  } catch (error) {
    const isConflict = error instanceof OperationalError && error.code === 'version-conflict'
    if (isConflict) running.log.info({ rollout: id }, 'somebody else moved the rollout')
    else running.log.error({ rollout: id, err: error }, 'rollout could not move')
  }
  return count
}

/** One decision, stored with all it implies. */
async function advance(running: Running, id: string): Promise<number> {
  const step = await running.store.transaction(async tx => {
    const rollout = await tx.rollouts.get(id)
    if (rollout === undefined || hasEnded(rollout)) return NO_MOVE
    const now = await running.now(tx)
    const fleet = await running.reader.read(tx, rollout, now)
    return carryOut(tx, rollout, fleet, decide(rollout, fleet, now), now)
  })
  announce(running, id, step)
  return step.events.length
}

async function claim(running: Running, question: Claim): Promise<LeaseAnswer> {
  const { reader, waiters } = running
  const { node, purpose } = question
  const { answer, rollout, move, grouped } = await running.store.transaction(async tx => {
    const now = await running.now(tx)
    const decided = await decideClaim(tx, question, {
      now,
      woken: waiters.woken(),
      read: rollout => reader.read(tx, rollout, now),
      readGroups: node => reader.readGroups(tx, node, now),
    })
    return { ...decided, grouped: (await reader.frame(tx)).groupsOf.has(node) }
  })
  // A permit comes back by itself.
  if (purpose !== 'rollout') waiters.note({ node, purpose }, answer.granted)
  if (rollout !== undefined) announce(running, rollout, move)
  return { ...answer, grouped }
}

async function obey(running: Running, id: string, order: Order): Promise<Rollout | Refusal> {
  const { actor, command, expectedVersion } = order
  const step = await running.store.transaction(async tx => {
    const rollout = await tx.rollouts.get(id)
    if (rollout === undefined) throw new OperationalError('not-found', `there is no rollout ${id}`)
    requireVersion(rollout, expectedVersion)
    const now = await running.now(tx)
    const fleet = await running.reader.read(tx, rollout, now)
    const events = request(rollout, command, fleet, now)
    if (isRefusal(events)) return events
    const why = 'reason' in command ? command.reason : order.reason
    const reason = why === undefined ? {} : { reason: why }
    const subject = 'node' in command ? `${id}/${command.node}` : id
    const action = `rollout-${command.kind}`
    await tx.audit.append({ atMs: now.atMs, actor, action, subject, ...reason })
    return carryOut(tx, rollout, fleet, events, now)
  })
  if ('kind' in step) return step
  announce(running, id, step)
  await advanceSafely(running, id)
  const rollout = await running.store.transaction(tx => tx.rollouts.get(id))
  assert(rollout !== undefined, `rollout ${id} vanished`)
  return rollout
}

function requireVersion({ id, version }: Rollout, expected: number | undefined): void {
  if (expected === undefined || expected === version) return
  throw new OperationalError(
    'version-mismatch',
    `rollout ${id} is at version ${version} now, not at ${expected}`,
    { hint: 'look at it again' },
  )
}

function announce(
  { log, onPublished }: RunnerOptions,
  id: string,
  { events, published }: Move,
): void {
  for (const event of events) {
    const isBad = event.kind === 'draining' || event.kind === 'node-broken'
    log[isBad ? 'warn' : 'info']({ rollout: id, event }, 'rollout moved')
  }
  if (published.length > 0) onPublished(published)
}
