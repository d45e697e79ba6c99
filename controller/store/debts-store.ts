// What nodes owe to their clusters: see shared/contract/debts.ts. Kept when the node is removed, because
// its clusters stay; nothing here is ever forgotten by time.

import type { ClusterKind } from '../../shared/contract/cluster-view.ts'

export interface DebtRecord {
  readonly debtId: string
  readonly node: string
  readonly service: ClusterKind
  /** Groups of the node when it said so: their members may pay. */
  readonly groups: readonly string[]
  readonly sinceMs: number
  /** On the controller's own clock. */
  readonly sinceTimeMs: number
}

export interface Debts {
  /** One that is known already stays as it is. */
  owe(debt: DebtRecord): Promise<void>
  /** False: there is no such debt. */
  settle(debtId: string): Promise<boolean>
  get(debtId: string): Promise<DebtRecord | undefined>
  /** By time and id; a fleet at rest has none. */
  all(): Promise<readonly DebtRecord[]>
}
