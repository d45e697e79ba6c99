// The impure part of rotations: reads, decides, appends, and in the same transaction moves the CAs
// to where the events say. Contents change by ordinary rollouts only. All state is in the store: a
// controller killed anywhere and started again goes on.

import { assert } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import { allowedTransition } from '../ca/generations.ts'
import { inOrder } from '../fleet/edges.ts'
import type { AskNodes } from '../rollout/follow.ts'
import type { Transaction } from '../store/store.ts'
import type { RotationsContext } from './context.ts'
import { create, type RotationRequest } from './create.ts'
import { decide, type Refusal, request, type RotationCommand } from './decide.ts'
import { isMoving } from './evolve.ts'
import { isOpen, type Rotation, type RotationEvent } from './rotation.ts'
import { standingsOf } from './standing.ts'
import { authorOf, see, type Seen, type WorldsMemo } from './view.ts'

export interface Rotations {
  /** Throws `rotation-open`, `trust-closure`, `nothing-to-rotate`, `fleet-unsettled`. */
  create(asked: RotationRequest): Promise<Rotation>
  /** Throws `not-found`; refused when it is too late. */
  request(
    id: string,
    command: RotationCommand,
    actor: string,
    expectedVersion?: number,
  ): Promise<Rotation | Refusal>
  /** Does all that can be done now. */
  tick(): Promise<Ticked>
  /** How the fleet stands to it. Throws `not-found`. */
  look(id: string): Promise<{ readonly rotation: Rotation; readonly seen: Seen }>
}

export interface Ticked {
  readonly acts: number
  /** Of its time, how long nodes were waited for: meanwhile it read nothing and kept nobody from the store. */
  readonly waitedMs: number
}

// What still moves after so many acts goes on at the next tick.
const ACTS_MAX = 16

export function createRotations(given: RotationsContext): Rotations {
  let waitedMs = 0
  const askNodes: AskNodes = async nodes => {
    const startedMs = given.clock.monotonic()
    try {
      return await given.askNodes(nodes)
    } finally {
      waitedMs += given.clock.monotonic() - startedMs
    }
  }
  const context = { ...given, askNodes }
  const memo: WorldsMemo = { last: undefined }
  const moved = async (id: string, events: readonly RotationEvent[], isCaMoved: boolean) => {
    for (const event of events) {
      const isBad = event.kind === 'stopped' || event.kind === 'reversed'
      context.log[isBad ? 'warn' : 'info']({ rotation: id, event }, 'rotation moved')
    }
    if (isCaMoved) await context.onAuthorities()
  }
  const act = async (id: string) => {
    try {
      return await actOnce(context, id, memo, moved)
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      return await putOff(context, id, error, moved)
    }
  }
  return {
    async create(asked) {
      const { rotation, events, isCaMoved } = await create(context, asked)
      await moved(rotation.id, events, isCaMoved)
      return rotation
    },
    async request(id, command, actor, expectedVersion) {
      if (expectedVersion !== undefined) await requireVersion(context, id, expectedVersion)
      if (command.kind === 'abort') await stopRetiring(context, id, command)
      const answer = await context.store.transaction(tx => ask(context, tx, id, command, actor))
      if ('kind' in answer) return answer
      await moved(id, answer.events, answer.isCaMoved || command.kind === 'taint')
      return answer.rotation
    },
    async tick() {
      waitedMs = 0
      const open = await context.store.transaction(tx => tx.rotations.open())
      let acts = 0
      while (open !== undefined && acts < ACTS_MAX && (await act(open.id))) acts++
      return { acts, waitedMs }
    },
    look: id =>
      context.store.transaction(async tx => {
        const rotation = await requireRotation(tx, id)
        return { rotation, seen: await see(context, tx, rotation, memo) }
      }),
  }
}

type Moved = (id: string, events: readonly RotationEvent[], isCaMoved: boolean) => Promise<void>

