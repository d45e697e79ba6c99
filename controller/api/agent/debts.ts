// POST debts: what an agent owes to its clusters before it makes the debt, and what it has paid.

import { DebtNews } from '../../../shared/contract/debts.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { mayPay } from './debt-desk.ts'

export function debtsRoute(app: App, { store, runner, clock, log }: ApiContext): void {
  app.post(
    AGENT_ROUTES.debts,
    { config: { policy: { kind: 'agent' } }, schema: { body: DebtNews } },
    async request => {
      const { node } = agentOf(request)
      const { owed, settled } = request.body
      const paid = await store.transaction(async tx => {
        const groups = await runner.groupsOf(tx, node)
        const { timeMs: sinceTimeMs } = await tx.controllerTime.get()
        for (const { debtId, service } of owed) {
          if (settled.includes(debtId)) continue
          await tx.debts.owe({ debtId, service, node, groups, sinceMs: clock.now(), sinceTimeMs })
        }
        const done: string[] = []
        for (const debtId of settled) {
          const debt = await tx.debts.get(debtId)
          // Of another cluster it cannot say so.
          if (debt === undefined || !mayPay(debt, node, groups)) continue
          if (await tx.debts.settle(debtId)) done.push(debtId)
        }
        return done
      })
      if (owed.length > 0 || paid.length > 0) log.info({ node, owed, paid }, 'debts of clusters')
      return { settled: paid }
    },
  )
}
