// The impure part of rollouts: reads, decides, appends, and in the same transaction writes what the
// events imply. All state is in the store: a runner killed anywhere and started again goes on.

import { randomBytes } from 'node:crypto'
import type { LeaseAnswer } from '../../shared/contract/agent-api.ts'
import { contentDigestOf } from '../../shared/contract/desired-state.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { assert } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { RolloutMember, Store, Transaction } from '../store/store.ts'
import { carryOut, type Move, NO_MOVE } from './carry-out.ts'
import { decide, request, type Refusal, type RolloutCommand } from './decide.ts'
import { hasEnded } from './evolve.ts'
import { viewFleet } from './fleet-view.ts'
import type { FleetView, PlannedNode, Rollout, RolloutEvent, RolloutPlan } from './rollout.ts'

export interface RunnerOptions {
  readonly store: Store
  readonly clock: Clock
  /** Called after the commit with the nodes that have a new document: wakes their long polls. */
  readonly onPublished: (nodes: readonly string[]) => void
  /**
   * Is the agent there? False defers the node, so it must not be false merely because this process
   * has just started and agents are still on their way back.
   */
  readonly isOnline: (member: RolloutMember) => boolean
  readonly log: RunnerLog
  /** Names a new rollout; unique for ever. */
  readonly newId?: () => string
}

export interface RunnerLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface Runner {
  /** Stores the rollout and makes its first moves. Throws `stale-plan`, `overlapping-rollout`, `not-found`. */
  create(plan: RolloutPlan, actor: string): Promise<Rollout>
  /** Lets every active rollout do all that can be done now; resolves with the number of events. */
  tick(): Promise<number>
  /** A node claims its permit, before its point of no return. */
  claim(node: string, generation: number, digest: string): Promise<LeaseAnswer>
  /** Throws `not-found`; refused when it is too late. */
  abort(id: string, actor: string, reason: Reason): Promise<Rollout | Refusal>
}

// A rollout that still moves after so many decisions goes on at the next tick, so that one cannot
// keep the others from moving.
const ROUNDS_MAX = 64

export function createRunner(options: RunnerOptions): Runner {
  return {
    create: (plan, actor) => create(options, plan, actor),
    tick: () => tick(options),
    claim: (node, generation, digest) => claim(options, { node, generation, digest }),
    abort: (id, actor, reason) => abort(options, id, actor, reason),
  }
}

async function create(options: RunnerOptions, plan: RolloutPlan, actor: string): Promise<Rollout> {
  const { store, clock, newId = randomId } = options
  const id = newId()
  const inserted = await store.transaction(async tx => {
    const atMs = clock.now()
    const events: readonly RolloutEvent[] = [{ kind: 'planned', atMs }]
    await tx.audit.append({ atMs, actor, action: 'rollout-create', subject: id })
    const rollout = await tx.rollouts.insert({ id, plan, events, atMs })
    // After the insert, because a node of another rollout has moved away for that reason.
    for (const planned of plan.nodes) await requireCurrent(tx, planned)
    return rollout
  })
  await advanceSafely(options, id)
  return (await store.transaction(tx => tx.rollouts.get(id))) ?? inserted
}

function randomId(): string {
  return `r-${randomBytes(6).toString('hex')}`
}

// Compare and set: a plan made from what somebody else has replaced meanwhile is made again.
async function requireCurrent(
  tx: Transaction,
  { node, from, to, content }: PlannedNode,
): Promise<void> {
  assert(
    contentDigestOf(content) === to,
    `the plan names another content for ${node} than it holds`,
  )
  if ((await tx.nodes.get(node)) === undefined) {
    throw new OperationalError('not-found', `could not plan for node ${node}, which does not exist`)
  }
  const current = (await tx.desired.get(node))?.state.contentDigest
  if (current === from) return
  throw new OperationalError(
    'stale-plan',
    `could not start a plan that ${node} has moved away from`,
    {
      hint: 'plan again',
      details: { node, planned: from, current },
    },
  )
}

async function tick(options: RunnerOptions): Promise<number> {
  const active = await options.store.transaction(tx => tx.rollouts.active())
  let count = 0
  for (const { id } of active) count += await advanceSafely(options, id)
  return count
}

// One rollout that cannot go on must not stop the others.
async function advanceSafely(options: RunnerOptions, id: string): Promise<number> {
  let count = 0
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const events = await advance(options, id)
      if (events === 0) break
      count += events
    }
  } catch (error) {
    const isConflict = error instanceof OperationalError && error.code === 'version-conflict'
    if (isConflict) options.log.info({ rollout: id }, 'somebody else moved the rollout')
    else options.log.error({ rollout: id, err: error }, 'rollout could not move')
  }
  return count
}

