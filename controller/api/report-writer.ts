// Reports are committed in groups, because a durable commit costs a disk flush and a fleet reports
// all at once. An agent is answered only after the commit that holds its report.

import type { Clock } from '../../shared/clock.ts'
import type { ReportRecord, Store } from '../store/store.ts'

export interface ReportWriter {
  /** False: a report with this or a higher sequence was there already. Rejects when it is not stored. */
  put(record: ReportRecord): Promise<boolean>
}

// Long enough to gather a crowd, short enough for one agent not to notice.
const GATHER_MS = 20
// A longer transaction would keep rollouts and polls waiting.
const GROUP_SIZE_MAX = 256

interface Waiting {
  readonly record: ReportRecord
  readonly resolve: (stored: boolean) => void
  readonly reject: (error: unknown) => void
}

export function createReportWriter({
  store,
  clock,
}: {
  readonly store: Store
  readonly clock: Clock
}): ReportWriter {
  let queue: Waiting[] = []
  let running = false

  async function drain(): Promise<void> {
    running = true
    while (queue.length > 0) {
      await clock.sleep(GATHER_MS)
      const group = queue.slice(0, GROUP_SIZE_MAX)
      queue = queue.slice(GROUP_SIZE_MAX)
      await commit(store, group)
    }
    running = false
  }

  return {
    put(record) {
      const { promise, resolve, reject } = Promise.withResolvers<boolean>()
      queue.push({ record, resolve, reject })
      // Never rejects: every failure goes to those who wait.
      if (!running) void drain()
      return promise
    },
  }
}

async function commit(store: Store, group: readonly Waiting[]): Promise<void> {
  try {
    const stored = await store.transaction(async tx => {
      const results: boolean[] = []
      for (const { record } of group) results.push(await putIfNodeIsThere(tx, record))
      return results
    })
    for (const [index, { resolve }] of group.entries()) resolve(stored[index] ?? false)
  } catch (error) {
    for (const { reject } of group) reject(error)
  }
}

// A node that was removed while its report was on the way must not spoil the group.
async function putIfNodeIsThere(
  tx: Parameters<Parameters<Store['transaction']>[0]>[0],
  record: ReportRecord,
): Promise<boolean> {
  return (await tx.nodes.get(record.node)) !== undefined && (await tx.reports.put(record))
}
