// Reports are committed in groups, because a durable commit costs a disk flush and a fleet reports
// all at once. An agent is answered only after the commit that holds its report.

import type { Clock } from '../../shared/clock.ts'
import type { ReportRecord, Store, Transaction } from '../store/store.ts'

export interface ReportWriter {
  /** False: a report with this or a higher sequence was there already. Rejects when it is not stored. */
  put(record: ReportRecord): Promise<boolean>
}

/** In the transaction of the report. True: somebody waits for what it says. */
export type NoteReport = (tx: Transaction, record: ReportRecord) => Promise<boolean>

export interface ReportWriterOptions {
  readonly store: Store
  readonly clock: Clock
  readonly note?: NoteReport
  /** After the commit. */
  readonly onNews?: () => void
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

export function createReportWriter(options: ReportWriterOptions): ReportWriter {
  const { clock } = options
  let queue: Waiting[] = []
  let running = false

  async function drain(): Promise<void> {
    running = true
    while (queue.length > 0) {
      await clock.sleep(GATHER_MS)
      const group = queue.slice(0, GROUP_SIZE_MAX)
      queue = queue.slice(GROUP_SIZE_MAX)
      await commit(options, group)
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

async function commit(
  { store, note, onNews }: ReportWriterOptions,
  group: readonly Waiting[],
): Promise<void> {
  try {
    const { stored, isNews } = await store.transaction(async tx => {
      const results: boolean[] = []
      let hasNews = false
      for (const { record } of group) {
        const isStored = await putIfNodeIsThere(tx, record)
        results.push(isStored)
        if (isStored && (await note?.(tx, record)) === true) hasNews = true
      }
      return { stored: results, isNews: hasNews }
    })
    if (isNews) onNews?.()
    for (const [index, { resolve }] of group.entries()) resolve(stored[index] ?? false)
  } catch (error) {
    for (const { reject } of group) reject(error)
  }
}

// A node that was removed while its report was on the way must not spoil the group.
async function putIfNodeIsThere(tx: Transaction, record: ReportRecord): Promise<boolean> {
  return (await tx.nodes.get(record.node)) !== undefined && (await tx.reports.put(record))
}