/** One decision, stored with all it implies. */
async function advance(options: RunnerOptions, id: string): Promise<number> {
  const step = await options.store.transaction(async tx => {
    const rollout = await tx.rollouts.get(id)
    if (rollout === undefined || hasEnded(rollout)) return NO_MOVE
    const nowMs = options.clock.now()
    const fleet = await readFleet(options, tx, rollout, nowMs)
    return carryOut(tx, rollout, fleet, decide(rollout, fleet, nowMs), nowMs)
  })
  announce(options, id, step)
  return step.events.length
}

async function claim(options: RunnerOptions, question: Claim): Promise<LeaseAnswer> {
  const { answer, rollout, move } = await options.store.transaction(tx =>
    decideClaim(tx, question, options.clock.now()),
  )
  if (rollout !== undefined) announce(options, rollout, move)
  return answer
}

interface Claim {
  readonly node: string
  readonly generation: number
  readonly digest: string
}

interface ClaimResult {
  readonly answer: LeaseAnswer
  readonly rollout: string | undefined
  readonly move: Move
}

async function decideClaim(
  tx: Transaction,
  { node, generation, digest }: Claim,
  nowMs: number,
): Promise<ClaimResult> {
  const answered = (granted: boolean, code: string, message: string): ClaimResult => ({
    answer: { granted, reason: { code, message } },
    rollout: undefined,
    move: NO_MOVE,
  })
  const desired = (await tx.desired.get(node))?.state
  if (desired === undefined || desired.generation !== generation || desired.digest !== digest) {
    const current = desired === undefined ? 'none' : `${desired.generation}`
    const message = `generation ${generation} is not the current one of ${node}, which is ${current}`
    return answered(false, 'permit-stale', message)
  }
  if (desired.mode !== 'enforce') {
    const message = `generation ${generation} of ${node} is not to be enforced yet`
    return answered(false, 'not-permitted', message)
  }
  const active = await tx.rollouts.active()
  const rollout = active.find(one => Object.hasOwn(one.steps, node))
  // What the node had before its step published anything was proven by an earlier rollout.
  if (rollout === undefined || rollout.steps[node]?.generation !== generation) {
    const message = `no rollout holds back generation ${generation} of ${node}`
    return answered(true, 'no-rollout', message)
  }
  const command: RolloutCommand = { kind: 'claim', node, generation }
  const fleet: FleetView = { nodes: {} }
  const events = request(rollout, command, fleet, nowMs)
  if (isRefusal(events)) return answered(false, events.reason.code, events.reason.message)
  const move = await carryOut(tx, rollout, fleet, events, nowMs)
  const message = `${node} may go on with generation ${generation}`
  const reason = { code: 'permit-claimed', message }
  return { answer: { granted: true, reason }, rollout: rollout.id, move }
}

async function abort(
  options: RunnerOptions,
  id: string,
  actor: string,
  reason: Reason,
): Promise<Rollout | Refusal> {
  const step = await options.store.transaction(async tx => {
    const rollout = await tx.rollouts.get(id)
    if (rollout === undefined) throw new OperationalError('not-found', `there is no rollout ${id}`)
    const nowMs = options.clock.now()
    const fleet = await readFleet(options, tx, rollout, nowMs)
    const events = request(rollout, { kind: 'abort', reason }, fleet, nowMs)
    if (isRefusal(events)) return events
    await tx.audit.append({ atMs: nowMs, actor, action: 'rollout-abort', subject: id, reason })
    return carryOut(tx, rollout, fleet, events, nowMs)
  })
  if ('kind' in step) return step
  announce(options, id, step)
  await advanceSafely(options, id)
  const rollout = await options.store.transaction(tx => tx.rollouts.get(id))
  assert(rollout !== undefined, `rollout ${id} vanished`)
  return rollout
}

async function readFleet(
  { isOnline }: RunnerOptions,
  tx: Transaction,
  rollout: Rollout,
  nowMs: number,
): Promise<FleetView> {
  const members = await tx.rollouts.members(rollout.id)
  return viewFleet({ rollout, members, isOnline, nowMs })
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

function isRefusal(answer: readonly RolloutEvent[] | Refusal): answer is Refusal {
  return 'kind' in answer
}
