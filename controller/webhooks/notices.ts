// What is sent. Everything of one kind that became known together is one notice: the end of a CA is
// one message and not one for each certificate below it.

import type { Reason } from '../../shared/contract/schema.ts'
import type { NotificationEvent } from '../store/notifications-store.ts'
import type { News } from './conditions.ts'

export interface Notice {
  /** The same in every attempt and for every webhook: a receiver drops what it has seen. */
  readonly id: string
  readonly fleet: string
  readonly atMs: number
  readonly event: NotificationEvent
  readonly status: 'firing' | 'resolved'
  readonly state: string
  /** Of the first subject. */
  readonly reason: Reason
  readonly count: number
  /** The first of them. */
  readonly subjects: readonly string[]
}

const SUBJECTS_MAX = 50

export function noticesOf(
  news: readonly News[],
  made: { readonly fleet: string; readonly atMs: number; readonly newId: () => string },
): readonly Notice[] {
  const groups = new Map<string, News[]>()
  for (const one of news) {
    const { event, state, reason } = one.condition
    const key = [one.status, event, state, reason.code].join('\0')
    const group = groups.get(key) ?? []
    group.push(one)
    groups.set(key, group)
  }
  const { fleet, atMs, newId } = made
  return [...groups.values()].flatMap(group => {
    const [first] = group
    if (first === undefined) return []
    const { event, state, reason } = first.condition
    const subjects = group.map(({ condition }) => condition.subject)
    return [
      {
        id: newId(),
        fleet,
        atMs,
        event,
        status: first.status,
        state,
        reason,
        count: subjects.length,
        subjects: subjects.slice(0, SUBJECTS_MAX),
      },
    ]
  })
}
