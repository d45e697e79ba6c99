// Conditions that were told, and the outbox of webhooks.

import type { Kysely, Selectable } from 'kysely'
import { parseReasonColumn, readWord } from '../json-column.ts'
import {
  type Condition,
  type ConditionRecord,
  NOTIFICATION_EVENTS,
  type Notifications,
  type OutboxRecord,
} from '../notifications-store.ts'
import type { Schema } from '../schema.ts'

type Key = Pick<Condition, 'event' | 'subject' | 'state'>

export function notificationsTable(db: Kysely<Schema>): Notifications {
  return {
    async note({ event, subject, state, reason, sinceMs, isTold }) {
      await db
        .insertInto('notification_conditions')
        .values({
          event,
          subject,
          state,
          reason_json: JSON.stringify(reason),
          since_ms: sinceMs,
          is_told: isTold ? 1 : 0,
        })
        .onConflict(conflict => conflict.columns(['event', 'subject', 'state']).doNothing())
        .execute()
    },
    async conditions() {
      const rows = await db
        .selectFrom('notification_conditions')
        .selectAll()
        .orderBy('event')
        .orderBy('subject')
        .orderBy('state')
        .execute()
      return rows.map(toCondition)
    },
    async setTold({ event, subject, state }: Key) {
      await db
        .updateTable('notification_conditions')
        .set({ is_told: 1 })
        .where('event', '=', event)
        .where('subject', '=', subject)
        .where('state', '=', state)
        .execute()
    },
    async forget({ event, subject, state }) {
      await db
        .deleteFrom('notification_conditions')
        .where('event', '=', event)
        .where('subject', '=', subject)
        .where('state', '=', state)
        .execute()
    },
    ...outboxOf(db),
  }
}

function outboxOf(
  db: Kysely<Schema>,
): Pick<Notifications, 'enqueue' | 'outbox' | 'pending' | 'remove' | 'trim'> {
  return {
    async enqueue({ webhook, body, createdAtMs }) {
      await db
        .insertInto('notification_outbox')
        .values({ webhook, body, created_at_ms: createdAtMs })
        .execute()
    },
    async outbox(webhook, limit) {
      const rows = await db
        .selectFrom('notification_outbox')
        .selectAll()
        .where('webhook', '=', webhook)
        .orderBy('sequence')
        .limit(limit)
        .execute()
      return rows.map(toOutbox)
    },
    async pending() {
      const rows = await db
        .selectFrom('notification_outbox')
        .select(({ fn }) => ['webhook', fn.countAll<number>().as('count')])
        .groupBy('webhook')
        .orderBy('webhook')
        .execute()
      return new Map(rows.map(({ webhook, count }) => [webhook, count]))
    },
    async remove(sequence) {
      await db.deleteFrom('notification_outbox').where('sequence', '=', sequence).execute()
    },
    async trim(webhook, keep) {
      // The newest of those that go.
      const last = await db
        .selectFrom('notification_outbox')
        .select('sequence')
        .where('webhook', '=', webhook)
        .orderBy('sequence', 'desc')
        .offset(keep)
        .limit(1)
        .executeTakeFirst()
      if (last === undefined) return 0
      const { numDeletedRows } = await db
        .deleteFrom('notification_outbox')
        .where('webhook', '=', webhook)
        .where('sequence', '<=', last.sequence)
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}

function toCondition(row: Selectable<Schema['notification_conditions']>): ConditionRecord {
  return {
    event: readWord('the event of a notification', row.event, NOTIFICATION_EVENTS),
    subject: row.subject,
    state: row.state,
    reason: parseReasonColumn(row.reason_json),
    sinceMs: row.since_ms,
    isTold: row.is_told === 1,
  }
}

function toOutbox(row: Selectable<Schema['notification_outbox']>): OutboxRecord {
  return {
    sequence: row.sequence,
    webhook: row.webhook,
    body: row.body,
    createdAtMs: row.created_at_ms,
  }
}
