// Tells webhooks. What is to be told goes into the outbox in the transaction that writes it down as
// told, and leaves it when the receiver has said so: nothing is lost over a restart, and what was
// delivered without our hearing of it comes again under the same id.

import { backoffMs } from '../../shared/backoff.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { NoteReport } from '../api/report-writer.ts'
import type { Measures } from '../metrics/measures.ts'
import type { Snapshots } from '../metrics/snapshot.ts'
import type { NotificationEvent, OutboxRecord } from '../store/notifications-store.ts'
import type { Store, Transaction } from '../store/store.ts'
import { conditionsIn, differenceOf, driftIn } from './conditions.ts'
import { noticesOf } from './notices.ts'
import { type Delivery, type Receiver, send } from './send.ts'

export interface Webhook extends Receiver {
  readonly events: readonly NotificationEvent[]
}

export interface NotifierOptions {
  readonly webhooks: readonly Webhook[]
  readonly fleet: string
  readonly store: Store
  readonly snapshots: Snapshots
  readonly measures: Measures
  readonly clock: Clock
  readonly log: Logger
  readonly newId: () => string
  readonly random: () => number
  readonly signal: AbortSignal
}

export interface Notifier {
  readonly note: NoteReport
  /** Looks at the fleet, and writes down what is to be told. */
  look(): Promise<void>
  /** Delivers what is due; returns when nothing more is due now. */
  deliver(): Promise<void>
}

/** Of one webhook: what is older than these was not read for days. */
export const OUTBOX_MAX = 1_000
const AGE_MS_MAX = 3 * 86_400_000
const RETRY = { baseMs: 5_000, maxMs: 600_000 }
const AT_ONCE = 20
// A look reads the whole fleet; scrapers share it.
const LOOK_AGE_MS = 60_000

export function createNotifier(options: NotifierOptions): Notifier {
  const { webhooks, store, clock } = options
  const isDriftWanted = webhooks.some(({ events }) => events.includes('drift'))
  const attempts = new Map<string, { failures: number; dueAtMs: number }>()

  async function deliverTo(webhook: Webhook): Promise<void> {
    const standing = attempts.get(webhook.name)
    if (standing !== undefined && clock.monotonic() < standing.dueAtMs) return
    for (;;) {
      const waiting = await store.transaction(tx => tx.notifications.outbox(webhook.name, AT_ONCE))
      if (waiting.length === 0) return
      for (const entry of waiting) {
        if (options.signal.aborted || !(await deliverOne(webhook, entry))) return
      }
    }
  }

  // One after the other, and in order: a receiver that is down is asked with one of them.
  async function deliverOne(webhook: Webhook, entry: OutboxRecord): Promise<boolean> {
    const nowMs = clock.now()
    const isOld = nowMs - entry.createdAtMs > AGE_MS_MAX
    const delivery: Delivery = isOld
      ? { kind: 'refused', why: 'could not be delivered for three days' }
      : await send(webhook, noticeIn(entry), { nowMs, signal: options.signal })
    // A controller that closes has hung up itself.
    if (options.signal.aborted && delivery.kind === 'failed') return false
    options.measures.deliveries.add({ webhook: webhook.name, outcome: delivery.kind })
    if (delivery.kind !== 'failed') {
      if (delivery.kind === 'refused') lost(options, webhook, 1, delivery.why)
      await store.transaction(tx => tx.notifications.remove(entry.sequence))
      attempts.delete(webhook.name)
      return true
    }
    const failures = attempts.get(webhook.name)?.failures ?? 0
    const delayMs = backoffMs({ attempt: failures, ...RETRY, random: options.random })
    attempts.set(webhook.name, { failures: failures + 1, dueAtMs: clock.monotonic() + delayMs })
    const line = { webhook: webhook.name, why: delivery.why, failures: failures + 1 }
    options.log[failures % 20 === 0 ? 'warn' : 'debug'](line, 'webhook could not be told')
    return false
  }

  return {
    async note(tx, { node, report, receivedAtMs }) {
      if (!isDriftWanted) return false
      for (const condition of driftIn(node, report))
        await tx.notifications.note({ ...condition, sinceMs: receivedAtMs, isTold: false })
      return false
    },
    look: () => look(options),
    async deliver() {
      await Promise.all(webhooks.map(deliverTo))
    },
  }
}

async function look(options: NotifierOptions): Promise<void> {
  const { webhooks, store, snapshots, clock, fleet, newId } = options
  if (webhooks.length === 0) return
  const current = conditionsIn(await snapshots.read(LOOK_AGE_MS))
  const dropped = await store.transaction(async tx => {
    const nowMs = clock.now()
    const told = await tx.notifications.conditions()
    const { begun, over, news } = differenceOf(current, told, nowMs)
    await forgetOthers(tx, webhooks)
    if (begun.length === 0 && over.length === 0) return []
    for (const condition of over) await tx.notifications.forget(condition)
    for (const condition of begun) {
      await tx.notifications.note({ ...condition, sinceMs: nowMs, isTold: true })
      await tx.notifications.setTold(condition)
    }
    const counts: { readonly webhook: Webhook; readonly count: number }[] = []
    const notices = noticesOf(news, { fleet, atMs: nowMs, newId })
    for (const webhook of webhooks) {
      for (const notice of notices.filter(({ event }) => webhook.events.includes(event))) {
        const body = JSON.stringify(notice)
        await tx.notifications.enqueue({ webhook: webhook.name, body, createdAtMs: nowMs })
      }
      const count = await tx.notifications.trim(webhook.name, OUTBOX_MAX)
      if (count > 0) counts.push({ webhook, count })
    }
    return counts
  })
  for (const { webhook, count } of dropped) {
    options.measures.deliveries.add({ webhook: webhook.name, outcome: 'dropped' }, count)
    lost(options, webhook, count, `more than ${OUTBOX_MAX} wait for it`)
  }
}

// Nobody will deliver what waits for a webhook that is configured no more.
async function forgetOthers(tx: Transaction, webhooks: readonly Webhook[]): Promise<void> {
  for (const name of (await tx.notifications.pending()).keys())
    if (!webhooks.some(webhook => webhook.name === name)) await tx.notifications.trim(name, 0)
}

function lost({ log }: NotifierOptions, { name }: Webhook, count: number, why: string): void {
  log.error({ webhook: name, count, why }, 'notifications were given up')
}

function noticeIn({ body }: OutboxRecord): { readonly id: string; readonly body: string } {
  const notice: unknown = JSON.parse(body)
  const isObject = typeof notice === 'object' && notice !== null
  return { id: isObject && 'id' in notice ? String(notice.id) : '', body }
}
