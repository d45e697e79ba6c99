// What a plan of a fleet spec is made from: which nodes are not there yet, what each said that it would
// change, and what is interrupted meanwhile. Planning and starting ask this in the same way, so that
// equal fleets and equal specs give equal plans.

import type { PlannedNodeView } from '../../../shared/contract/operator-api.ts'
import type { DesiredContent } from '../../../shared/contract/desired-state.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { inOrder } from '../../fleet/edges.ts'
import { windowsOf } from '../../fleet/windows.ts'
import { type Torn, tornNodes } from '../../rollout/coordinated.ts'
import { heldNodes } from '../../rollout/node-preview.ts'
import type { Plan, PlannedNode, RolloutPlan } from '../../rollout/rollout.ts'
import type { Transaction } from '../../store/store.ts'
import type { CompiledSpec } from './spec.ts'

/** The nodes that are not there yet, in the order in which their services are switched. What a node lacks is judged again by the node itself. */
export async function nodesToMove(
  tx: Transaction,
  compiled: CompiledSpec,
): Promise<readonly PlannedNode[]> {
  const nodes: PlannedNode[] = []
  for (const { node, content, digest } of compiled.fleet.nodes) {
    const state = (await tx.desired.get(node))?.state
    const isThere =
      state?.contentDigest === digest && state.mode === 'enforce' && !(await hasFailed(tx, node))
    if (!isThere) nodes.push({ node, from: state?.contentDigest, to: digest, content })
  }
  return inOrder(nodes)
}

// A node that could not get there by itself is moved again when an operator applies again.
async function hasFailed(tx: Transaction, node: string): Promise<boolean> {
  const report = (await tx.reports.get(node))?.report
  return (report?.services ?? []).some(
    ({ outcome }) => outcome === 'failed' || outcome === 'restored' || outcome === 'unsupported',
  )
}

/** The number that the revision of this spec has, or will have. */
export async function revisionNumber(tx: Transaction, { digest }: CompiledSpec): Promise<number> {
  const latest = await tx.revisions.latest()
  if (latest === undefined) return 1
  return latest.digest === digest ? latest.number : latest.number + 1
}

/**
 * Throws `coordinated-change`: a cluster that has to be stopped as a whole is not changed node by node,
 * nor a part of it, and nothing of it is begun.
 */
export function requireWhole(
  { previews = new Map() }: RolloutPlan,
  plan: Plan,
  { fleet }: Pick<CompiledSpec, 'fleet'>,
): void {
  const torn = tornNodes(plan, previews, contentsOf(fleet))
  const [first] = torn
  if (first === undefined) return
  throw new OperationalError(
    'coordinated-change',
    `could not roll out a change that takes a cluster down as a whole (${namesOf(torn)}): ${first.reason.message}`,
    {
      hint: `${howTogether(plan, torn)} changes them as a whole; or leave these services out of the spec`,
      details: {
        problems: torn
          .slice(0, PROBLEMS_MAX)
          .map(({ node, reason }) => ({ message: `${node}: ${reason.message}` })),
      },
    },
  )
}

/** As of `requireWhole`, for who only asks: what a rollout of this plan would be refused for. */
export function whyRefused(
  { previews = new Map() }: RolloutPlan,
  plan: Plan,
  { fleet }: Pick<CompiledSpec, 'fleet'>,
): Reason | undefined {
  const torn = tornNodes(plan, previews, contentsOf(fleet))
  if (torn.length === 0) return undefined
  const message = `${namesOf(torn)} cannot be changed apart from the others of their cluster: ${howTogether(plan, torn)} changes them as a whole`
  return { code: 'coordinated-change', message }
}

function contentsOf({ nodes }: CompiledSpec['fleet']): ReadonlyMap<string, DesiredContent> {
  return new Map(nodes.map(({ node, content }) => [node, content]))
}

function namesOf(torn: readonly Torn[]): string {
  const names = torn.slice(0, NAMES_MAX).map(({ node }) => node)
  const more = torn.length > NAMES_MAX ? ` and ${torn.length - NAMES_MAX} more` : ''
  return `${names.join(', ')}${more}`
}

function howTogether({ groups }: Pick<Plan, 'groups'>, torn: readonly Torn[]): string {
  const nodes = new Set(torn.map(({ node }) => node))
  const names = groups
    .filter(({ type, members }) => type.kind !== 'pool' && members.some(one => nodes.has(one)))
    .map(({ name }) => name)
  return names.length === 0
    ? '--together GROUP with the groups that have all nodes of the cluster'
    : `--together ${names.join(' ')}`
}

const NAMES_MAX = 20
const PROBLEMS_MAX = 100

export function planRequest(given: {
  readonly revision: number
  readonly author: string
  readonly moving: readonly PlannedNode[]
  /** By node. */
  readonly views: ReadonlyMap<string, PlannedNodeView>
  /** Groups that are changed as a whole. */
  readonly together?: readonly string[] | undefined
}): RolloutPlan {
  const { revision, author, moving, views, together } = given
  const { nodes, previews } = heldNodes(moving, views)
  const switched = moving.map(({ node, content }) => ({
    content,
    services: views.get(node)?.services ?? [],
  }))
  const section = together === undefined || together.length === 0 ? {} : { together }
  return { revision, author, nodes, previews, windows: windowsOf(switched), ...section }
}
