// Tells those who watch what has changed. Each of them has the set of ids that it was not told yet:
// however much happens while it is busy, it is told once, and what does not fit is told as "all".

import type { Clock } from '../../shared/clock.ts'
import type { WatchResource } from '../../shared/contract/watch.ts'
import type { Change } from '../store/changes-store.ts'

export interface ChangeFeed {
  publish(changes: readonly Change[]): void
  subscribe(resources: readonly WatchResource[]): FeedSubscription
  /** How many watch now. Who works for them alone need not while there is nobody. */
  watchers(): number
}

export interface FeedSubscription {
  /** True: there is something to take. False: the time is over, or the signal aborted. */
  wait(delayMs: number, signal: AbortSignal): Promise<boolean>
  /** What has changed since the last call, and nothing twice. */
  take(): Pending
  end(): void
}

export interface Pending {
  /** A credential was withdrawn: it may have been the one of this watcher. */
  readonly isToBeJudged: boolean
  readonly changes: readonly {
    readonly resource: WatchResource
    /** In order; undefined: more than can be named. */
    readonly ids: readonly string[] | undefined
  }[]
}

/** Whoever is told of more reads the list anew, which costs less than so many single ones. */
const IDS_MAX = 500

export function createChangeFeed(clock: Pick<Clock, 'sleep'>): ChangeFeed {
  const watchers = new Set<Watcher>()
  return {
    watchers: () => watchers.size,
    publish(changes) {
      for (const watcher of watchers) for (const change of changes) watcher.note(change)
    },
    subscribe(resources) {
      const watcher = createWatcher(clock, new Set(resources))
      watchers.add(watcher)
      return { ...watcher, end: () => watchers.delete(watcher) }
    },
  }
}

// What has no record of its own is worked out of others: whoever watches it reads it anew.
const FOLLOWING: readonly {
  readonly resource: WatchResource
  readonly from: readonly Change['resource'][]
}[] = [
  { resource: 'groups', from: ['nodes', 'leases', 'revisions'] },
  { resource: 'certificates', from: ['nodes', 'authorities'] },
]

interface Watcher extends Omit<FeedSubscription, 'end'> {
  note(change: Change): void
}

function createWatcher(
  clock: Pick<Clock, 'sleep'>,
  resources: ReadonlySet<WatchResource>,
): Watcher {
  let pending = new Map<WatchResource, Set<string> | 'all'>()
  let isToBeJudged = false
  let waker = new AbortController()
  const hasNews = () => isToBeJudged || pending.size > 0

  return {
    note({ resource, id }) {
      const following = FOLLOWING.filter(
        one => one.from.includes(resource) && resources.has(one.resource),
      )
      if (resource === 'credentials') isToBeJudged = true
      else if (resources.has(resource)) addTo(pending, resource, id)
      else if (following.length === 0) return
      for (const one of following) pending.set(one.resource, 'all')
      waker.abort()
    },
    async wait(delayMs, signal) {
      if (!hasNews()) {
        waker = new AbortController()
        await clock.sleep(delayMs, AbortSignal.any([signal, waker.signal]))
      }
      return hasNews() && !signal.aborted
    },
    take() {
      const taken = {
        isToBeJudged,
        changes: [...pending].map(([resource, ids]) => ({
          resource,
          ids: ids === 'all' ? undefined : [...ids].toSorted(),
        })),
      }
      pending = new Map()
      isToBeJudged = false
      return taken
    },
  }
}

function addTo(
  pending: Map<WatchResource, Set<string> | 'all'>,
  resource: WatchResource,
  id: string | undefined,
): void {
  const ids = pending.get(resource) ?? new Set<string>()
  if (ids === 'all') return
  // The audit log only grows: that it did is all there is to say.
  if (resource === 'audit') pending.set(resource, ids)
  else if (id === undefined || (ids.size >= IDS_MAX && !ids.has(id))) pending.set(resource, 'all')
  else pending.set(resource, ids.add(id))
}
