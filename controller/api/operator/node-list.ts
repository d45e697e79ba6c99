// GET nodes: pages of the fleet, selected by what the store knows (names, labels) and by what only a
// whole node tells (its state, its products).

import * as z from 'zod/mini'
import { type NodeList, NodeState, type NodeView } from '../../../shared/contract/operator-api.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import { type LabelCondition, parseLabelQuery } from '../../fleet/label-query.ts'
import type { NodePage, NodeRecord } from '../../store/store.ts'
import type { ApiContext } from '../context.ts'
import { cursorOf, keyAfter, limitOf, PAGE_QUERY } from '../paging.ts'
import { nodeView } from './node-view.ts'

export const Label = z.string().check(z.regex(/^[^=]{1,63}=.{0,63}$/))
/** Members of the query of lists that are selected by labels of nodes. */
export const LABEL_QUERY = {
  selector: z.optional(
    z
      .string()
      .check(
        z.minLength(1),
        z.maxLength(1_000),
        z.describe(
          'Labels, all of which must hold: `role=meta,env!=prod,zone,!old`. `!=` holds for nodes without the label too.',
        ),
      ),
  ),
  label: z.optional(
    z
      .union([Label, z.array(Label).check(z.maxLength(16))])
      .check(z.describe('`key=value`; repeatable. The same as one part of `selector`.')),
  ),
}

/** More than what a stream of changes names at once would be a list. */
const NAMES_MAX = 100

function several<T extends z.ZodMiniType>(item: T, maximum: number) {
  return z.optional(z.union([item, z.array(item).check(z.maxLength(maximum))]))
}

export const NodeQuery = z.strictObject({
  ...PAGE_QUERY,
  ...LABEL_QUERY,
  name: several(Name, NAMES_MAX).check(
    z.describe(`Just these; repeatable, up to ${NAMES_MAX} times. Who is absent is not there.`),
  ),
  state: several(NodeState, NodeState.options.length).check(z.describe('Repeatable.')),
  product: several(ServiceName, ServiceName.options.length).check(
    z.describe('Nodes that report a service of this product; repeatable.'),
  ),
})
type NodeQuery = z.infer<typeof NodeQuery>

/** What the query selects by labels. */
export function labelsIn({
  selector,
  label,
}: Pick<NodeQuery, 'selector' | 'label'>): readonly LabelCondition[] {
  const each = [label ?? []].flat().flatMap(parseLabelQuery)
  return selector === undefined ? each : [...parseLabelQuery(selector), ...each]
}

// A node is a few reads, and a transaction keeps polls and reports waiting.
const NODES_AT_ONCE = 100
/** A page whose filter finds little ends here, with what it has. */
const NODES_LOOKED_AT = 2_000

export async function listNodes(
  context: ApiContext,
  query: NodeQuery,
): Promise<z.infer<typeof NodeList>> {
  const limit = limitOf(query)
  const selected = { labels: labelsIn(query), ...namesIn(query) }
  const nodes: NodeView[] = []
  let after = keyAfter('nodes', query)
  for (let looked = 0; looked < NODES_LOOKED_AT; looked += NODES_AT_ONCE) {
    const place = after === undefined ? {} : { after }
    const { records, views } = await readViews(context, {
      ...selected,
      ...place,
      limit: NODES_AT_ONCE,
    })
    for (const view of views.filter(one => isAsked(one, query))) {
      const last = nodes.at(-1)
      if (nodes.length === limit && last !== undefined)
        return { nodes, next: cursorOf('nodes', last.name) }
      nodes.push(view)
    }
    if (records.length < NODES_AT_ONCE) return { nodes }
    after = records.at(-1)?.name
  }
  return after === undefined ? { nodes } : { nodes, next: cursorOf('nodes', after) }
}

async function readViews(
  context: ApiContext,
  page: NodePage,
): Promise<{ readonly records: readonly NodeRecord[]; readonly views: readonly NodeView[] }> {
  return context.store.transaction(async tx => {
    const records = await tx.nodes.list(page)
    const views: NodeView[] = []
    for (const record of records) views.push(await nodeView(context, tx, record))
    return { records, views }
  })
}

function namesIn({ name }: NodeQuery): Pick<NodePage, 'names'> {
  return name === undefined ? {} : { names: [name].flat() }
}

function isAsked({ state, services }: NodeView, query: NodeQuery): boolean {
  const states = [query.state ?? []].flat()
  const products = [query.product ?? []].flat()
  const hasProduct = services.some(({ service }) => products.includes(service))
  return (states.length === 0 || states.includes(state)) && (products.length === 0 || hasProduct)
}