/** One decision and what it takes. False: nothing is to be done now. */
async function actOnce(
  context: RotationsContext,
  id: string,
  memo: WorldsMemo,
  moved: Moved,
): Promise<boolean> {
  const decided = await context.store.transaction(async tx => {
    const rotation = await requireRotation(tx, id)
    if (!isOpen(rotation)) return undefined
    const seen = await see(context, tx, rotation, memo)
    const decision = decide(rotation, seen.view, context.clock.now())
    if (decision.kind !== 'events') return { rotation, seen, decision, isCaMoved: false }
    const { isCaMoved } = await append(tx, rotation, decision.events)
    return { rotation, seen, decision, isCaMoved }
  })
  if (decided === undefined) return false
  const { rotation, seen, decision, isCaMoved } = decided
  switch (decision.kind) {
    case 'nothing':
      return false
    case 'events':
      await moved(id, decision.events, isCaMoved)
      return true
    case 'start-rollout':
      await startRollout(context, rotation, seen)
      return true
    case 'abort-rollout': {
      const { reason, rollout } = decision
      const answer = await context.runner.abort(rollout, authorOf(rotation), reason)
      // It drains, or has just ended by itself: the next look tells.
      return !('kind' in answer) && answer.endedAtMs !== undefined
    }
  }
}

// Killed right after it, the next look finds the rollout by its author.
async function startRollout(
  context: RotationsContext,
  rotation: Rotation,
  { toMove, revision }: Seen,
): Promise<void> {
  const author = authorOf(rotation)
  const current = await context.store.transaction(async tx => {
    const found = new Map<string, string | undefined>()
    for (const { node } of toMove)
      found.set(node, (await tx.desired.get(node))?.state.contentDigest)
    return found
  })
  const nodes = inOrder(
    toMove.map(({ node, content, digest }) => ({
      node,
      from: current.get(node),
      to: digest,
      content,
    })),
  )
  const asked = await context.askNodes(nodes)
  // An operator may have had enough of it while the nodes were asked.
  const isCurrent = await context.store.transaction(
    async tx => (await requireRotation(tx, rotation.id)).version === rotation.version,
  )
  if (!isCurrent) return
  const settings = isApproved(rotation) ? { settings: APPROVED } : {}
  const plan = { revision, author, ...asked, ...settings }
  const rollout = await context.runner.create(plan, author)
  await context.store.transaction(async tx => {
    const now = await requireRotation(tx, rotation.id)
    // Somebody else has noted it, or the rotation has turned back meanwhile.
    if (now.version !== rotation.version) return
    const by = { atMs: context.clock.now(), actor: CONTROLLER }
    await append(tx, now, [{ kind: 'rollout-started', rollout: rollout.id, ...by }])
  })
  context.wakeRunner()
}

const APPROVED = { approvals: 0 } as const

// Whoever confirmed that trust is removed has approved how that is done; and on the way back to what was
// proven nobody waits, as with a rollback.
function isApproved({ phase, direction, approvals }: Rotation): boolean {
  return direction === 'reverse' || (phase === 'retire' && approvals > 0)
}

const CONTROLLER = 'controller'

// Somebody else's rollout has these nodes, or the plan was overtaken: the next tick tries again.
const PASSING: ReadonlySet<string> = new Set([
  'overlapping-rollout',
  'stale-plan',
  'version-conflict',
  'store-busy',
  'store-closed',
])

/** What an operator has to settle stops the rotation, with the reason. */
async function putOff(
  context: RotationsContext,
  id: string,
  error: OperationalError,
  moved: Moved,
): Promise<false> {
  if (PASSING.has(error.code) || error.retryable) {
    context.log.info({ rotation: id, code: error.code }, 'rotation waits')
    return false
  }
  context.log.error({ rotation: id, err: error }, 'rotation could not move')
  const events = await context.store.transaction(async tx => {
    const rotation = await requireRotation(tx, id)
    if (!isOpen(rotation) || rotation.stopped !== undefined) return []
    const reason = { code: error.code, message: error.message.slice(0, MESSAGE_LENGTH_MAX) }
    const by = { atMs: context.clock.now(), actor: CONTROLLER }
    const stopped: RotationEvent = { kind: 'stopped', reason, ...by }
    await append(tx, rotation, [stopped])
    return [stopped]
  })
  await moved(id, events, false)
  return false
}

const MESSAGE_LENGTH_MAX = 4_000

async function ask(
  context: RotationsContext,
  tx: Transaction,
  id: string,
  command: RotationCommand,
  actor: string,
) {
  const rotation = await requireRotation(tx, id)
  const atMs = context.clock.now()
  const wasPermitted = await hasBegunRetiring(tx, rotation)
  const events = request(rotation, command, { actor, atMs, wasPermitted })
  if ('kind' in events) return events
  const { subject } = rotation
  if (command.kind === 'taint' && subject.kind !== 'issuer')
    await tx.authorities.taint(subject.from, atMs)
  return { events, ...(await append(tx, rotation, events)) }
}

