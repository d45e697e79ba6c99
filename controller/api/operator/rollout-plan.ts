// GET plan of a rollout: all that was decided when it was made, with what each node said that it would
// change. In pages, because a plan with its diffs is as large as the fleet. Previews are read here and
// nowhere else.

import * as z from 'zod/mini'
import {
  type NodePreview,
  type PlannedStep,
  ROLLOUT_PLAN_ROUTE,
  RolloutPlanPage,
  type RolloutPlanView,
} from '../../../shared/contract/rollout-plan.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { limitOf as mayBeOut } from '../../fleet/groups.ts'
import { disruptionOf } from '../../rollout/node-preview.ts'
import type { OrderedNode, Plan } from '../../rollout/rollout.ts'
import { plannedNodes } from '../../rollout/steps.ts'
import type { Transaction } from '../../store/store.ts'
import type { ApiContext, App } from '../context.ts'
import { RolloutParams } from '../fields.ts'
import { cursorOf, limitOf, numberAfter, PAGE_QUERY } from '../paging.ts'
import { requireRollout } from './rollout-events.ts'

const Query = z.strictObject({
  ...PAGE_QUERY,
  node: z.optional(Name.check(z.describe('This node alone'))),
  diffs: z.optional(z.enum(['none']).check(z.describe('Without what each node would change'))),
})

export function rolloutPlanRoute(app: App, { store }: ApiContext): void {
  app.get(
    ROLLOUT_PLAN_ROUTE,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Show the plan of a rollout: phases, batches, order, limits, and each node’s diff',
        params: RolloutParams,
        querystring: Query,
        response: { 200: RolloutPlanPage },
      },
    },
    ({ params, query }) => {
      const { node, diffs } = query
      const isShort = diffs === 'none'
      const from = numberAfter('plan', query) ?? 0
      return store.transaction(async tx => {
        const { plan } = await requireRollout(tx, params.id)
        const planned = plannedNodes(plan).filter(one => node === undefined || one.node === node)
        const asked = { from, limit: limitOf(query), isShort }
        const { shown, previews, next } = await pageOfPlan(tx, planned, asked)
        const view = planView(plan, previews, { shown, isShort })
        const rest = from === 0 ? view : { ...view, groups: [], windows: [] }
        return { ...rest, ...(next === undefined ? {} : { next: cursorOf('plan', next) }) }
      })
    },
  )
}

// Of all diffs of a page: what is beyond it comes with the next one.
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024

/** By place in the plan, which never changes. At least one node, however much it says. */
async function pageOfPlan(
  tx: Transaction,
  planned: readonly OrderedNode[],
  { from, limit, isShort }: { readonly from: number; readonly limit: number; isShort: boolean },
) {
  const previews = new Map<string, NodePreview>()
  const shown = new Set<OrderedNode>()
  let left = PAGE_CHARACTERS_MAX
  let place = from
  for (; place < planned.length && shown.size < limit && left > 0; place++) {
    const one = planned[place]
    if (one === undefined) break
    shown.add(one)
    if (one.preview === undefined) continue
    const found = previews.get(one.preview) ?? (await tx.previews.get(one.preview))
    if (found === undefined) continue
    previews.set(one.preview, found)
    if (!isShort) left -= diffLength(found)
  }
  return { shown, previews, next: place < planned.length ? place : undefined }
}

function diffLength({ services }: NodePreview): number {
  const changes = services.flatMap(service => service.changes)
  return changes.reduce((sum, { diff = '' }) => sum + diff.length, 0)
}

/** `previews`: by digest. `shown`: absent, all of them. */
export function planView(
  plan: Plan,
  previews: ReadonlyMap<string, NodePreview>,
  {
    shown,
    isShort = false,
  }: { readonly shown?: ReadonlySet<OrderedNode>; readonly isShort?: boolean } = {},
): RolloutPlanView {
  const { digest, kind, revision, author, parent, settings, windows, together } = plan
  const isShown = (planned: OrderedNode) => shown === undefined || shown.has(planned)
  return {
    digest,
    kind,
    revision,
    author,
    ...(parent === undefined ? {} : { parent }),
    settings: { ...settings },
    groups: plan.groups.map(group => ({
      name: group.name,
      kind: group.type.kind,
      members: [...group.members],
      limit: mayBeOut(group),
    })),
    windows: [...windows],
    ...(together === undefined ? {} : { together: [...together] }),
    phases: plan.phases.map(phase => ({
      ...phase,
      batches: phase.batches.map(batch => ({
        ...batch,
        count: batch.nodes.length,
        nodes: batch.nodes.filter(isShown).map(one => stepView(one, previews, isShort)),
      })),
    })),
  }
}

function stepView(
  { node, from, to, rank, preview }: OrderedNode,
  previews: ReadonlyMap<string, NodePreview>,
  isShort: boolean,
): PlannedStep {
  const found = preview === undefined ? undefined : previews.get(preview)
  const disruption = found && disruptionOf(found)
  return {
    node,
    ...(from === undefined ? {} : { from }),
    to,
    rank,
    ...(preview === undefined ? {} : { heldTo: preview }),
    ...(disruption === undefined ? {} : { disruption }),
    ...(found === undefined || isShort ? {} : { preview: found }),
  }
}
