// What the store has come to since it was looked at last: as little as the checks need, because they look
// after every event.

import type { Rollout, RolloutEvent } from '../../../controller/rollout/rollout.ts'
import { startRollout } from '../../../controller/rollout/evolve.ts'
import type { LeaseRecord, Store, Transaction } from '../../../controller/store/store.ts'

export interface Told {
  /** Those with new events, and these. */
  readonly changed: readonly {
    readonly rollout: Pick<Rollout, 'id' | 'plan'>
    /** The state after its first event. */
    readonly start: (first: RolloutEvent) => Rollout
    readonly events: readonly RolloutEvent[]
  }[]
  readonly leases: ReadonlyMap<string, LeaseRecord>
  /** Of the one who reports, and of those who were judged by what they reported. */
  readonly reports: readonly { readonly node: string; readonly sequence: number }[]
  readonly frozen: (node: string) => boolean
  /** Of the controllers' own clock. */
  readonly timeMs: number
}

/** As many as can begin and end between two looks. */
const RECENT = 4
const EVENTS_MAX = 1_000

export function readSince(
  store: Store,
  known: ReadonlyMap<string, Rollout>,
  reporter?: string,
): Promise<Told> {
  return store.transaction(async tx => {
    const changed = []
    for (const rollout of await candidates(tx, known)) {
      const { id, plan, version } = rollout
      const after = known.get(id)?.version ?? 0
      if (version <= after) continue
      const stored = await tx.rollouts.events(id, { after, limit: EVENTS_MAX })
      changed.push({
        rollout: { id, plan },
        start: (first: RolloutEvent) => startRollout(id, plan, first),
        events: stored.map(({ event }) => event),
      })
    }
    const reporters = new Set(reporter === undefined ? [] : [reporter])
    for (const { events } of changed)
      for (const event of events) if ('node' in event) reporters.add(event.node)
    const reports = []
    for (const node of reporters) {
      const stored = await tx.reports.get(node)
      if (stored !== undefined) reports.push({ node, sequence: stored.report.sequence })
    }
    const leases = await tx.leases.all()
    const freezes = await tx.freezes.list()
    return {
      changed,
      leases: new Map(leases.map(lease => [`${lease.group}/${lease.node}`, lease])),
      reports,
      frozen: node =>
        freezes.some(({ scope }) => scope === 'all' || scope.names?.includes(node) === true),
      timeMs: (await tx.controllerTime.get()).timeMs,
    }
  })
}

async function candidates(
  tx: Transaction,
  known: ReadonlyMap<string, Rollout>,
): Promise<readonly Rollout[]> {
  const found = new Map((await tx.rollouts.list({ limit: RECENT })).map(one => [one.id, one]))
  for (const { id, endedAtMs } of known.values()) {
    if (endedAtMs !== undefined || found.has(id)) continue
    const rollout = await tx.rollouts.get(id)
    if (rollout !== undefined) found.set(id, rollout)
  }
  return [...found.values()].toReversed()
}
