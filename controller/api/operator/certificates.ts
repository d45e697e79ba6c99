// The inventory of certificates and its forecast. Worked out when it is asked for; no event of the
// fleet costs anything here.

import * as z from 'zod/mini'
import { CertificateList, type CertificateView } from '../../../shared/contract/certificates.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import {
  type InventoryNode,
  nodeCertificates,
  type Surroundings,
} from '../../certificates/inventory.ts'
import { endingBefore, forecast } from '../../certificates/renewal.ts'
import { fits } from '../../fleet/label-query.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { count } from '../fields.ts'
import { cursorOf, keyAfter, limitOf, PAGE_QUERY } from '../paging.ts'
import { createFleetSummaries, type NodeSummary } from '../fleet-summaries.ts'
import { inventoryNode, ownAuthorities, surroundingsOf } from '../inventory.ts'
import { LABEL_QUERY, labelsIn } from './node-list.ts'
import { requireNode } from './nodes.ts'

// Read in one transaction, which keeps polls and reports waiting.
const NODES_AT_ONCE = 50

const Query = z.strictObject({
  node: z.optional(Name),
  service: z.optional(ServiceName),
  ...LABEL_QUERY,
  expiringBefore: z.optional(count(0, Number.MAX_SAFE_INTEGER)),
  unrenewed: z.optional(z.literal('true')),
  controller: z.optional(z.literal('down')),
  ...PAGE_QUERY,
})
/** `after`: the last node of the page before. */
type Query = Readonly<z.infer<typeof Query>>

export function certificateRoutes(app: App, context: ApiContext): void {
  const summaries = createFleetSummaries(context.store)
  app.get(
    OPERATOR_ROUTES.certificates,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary:
          'Certificates that are served, of agents and of CAs, and which will not be renewed',
        description:
          'In the order of nodes, CA certificates first. A page holds whole nodes: as many as have `limit` certificates in all, and at least one.',
        querystring: Query,
        response: { 200: CertificateList },
      },
    },
    async ({ query }) => {
      const after = keyAfter('certificates', query)
      return listCertificates(context, await summaries.read(), { ...query, after })
    },
  )
}

async function listCertificates(
  context: ApiContext,
  fleet: ReadonlyMap<string, NodeSummary>,
  query: Query,
): Promise<CertificateList> {
  const surroundings = surroundingsOf(context, fleet, query.controller === 'down')
  const limit = limitOf(query)
  const certificates = [...selected(authoritiesFor(context, fleet, surroundings, query), query)]
  let { after } = query
  for (;;) {
    const { nodes, last } = await readNodes(
      context,
      fleet,
      after === undefined ? query : { ...query, after },
    )
    for (const node of nodes) {
      const more = selected(nodeCertificates(node, surroundings), query)
      const isFull = certificates.length > 0 && certificates.length + more.length > limit
      // The node before this one is where the next page goes on.
      if (isFull && after !== undefined)
        return { certificates, next: cursorOf('certificates', after) }
      certificates.push(...more)
      after = node.node
    }
    if (last === undefined) return { certificates }
    after = last
  }
}

/** The next nodes by name that the filters let through; `last`: there may be more after this one. */
async function readNodes(
  { store, presence }: ApiContext,
  fleet: ReadonlyMap<string, NodeSummary>,
  { node, after, ...query }: Query,
): Promise<{ readonly nodes: readonly InventoryNode[]; readonly last: string | undefined }> {
  const labels = labelsIn(query)
  return store.transaction(async tx => {
    const page = await pageOf(tx, node, after)
    const nodes: InventoryNode[] = []
    for (const record of page.filter(one => fits(one.labels, labels)))
      nodes.push(
        await inventoryNode(tx, record, {
          presence,
          desired: fleet.get(record.name),
          report: (await tx.reports.get(record.name))?.report,
        }),
      )
    return { nodes, last: page.length < NODES_AT_ONCE ? undefined : page.at(-1)?.name }
  })
}

async function pageOf(
  tx: Transaction,
  node: string | undefined,
  after: string | undefined,
): Promise<readonly NodeRecord[]> {
  if (node === undefined)
    return tx.nodes.list({ ...(after === undefined ? {} : { after }), limit: NODES_AT_ONCE })
  const record = await requireNode(tx, node)
  return after === undefined || record.name > after ? [record] : []
}

function selected(
  certificates: readonly CertificateView[],
  { service, expiringBefore, unrenewed }: Query,
): readonly CertificateView[] {
  const ofService = certificates.filter(one => service === undefined || one.service === service)
  if (unrenewed !== undefined) return forecast(ofService, expiringBefore ?? Infinity)
  return expiringBefore === undefined ? ofService : endingBefore(ofService, expiringBefore)
}

/** Of no node and no service: only the list of the whole fleet has them, at its beginning. */
function authoritiesFor(
  context: ApiContext,
  fleet: ReadonlyMap<string, NodeSummary>,
  surroundings: Surroundings,
  { node, service, label, selector, after }: Query,
): readonly CertificateView[] {
  const isPart = [node, service, label, selector, after].some(one => one !== undefined)
  return isPart ? [] : ownAuthorities(context, fleet, surroundings)
}
