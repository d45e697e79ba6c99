// Who has been heard of lately: a version is shown for as long as its announcement has not expired.

import type { Announcement } from './wire.ts'

export interface Announcements {
  add(announcements: readonly Announcement[], nowMs: number): void
  /** Not expired, with their age. */
  known(nowMs: number): readonly Announcement[]
  of(kind: Announcement['kind'], addr: string, nowMs: number): Announcement | undefined
}

export function createAnnouncements(expirationMs: number): Announcements {
  const heard = new Map<string, { readonly announcement: Announcement; readonly atMs: number }>()
  const known = (nowMs: number) =>
    [...heard.values()]
      .map(({ announcement, atMs }) => ({ ...announcement, ageMs: nowMs - atMs }))
      .filter(({ ageMs }) => ageMs < expirationMs)
  return {
    add: (announcements, nowMs) => {
      for (const announcement of announcements) {
        const key = `${announcement.kind} ${announcement.addr}`
        const atMs = nowMs - announcement.ageMs
        const before = heard.get(key)
        if (before === undefined || before.atMs <= atMs) heard.set(key, { announcement, atMs })
      }
    },
    known,
    of: (kind, addr, nowMs) =>
      known(nowMs).find(found => found.kind === kind && found.addr === addr),
  }
}
