// Notifications: what holds and was told, so that it is told once, and what is still to be delivered.

import type { Reason } from '../../shared/contract/schema.ts'

/** The closed set of what a webhook can be told of. */
export const NOTIFICATION_EVENTS = ['expiry', 'rollout', 'drift', 'rotation'] as const
export type NotificationEvent = (typeof NOTIFICATION_EVENTS)[number]

/** Something that holds of a subject. Told once for each subject and state. */
export interface Condition {
  readonly event: NotificationEvent
  /** A node, a service of it, a rollout, a rotation, a CA. */
  readonly subject: string
  readonly state: string
  readonly reason: Reason
}

export interface ConditionRecord extends Condition {
  readonly sinceMs: number
  /** False: it was noted where it happened, and is in no outbox yet. */
  readonly isTold: boolean
}

export interface OutboxRecord {
  readonly sequence: number
  /** Name of the webhook. */
  readonly webhook: string
  /** JSON, as it is sent. */
  readonly body: string
  readonly createdAtMs: number
}

export interface Notifications {
  /** One that is there already stays as it is. */
  note(condition: ConditionRecord): Promise<void>
  /** By event, subject and state, ascending. */
  conditions(): Promise<readonly ConditionRecord[]>
  setTold(condition: Condition): Promise<void>
  forget(condition: Pick<Condition, 'event' | 'subject' | 'state'>): Promise<void>
  enqueue(entry: Omit<OutboxRecord, 'sequence'>): Promise<void>
  /** Oldest first. */
  outbox(webhook: string, limit: number): Promise<readonly OutboxRecord[]>
  /** How many are to be delivered, by webhook. */
  pending(): Promise<ReadonlyMap<string, number>>
  remove(sequence: number): Promise<void>
  /** Leaves the newest `keep` of the webhook. Gives how many were dropped. */
  trim(webhook: string, keep: number): Promise<number>
}
