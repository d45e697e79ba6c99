// Numbers reports and keeps the last one: what a new process says is news only when it differs from
// what the one before it said.

import { type Report, type ServiceReport, parseReport } from '../shared/contract/report.ts'
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
  },
  reconciler: Reconciler,
  reporter: Reporter,
): Promise<Reports> {
  const { host, stateDirectory, agentVersion, facts } = options
  const store = stateFile<Report>(host.files, `${stateDirectory}/report.json`, parseReport)
  let last = (await store.read()).value
  return {
    async tell(keeper, services, controllerNowMs) {
      const { reportSequence } = reconciler.ledger()
      // A ledger that was lost starts where no earlier one can have come to.
      const sequence =
        reportSequence === 0 ? Math.max(1, Math.floor(host.clock.now() / 1000)) : reportSequence + 1
      const problem = keeper.problem()
      const refusedGeneration = keeper.refusedGeneration()
      const next: Report = {
        sequence,
        atMs: host.clock.now(),
        agentVersion,
        ...observed(keeper.accepted()),
        services: [...services],
        ...(refusedGeneration === undefined ? {} : { refusedGeneration }),
        ...(problem === undefined ? {} : { problem }),
        facts: { ...facts },
      }
      if (last === undefined || reportDigest(last) !== reportDigest(next)) {
        await reconciler.updateLedger(old => ({
          ...old,
          reportSequence: sequence,
          // A floor for this node's clock: only a time that the controller vouched for.
          lastSeenMs: Math.max(old.lastSeenMs, controllerNowMs ?? 0),
        }))
        await store.write(next)
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