// Before the rotation turns back no permit of `retire` may be given any more. Where one was, the
// request is refused.
async function stopRetiring(
  context: RotationsContext,
  id: string,
  { reason }: RotationCommand,
): Promise<void> {
  const moving = await context.store.transaction(async tx => {
    const rotation = await requireRotation(tx, id)
    if (rotation.phase !== 'retire' || (await hasBegunRetiring(tx, rotation))) return undefined
    return isMoving(rotation) ? rotation : undefined
  })
  if (moving?.rollout === undefined) return
  await context.runner.abort(moving.rollout.id, authorOf(moving), reason)
}

/** The first permit of `retire` is the point of no return. */
async function hasBegunRetiring(tx: Transaction, { id, phase }: Rotation): Promise<boolean> {
  if (phase !== 'retire') return false
  const stored = (await tx.rotations.events(id)).map(({ event }) => event)
  const entered = stored.findLastIndex(event => event.kind === 'entered')
  const rollouts = stored
    .slice(entered)
    .flatMap(event => (event.kind === 'rollout-started' ? [event.rollout] : []))
  const author = authorOf({ id })
  for (const { id: orphan, plan } of await tx.rollouts.active())
    if (plan.author === author) rollouts.push(orphan)
  for (const rollout of rollouts) if (await wasAnybodyPermitted(tx, rollout)) return true
  // Agents forget the old root of identities as soon as they are told to.
  return rollouts.length === 0 && stored[0]?.kind === 'created'
    ? stored[0].subject.kind === 'identity'
    : false
}

const EVENTS_PAGE = 500

async function wasAnybodyPermitted(tx: Transaction, rollout: string): Promise<boolean> {
  let after = 0
  for (;;) {
    const page = await tx.rollouts.events(rollout, { after, limit: EVENTS_PAGE })
    if (page.some(({ event }) => event.kind === 'node-permitted')) return true
    const last = page.at(-1)
    if (last === undefined) return false
    after = last.version
  }
}

/** Appends, and brings the CAs to where the events say. */
async function append(
  tx: Transaction,
  before: Rotation,
  events: readonly RotationEvent[],
): Promise<{ readonly rotation: Rotation; readonly isCaMoved: boolean }> {
  const rotation = await tx.rotations.append(before.id, before.version, events)
  const last = events.at(-1)
  const isCaMoved = last === undefined ? false : await settle(tx, rotation, last.atMs)
  return { rotation, isCaMoved }
}

async function settle(tx: Transaction, rotation: Rotation, atMs: number): Promise<boolean> {
  let isMoved = false
  if (rotation.status === 'reversed') await reinstate(tx, rotation, atMs)
  for (const { id, state } of standingsOf(rotation)) {
    const record = await tx.authorities.get(id)
    assert(record !== undefined, `the CA ${id} of rotation ${rotation.id} is in the store`)
    if (record.state === state) continue
    assert(
      allowedTransition(record.state, state),
      `the CA ${id} may go from ${record.state} to ${state}`,
    )
    if (state === 'denied') await tx.authorities.destroyKeys(id)
    await tx.authorities.setState(id, state, atMs)
    isMoved = true
  }
  return isMoved
}

// The newest revision is what the fleet has: after the way back that is the one of before.
async function reinstate(tx: Transaction, { subject, id }: Rotation, atMs: number): Promise<void> {
  if (subject.kind !== 'issuer') return
  const before = await tx.revisions.get(subject.from)
  assert(before !== undefined, `revision ${subject.from} of rotation ${id} is in the store`)
  const { digest, text, author } = before
  const { number } = await tx.revisions.insert({ digest, text, author, createdAtMs: atMs })
  const actor = authorOf({ id })
  const revision = `revision ${number}`
  await tx.audit.append({ atMs, actor, action: 'revision-create', subject: revision })
}

// Looked at once before the command, which may take several transactions. What moves it in between is
// judged by the table of its states, as it is without a version.
async function requireVersion(
  { store }: RotationsContext,
  id: string,
  expected: number,
): Promise<void> {
  const { version } = await store.transaction(tx => requireRotation(tx, id))
  if (version === expected) return
  throw new OperationalError(
    'version-mismatch',
    `rotation ${id} is at version ${version} now, not at ${expected}`,
    { hint: 'look at it again' },
  )
}

export async function requireRotation(tx: Transaction, id: string): Promise<Rotation> {
  const rotation = await tx.rotations.get(id)
  if (rotation === undefined) throw new OperationalError('not-found', `there is no rotation ${id}`)
  return rotation
}
