// The identities of a node follow one another: each renewal raises the generation, and once the new
// one was used, nobody goes back to the one before. Whoever does is a second machine with a copy of
// the first one's disk. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import type { IdentityRecord } from '../store/store.ts'

export interface IdentityPolicy {
  readonly lifetimeMs: number
  /** An identity that ended no longer ago is renewed by proof of its key. */
  readonly graceMs: number
}

const DAY_MS = 86_400_000

export const IDENTITY_POLICY: IdentityPolicy = { lifetimeMs: 7 * DAY_MS, graceMs: 30 * DAY_MS }

// What an agent sent on its old connection may still be under way when the new one is in use: its
// requests give up after half a minute.
const OVERLAP_MS = 120_000

/** A certificate leaves the denylist when it has ended for everybody, were clocks a day apart. */
export const CLOCK_SKEW_MS = DAY_MS

export interface Presented {
  readonly identity: Pick<IdentityRecord, 'node' | 'generation' | 'deniedFor'>
  /** Of the same node, the newest identity that was ever used. */
  readonly newest: Pick<IdentityRecord, 'generation' | 'confirmedAtMs'> | undefined
  readonly nowMs: number
  /** An agent that renews speaks for itself at that moment: nothing older of it is under way. */
  readonly isRenewal: boolean
}

/** Why two machines must be sharing this identity; undefined: nothing speaks for it. */
export function cloneReason({ identity, newest, nowMs, isRenewal }: Presented): Reason | undefined {
  const { node, generation, deniedFor } = identity
  // Its key was lost on the way, or so it seemed: another one was asked for in its place.
  if (deniedFor === 'superseded')
    return cloned(
      `generation ${generation} of the identity of ${node} is in use although another one was asked for in its place`,
    )
  if (deniedFor !== undefined || newest === undefined || newest.generation <= generation)
    return undefined
  const overtakenMs = nowMs - (newest.confirmedAtMs ?? nowMs)
  if (!isRenewal && overtakenMs <= OVERLAP_MS) return undefined
  return cloned(
    `generation ${generation} of the identity of ${node} is in use although generation ${newest.generation} was`,
  )
}

function cloned(what: string): Reason {
  return { code: 'identity-cloned', message: `${what}: two machines share one identity` }
}

/** What ended before is of no use to anybody: not to connect with, not to be renewed. */
export function prunableBeforeMs({ graceMs }: IdentityPolicy, nowMs: number): number {
  return nowMs - graceMs - CLOCK_SKEW_MS
}

/** As of when the denylist is read: an identity stays on it until it has ended, and a while longer. */
export function deniedSinceMs(nowMs: number): number {
  return nowMs - CLOCK_SKEW_MS
}
