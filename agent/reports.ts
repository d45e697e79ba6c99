// Numbers reports and keeps the last one: what a new process says is news only when it differs from
// what the one before it said.

import { type Report, type ServiceReport, parseReport } from '../shared/contract/report.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { bundleFingerprints } from '../shared/pki/trust.ts'
import { issuerOf } from './controller-roots.ts'
import type { Accepted } from './desired.ts'
import type { Host } from './host.ts'
import { identityFingerprint } from './identity.ts'
import type { Keeper } from './keeper.ts'
import type { Reporter } from './poll.ts'
import type { Reconciler } from './reconciler.ts'
import type { Identity } from './remote.ts'
import { reportDigest } from './report.ts'
import { stateFile } from './state-file.ts'

export interface Reports {
  tell(
    keeper: Keeper,
    services: readonly ServiceReport[],
    known: {
      readonly identity: Identity
      readonly controllerNowMs: number | undefined
      /** Told under a new number although it may say nothing new: a lease ends with it. */
      readonly isOwed: boolean
    },
  ): Promise<void>
  /** Number of the last report, sent or not; 0 before the first. */
  sequence(): number
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
  const sequence = () => Math.max(reconciler.ledger().reportSequence, last?.sequence ?? 0)
  const nextSequence = () => Math.max(sequence() + 1, Math.floor(host.clock.now() / 1000))

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
    sequence,
    async tell(keeper, services, { identity, controllerNowMs, isOwed }) {
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
        identity: identityReport(identity),
      }
      if (isOwed || last === undefined || reportDigest(last) !== reportDigest(next)) {
        await keep(next, controllerNowMs)
        last = next
      }
      // Also when it is no news: an earlier process may not have been able to send it.
      if (isOwed) reporter.offer(last, 'owed')
      else reporter.offer(last)
    },
  }
}

function identityReport(identity: Identity): Report['identity'] {
  const issuer = issuerOf(identity)
  return {
    fingerprint: identityFingerprint(identity),
    ...(issuer === undefined ? {} : { issuer }),
    trust: [...bundleFingerprints(identity.identityTrust)],
  }
}

function observed(accepted: Accepted | undefined) {
  if (accepted === undefined) return {}
  const { generation, digest, mode } = accepted.latest
  return { observedGeneration: generation, observedDigest: digest, mode }
}
