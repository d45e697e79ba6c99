// The reconciler as the loop, the command line and tests see it.

import type { Mode } from '../shared/contract/desired-state.ts'
import type { Debt, DebtNews } from '../shared/contract/debts.ts'
import type { PlannedService } from '../shared/contract/planned.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import type { Logger } from '../shared/log.ts'
import type { Limits } from './allowed.ts'
import type { Host } from './host.ts'
import type { FetchProvided, LocalIssuers, SignInternal } from './issuers.ts'
import type { Ledger } from './ledger.ts'
import type { ActionablePlan } from './plan.ts'
import type { AskAct, SectionPermit } from './section.ts'
import type { Registry } from './services/registry.ts'
import type { SnapshotPolicies } from './snapshot-policy.ts'

export interface ReconcilerOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly issuers: LocalIssuers
  readonly log: Logger
  /** Drivers other than the usual ones, for tests. */
  readonly registry?: Registry
  readonly askAct?: AskAct | undefined
  /** What saves services before they are stopped with those of other nodes, and the name of this one. */
  readonly snapshots?:
    | { readonly policies: SnapshotPolicies; readonly node: () => string }
    | undefined
  /** Tells the controller what this node owes to its clusters; undefined: there is none. */
  readonly tellDebts?: ((news: DebtNews) => Promise<void>) | undefined
  /** The agent is to end: what can be waited for later is not waited for. */
  readonly signal?: AbortSignal | undefined
  /** Called with the name of each durable step; tests end the process there. */
  readonly onStep?: (step: string) => void
}

export interface PassInput {
  readonly services: readonly ServiceTls[]
  readonly mode: Mode
  readonly signInternal: SignInternal | undefined
  readonly fetchProvided?: FetchProvided | undefined
  /** See ApplyTools.claim. */
  readonly claim: (plan: ActionablePlan) => Promise<Reason | undefined>
  readonly signal: AbortSignal
  /** What this node's own configuration lets the agent do; everything when absent. */
  readonly limits?: Limits
  /** Services that get a new key and certificate whether or not they are due. */
  readonly renew?: readonly ServiceName[]
  /** Another content is being prepared: keys that wait for its certificates are not left-overs. */
  readonly isSucceeded?: boolean
  /** What the rollout was planned with: what is not that any more is refused before anything is touched. */
  readonly planned?: readonly PlannedService[] | undefined
  /** Services that the nodes of a group change at once. */
  readonly together?: ReadonlyMap<ServiceName, SectionPermit> | undefined
  /** What they would otherwise change at once may be changed by this node alone. */
  readonly isAlone?: boolean
}

export interface Reconciler {
  /** The ledger as it is now; kept in memory, written when it changes. */
  readonly ledger: () => Ledger
  updateLedger(change: (ledger: Ledger) => Ledger): Promise<void>
  /** Finishes or undoes what a crash or a stop left in the journal. `services`: the newest desired ones. */
  resume(services: readonly ServiceTls[]): Promise<Reason | undefined>
  pass(input: PassInput): Promise<readonly ServiceReport[]>
  /** Plans without touching anything: audit, previews, `plan`. */
  plan(services: readonly ServiceTls[]): Promise<readonly ServiceReport[]>
  /** Pays what other members of a cluster cannot: see Absences. */
  settleOthers(services: readonly ServiceTls[], debts: readonly Debt[]): Promise<void>
  /** Files whose change should wake the loop. */
  watched(): readonly string[]
}
