// What rollouts need of the store: less than it has, so that a simulation can bring its own.

import type { Nodes, Reports, Revisions, Rollouts, Transaction } from '../store/store.ts'

export interface RolloutTransaction
  extends Pick<Transaction, 'leases' | 'controllerTime' | 'freezes'> {
  readonly previews: Pick<Transaction['previews'], 'put' | 'get'>
  readonly rollouts: Pick<
    Rollouts,
    'insert' | 'get' | 'active' | 'append' | 'members' | 'membersNamed' | 'changedSince' | 'events'
  >
  readonly desired: Pick<
    Transaction['desired'],
    'get' | 'put' | 'published' | 'epoch' | 'revisions'
  >
  readonly nodes: Pick<Nodes, 'get' | 'list' | 'changedSince'>
  readonly reports: Pick<Reports, 'get'>
  readonly revisions: Pick<Revisions, 'latest' | 'get'>
  readonly audit: Pick<Transaction['audit'], 'append'>
}

export interface RolloutStore {
  transaction<T>(work: (tx: RolloutTransaction) => Promise<T>): Promise<T>
}
