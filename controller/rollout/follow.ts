// The plan of a rollout that follows from another one, read from how that one ended; and what its nodes
// are asked before it is made.

import { contentDigestOf } from '../../shared/contract/desired-state.ts'
import { remainders, toRetry, toRollBack } from './children.ts'
import type { Plan, PlannedNode, Rollout, RolloutPlan } from './rollout.ts'
import type { RolloutTransaction } from './rollout-store.ts'

export type FollowKind = 'rollback' | 'retry'

/** The nodes, each with the digest of what it said that it would change, if it said anything. */
export type Asked = Pick<RolloutPlan, 'nodes' | 'previews'>

/**
 * Asks nodes what they would change. Must come back in bounded time, whoever is silent: who cannot answer
 * is held to nothing, so that a node that is broken keeps no other one waiting.
 */
export type AskNodes = (nodes: readonly PlannedNode[]) => Promise<Asked>

export async function childOf(
  tx: RolloutTransaction,
  { id, plan }: Rollout,
  kind: FollowKind,
  author: string,
): Promise<RolloutPlan> {
  const stored = await tx.rollouts.events(id, { after: 0, limit: Number.MAX_SAFE_INTEGER })
  const all = remainders(
    id,
    plan,
    stored.map(({ event }) => event),
  )
  const nodes: PlannedNode[] = []
  for (const { step, planned, original } of kind === 'rollback' ? toRollBack(all) : toRetry(all)) {
    const { node } = step
    const from = (await tx.desired.get(node))?.state.contentDigest
    if ((await tx.nodes.get(node)) === undefined) continue
    if (kind === 'retry') nodes.push({ node, from, to: planned.to, content: planned.content })
    else nodes.push(await backwards(tx, node, from, original))
  }
  return {
    revision: plan.revision,
    author,
    kind,
    parent: id,
    nodes,
    ...sectionOf(plan, kind, nodes),
    ...(kind === 'rollback' || plan.apart === true ? { apart: true } : {}),
  }
}

// What went down as a whole comes back so; the way back asks nobody whether it may.
function sectionOf(
  { together = [], groups }: Plan,
  kind: FollowKind,
  nodes: readonly PlannedNode[],
): Pick<RolloutPlan, 'together' | 'acknowledged'> {
  const isLeft = (name: string) =>
    groups.some(group => group.name === name && nodes.some(one => group.members.includes(one.node)))
  const left = together.filter(isLeft)
  return left.length === 0 ? {} : { together: left, acknowledged: kind === 'rollback' }
}

async function backwards(
  tx: RolloutTransaction,
  node: string,
  from: string | undefined,
  original: string | undefined,
): Promise<PlannedNode> {
  const found = original === undefined ? undefined : await tx.desired.published(node, original)
  const content = found?.content ?? { services: [] }
  return { node, from, to: contentDigestOf(content), content }
}
