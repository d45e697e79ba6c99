// What this node owes to its clusters, and what is paid but not yet known to the controller.

import * as z from 'zod/mini'
import { ClusterHealth } from '../shared/contract/cluster-view.ts'
import { Debt, DEBTS_MAX } from '../shared/contract/debts.ts'
import { parser } from '../shared/contract/schema.ts'
import type { Files } from './host.ts'
import { stateFile } from './state-file.ts'

const OwnDebt = z.strictObject({
  ...Debt.shape,
  /** The cluster as it was: what is waited for afterwards. */
  before: z.strictObject({ size: z.int(), health: ClusterHealth }),
})
export type OwnDebt = Readonly<z.infer<typeof OwnDebt>>

const Document = z.strictObject({
  version: z.literal(1),
  owed: z.array(OwnDebt),
  /** Ids, also of debts of others. */
  settled: z.array(z.string()),
})

export interface DebtFile {
  isEmpty(): boolean
  owed(): readonly OwnDebt[]
  settledIds(): readonly string[]
  /** On disk when it returns. */
  owe(debt: OwnDebt): Promise<void>
  settled(debtId: string): Promise<void>
  /** The controller knows. */
  forgetSettled(): Promise<void>
}

export async function openDebtFile(files: Files, stateDirectory: string): Promise<DebtFile> {
  const store = stateFile(files, `${stateDirectory}/debts.json`, parser('debts', Document))
  let document = (await store.read()).value ?? { version: 1 as const, owed: [], settled: [] }
  async function write(next: typeof document): Promise<void> {
    if (next.owed.length + next.settled.length === 0) await store.clear()
    else await store.write(next)
    document = next
  }
  return {
    isEmpty: () => document.owed.length + document.settled.length === 0,
    owed: () => document.owed,
    settledIds: () => document.settled,
    owe: debt => write({ ...document, owed: [...document.owed, debt].slice(-DEBTS_MAX) }),
    settled: debtId =>
      write({
        ...document,
        owed: document.owed.filter(one => one.debtId !== debtId),
        settled: [...document.settled.filter(id => id !== debtId), debtId].slice(-DEBTS_MAX),
      }),
    async forgetSettled() {
      if (document.settled.length > 0) await write({ ...document, settled: [] })
    },
  }
}
