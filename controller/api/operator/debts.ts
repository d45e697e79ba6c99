// What nodes owe to their clusters, and that an operator has paid it by hand.

import * as z from 'zod/mini'
import { DebtList, ROLLOUT_VERB_ROUTES, VerbBody } from '../../../shared/contract/rollout-verbs.ts'
import { DebtId } from '../../../shared/contract/debts.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { reasonOf } from '../fields.ts'
import { PAGE_QUERY, pageOfAll } from '../paging.ts'

export function debtRoutes(app: App, { store, clock }: ApiContext): void {
  app.get(
    ROLLOUT_VERB_ROUTES.debts,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List debts: settings of clusters that a restart has changed and nobody took back',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: DebtList },
      },
    },
    async ({ query }) => {
      const all = await store.transaction(tx => tx.debts.all())
      const keyOf = ({ debtId }: { readonly debtId: string }) => debtId
      const sorted = all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
      const { shown, next } = pageOfAll('debts', query, { all: sorted, keyOf })
      const debts = shown.map(({ debtId, node, service, groups, sinceMs }) => {
        return { debtId, node, service, groups: [...groups], sinceMs }
      })
      return { debts, ...next }
    },
  )
  app.post(
    ROLLOUT_VERB_ROUTES.forgiveDebt,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Forget a debt whose setting was taken back by hand',
        params: z.strictObject({ id: DebtId }),
        body: VerbBody,
        response: { 200: z.object({ forgiven: z.boolean() }) },
      },
    },
    async request => {
      const { id } = request.params
      const { reason } = request.body
      await store.transaction(async tx => {
        const debt = await tx.debts.get(id)
        if (debt === undefined)
          throw new OperationalError('not-found', `there is no debt ${id}: it is paid already`)
        await tx.debts.settle(id)
        await tx.audit.append({
          atMs: clock.now(),
          actor: operatorOf(request).name,
          action: 'debt-forgive',
          subject: `${debt.node}/${id}`,
          ...reasonOf('forgive', reason),
        })
      })
      return { forgiven: true }
    },
  )
}
