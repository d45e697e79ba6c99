// Numbers reports and keeps the last one: what a new process says is news only when it differs from
// what the one before it said.

import { type Report, type ServiceReport, parseReport } from '../shared/contract/report.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Accepted } from './desired.ts'
import type { Host } from './host.ts'
import type { Keeper } from './keeper.ts'
import type { Reporter } from './poll.ts'
import type { Reconciler } from './reconcile.ts'
import { reportDigest } from './report.ts'
import { stateFile } from './state-file.ts'

export interface Reports {
  tell(
    keeper: Keeper,
    services: readonly ServiceReport[],
    controllerNowMs: number | undefined,
  ): Promise<void>
}

export async function createReports(
  options: {
    readonly host: Host
    readonly stateDirectory: string
    readonly agentVersion: string
    readonly facts: Readonly<Record<string, string>>
    readonly log: Logger
  },
  reconciler: Reconciler,
  reporter: Reporter,
): Promise<Reports> {
  const { host, stateDirectory, agentVersion, facts, log } = options
  const store = stateFile<Report>(host.files, `${stateDirectory}/report.json`, parseReport)
  let last = (await store.read()).value

  // The controller ignores numbers that it has seen. The clock makes them rise also where all that
  // this node remembered is lost, or could not be written.
  function nextSequence(): number {
    const before = Math.max(reconciler.ledger().reportSequence, last?.sequence ?? 0)
    return Math.max(before + 1, Math.floor(host.clock.now() / 1000))
  }

  async function keep(report: Report, controllerNowMs: number | undefined): Promise<void> {
    try {
      await reconciler.updateLedger(old => ({
        ...old,
        reportSequence: report.sequence,
        // A floor for this node's clock: only a time that the controller vouched for.
        lastSeenMs: Math.max(old.lastSeenMs, controllerNowMs ?? 0),
      }))
      await store.write(report)
    } catch (error) {
      // Of all reports, the one about a full disk must not be kept back by it.
      if (!(error instanceof OperationalError)) throw error
      log.warn({ code: error.code, error: describeError(error) }, 'report could not be kept')
    }
  }

  return {
    async tell(keeper, services, controllerNowMs) {
      const problem = keeper.problem()
      const refusedGeneration = keeper.refusedGeneration()
      const next: Report = {
        sequence: nextSequence(),
        atMs: host.clock.now(),
        agentVersion,
        ...observed(keeper.accepted()),
        services: [...services],
        ...(refusedGeneration === undefined ? {} : { refusedGeneration }),
        ...(problem === undefined ? {} : { problem }),
        facts: { ...facts },
      }
      if (last === undefined || reportDigest(last) !== reportDigest(next)) {
        await keep(next, controllerNowMs)
        last = next
      }
      // Also when it is no news: an earlier process may not have been able to send it.
      reporter.offer(last)
    },
  }
}

function observed(accepted: Accepted | undefined) {
  if (accepted === undefined) return {}
  const { generation, digest, mode } = accepted.latest
  return { observedGeneration: generation, observedDigest: digest, mode }
}
