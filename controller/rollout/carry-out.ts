// Stores events together with the documents that they stand for: the event is the effect.

import { assert } from '../../shared/assert.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { PublishedContent, Transaction } from '../store/store.ts'
import { publishes } from './evolve.ts'
import type { FleetView, PlannedNode, Rollout, RolloutEvent } from './rollout.ts'

export interface Move {
  readonly events: readonly RolloutEvent[]
  readonly published: readonly string[]
}

export const NO_MOVE: Move = { events: [], published: [] }

/** Appends the events and writes the documents that they stand for. */
export async function carryOut(
  tx: Transaction,
  rollout: Rollout,
  fleet: FleetView,
  events: readonly RolloutEvent[],
  atMs: number,
): Promise<Move> {
  if (events.length === 0) return NO_MOVE
  await tx.rollouts.append(rollout.id, rollout.version, events, atMs)
  const planned = new Map(rollout.plan.nodes.map(one => [one.node, one]))
  const published = new Set<string>()
  for (const event of events) {
    // A node that was removed has nobody to read a document.
    if (!publishes(event) || !Object.hasOwn(fleet.nodes, event.node)) continue
    const plan = planned.get(event.node)
    assert(plan !== undefined, `${event.node} is not in the plan of ${rollout.id}`)
    await publish(tx, rollout, plan, event)
    published.add(event.node)
  }
  return { events, published: [...published] }
}

async function publish(
  tx: Transaction,
  rollout: Rollout,
  { node, from, content }: PlannedNode,
  { kind, generation }: { readonly kind: RolloutEvent['kind']; readonly generation: number },
): Promise<void> {
  if (kind === 'node-released') {
    const old = from === undefined ? NO_CONTENT : await tx.desired.published(node, from)
    if (old === undefined) {
      throw new OperationalError(
        'store-corrupt',
        `could not find the content that ${node} had before ${rollout.id}`,
        {
          details: { node, digest: from },
        },
      )
    }
    const state = sealDesiredState({
      node,
      generation,
      mode: 'enforce',
      permit: false,
      content: old.content,
    })
    await tx.desired.put({ state, revision: old.revision })
    return
  }
  const isPermit = kind === 'node-permitted'
  const mode = isPermit ? 'enforce' : 'stage'
  const state = sealDesiredState({ node, generation, mode, permit: isPermit, content })
  await tx.desired.put({ state, revision: rollout.plan.revision })
}

// What a node is given back that had nothing before.
const NO_CONTENT: PublishedContent = { content: { services: [] }, revision: undefined }
