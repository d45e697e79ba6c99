// What becomes of orders at ACME directories: read only. Orders are placed for the requests of nodes
// and by nobody else.

import * as z from 'zod/mini'
import { AcmeView } from '../../../shared/contract/acme.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { challengesOf } from '../../issuers/acme/challenge.ts'
import type { DirectoryState } from '../../issuers/acme/issuer.ts'
import { countedSinceMs } from '../../issuers/acme/queue.ts'
import type { AcmeOrderRecord, Transaction } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'

export function acmeRoutes(app: App, { store, acme, clock }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.acme,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'ACME directories with their accounts, and the orders that are not done',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: AcmeView },
      },
    },
    async ({ query }) => {
      const nowMs = clock.now()
      const limit = limitOf(query)
      const after = keyAfter('acme', query)
      const page = { limit: limit + 1, ...(after === undefined ? {} : { after }) }
      return store.transaction(async tx => {
        const found = await tx.acme.listOrders(page)
        const { shown, next } = pageOf('acme', { found, limit }, ({ request }) => request)
        const directories = []
        for (const state of acme.states()) directories.push(await directoryView(tx, state, nowMs))
        return { directories, orders: shown.map(orderView), ...next }
      })
    },
  )
}

async function directoryView(
  tx: Transaction,
  { directory, blocked, termsOfService }: DirectoryState,
  nowMs: number,
): Promise<AcmeView['directories'][number]> {
  const { name, url, ordersPerHour } = directory
  const account = await tx.acme.account(name, url)
  return {
    name,
    url,
    challenges: [...challengesOf(directory)],
    ...(account?.accountUrl === undefined
      ? {}
      : { accountUrl: account.accountUrl, accountCreatedAtMs: account.createdAtMs }),
    ...(termsOfService === undefined ? {} : { termsOfService }),
    ...(blocked === undefined || blocked.untilMs <= nowMs
      ? {}
      : { blocked: { reason: blocked.reason, untilMs: blocked.untilMs } }),
    ordered: await tx.acme.countOrdered(name, countedSinceMs(nowMs)),
    ordersPerHour,
  }
}

function orderView(order: AcmeOrderRecord): AcmeView['orders'][number] {
  const { request, directory, node, service, names, state, orderUrl, attempts, reason } = order
  return {
    request,
    directory,
    node,
    service,
    names,
    state,
    ...(orderUrl === undefined ? {} : { orderUrl }),
    attempts,
    nextAttemptAtMs: order.nextAttemptAtMs,
    ...(reason === undefined ? {} : { reason }),
  }
}
