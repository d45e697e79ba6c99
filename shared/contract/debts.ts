// What a node owes to others: a setting of its cluster that it has changed for the time of a restart,
// and that outlives the node. The controller keeps it, so that another member can take it back.

import * as z from 'zod/mini'
import { ClusterKind } from './cluster-view.ts'

export const DebtId = z.string().check(z.regex(/^[0-9a-f]{16}$/))

export const Debt = z.strictObject({ debtId: DebtId, service: ClusterKind })
export type Debt = Readonly<z.infer<typeof Debt>>

/** One node has a cluster or two, and clears what is left over. */
export const DEBTS_MAX = 16

/** POST debts: all that this node owes now, and what it has taken back, its own or what it was asked for. */
export const DebtNews = z.strictObject({
  owed: z.array(Debt).check(z.maxLength(DEBTS_MAX)),
  settled: z.array(DebtId).check(z.maxLength(DEBTS_MAX)),
})
export type DebtNews = Readonly<z.infer<typeof DebtNews>>

/** Code of the notice of a plan that its cluster will be told of the restart. */
export const ABSENCE_TOLD = 'absence-told'
