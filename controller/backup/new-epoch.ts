// What a restore changes in the store. The backup does not know what was given out after it, so all
// that it could repeat is made void: numbers begin above everything that any node can have seen,
// rollouts under way are over, tokens have expired. Nodes are not moved: every document comes back
// with mode `stage`, beside which an agent keeps up what it enforced last, until an operator applies
// a fleet spec. All of it is one transaction.

import { assert } from '../../shared/assert.ts'
import { epochIn, sealDesiredState } from '../../shared/contract/desired-state.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { carryOut } from '../rollout/carry-out.ts'
import { decide } from '../rollout/decide.ts'
import { hasEnded } from '../rollout/evolve.ts'
import { viewNodes } from '../rollout/fleet-view.ts'
import { isRefusal, request } from '../rollout/request.ts'
import type { FleetView, RolloutEvent } from '../rollout/rollout.ts'
import { IN_MOTION, stepsIn } from '../rollout/steps.ts'
import type { Transaction } from '../store/store.ts'
import { recordRestoration } from './restoration.ts'

export interface NewEpochOptions {
  /** When the backup was taken. */
  readonly backupAtMs: number
  /** An epoch that some agent has seen, and that this one must be above. */
  readonly aboveEpoch: number
  readonly nowMs: number
}

export interface NewEpoch {
  readonly epoch: number
  /** Nodes that have a document. */
  readonly nodes: number
  /** Rollouts that were ended. */
  readonly rollouts: readonly string[]
}

const PAGE = 500

export async function beginNewEpoch(tx: Transaction, options: NewEpochOptions): Promise<NewEpoch> {
  const { backupAtMs, aboveEpoch, nowMs } = options
  const reason: Reason = {
    code: 'restored',
    message: `the controller was restored from a backup of ${new Date(backupAtMs).toISOString()}`,
  }
  const rollouts = []
  for (const { id } of await tx.rollouts.active()) {
    await endRollout(tx, id, reason, nowMs)
    rollouts.push(id)
  }
  await stopRotation(tx, reason, nowMs)
  const epoch = epochAfter(Math.max(await tx.desired.epoch(), aboveEpoch), nowMs)
  await tx.desired.beginEpoch(epoch)
  const nodes = await publishAll(tx, epoch)
  await tx.tokens.expireAll(nowMs)
  await tx.reports.restartAll()
  await recordRestoration(tx, { backupAtMs, restoredAtMs: nowMs })
  const subject = `epoch ${epoch}`
  await tx.audit.append({ atMs: nowMs, actor: 'local', action: 'restore', subject, reason })
  return { epoch, nodes, rollouts }
}

/**
 * The time in seconds, so that the same backup restored twice gives two epochs, and above the one
 * before, so that a clock that is behind gives a new one too. Generations are raised to this number:
 * a node gets some few of them in a rollout and never one a second.
 */
export function epochAfter(epoch: number, nowMs: number): number {
  return Math.max(epoch + 1, Math.floor(nowMs / 1000))
}

// Draining takes permits back, and then at most one decision per kind of step is left to make.
const ROUNDS_MAX = 16

async function endRollout(
  tx: Transaction,
  id: string,
  reason: Reason,
  nowMs: number,
): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const rollout = await tx.rollouts.get(id)
    assert(rollout !== undefined, `rollout ${id} is among the active ones`)
    if (hasEnded(rollout)) return
    const members = await tx.rollouts.members(id)
    const now = { atMs: nowMs, timeMs: (await tx.controllerTime.get()).timeMs }
    const fleet: FleetView = {
      nodes: viewNodes({ rollout, members, isOnline: () => false, silentMs: () => 0 }),
      groups: new Map(),
      groupsOf: new Map(),
    }
    const isDraining = rollout.status === 'draining'
    const asked = isDraining ? [] : request(rollout, { kind: 'abort', reason }, fleet, now)
    assert(!isRefusal(asked), `rollout ${id} cannot be aborted while it is ${rollout.status}`)
    // What became of a step in motion, the backup cannot know: only an operator can settle it.
    const lost = isDraining
      ? [...stepsIn(rollout, IN_MOTION)].map(
          ({ node }): RolloutEvent => ({ kind: 'node-broken', node, reason, ...now }),
        )
      : []
    const steps = [...asked, ...lost]
    const events = steps.length > 0 ? steps : decide(rollout, fleet, now)
    await carryOut(tx, rollout, fleet, events, now)
  }
  assert(false, `rollout ${id} does not end`)
}

// It would enforce the backup's contents everywhere by itself; how far it really was, nobody knows.
async function stopRotation(tx: Transaction, reason: Reason, atMs: number): Promise<void> {
  const open = await tx.rotations.open()
  if (open === undefined) return
  await tx.rotations.append(open.id, open.version, [
    { kind: 'stopped', reason, atMs, actor: 'local' },
  ])
}

async function publishAll(tx: Transaction, epoch: number): Promise<number> {
  let count = 0
  let after = ''
  for (;;) {
    const nodes = await tx.nodes.list({ after, limit: PAGE })
    for (const { name } of nodes) if (await publish(tx, name, epoch)) count++
    const last = nodes.at(-1)
    if (last === undefined) return count
    after = last.name
  }
}

async function publish(tx: Transaction, node: string, epoch: number): Promise<boolean> {
  const desired = await tx.desired.get(node)
  if (desired === undefined) return false
  const { mode, content } = desired.state
  const state = sealDesiredState({
    node,
    ...epochIn(epoch),
    generation: (await tx.desired.highestGeneration(node)) + 1,
    mode: mode === 'audit' ? 'audit' : 'stage',
    permit: false,
    content,
  })
  await tx.desired.put({ state, revision: desired.revision })
  return true
}
