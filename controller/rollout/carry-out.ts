// Stores events together with what they stand for: documents, and leases. The event is the effect.

import { assert } from '../../shared/assert.ts'
import {
  type DesiredContent,
  type DesiredState,
  epochIn,
  sealDesiredState,
} from '../../shared/contract/desired-state.ts'
import { hasSchemeChange } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { PublishedContent } from '../store/store.ts'
import { evolve, publishes } from './evolve.ts'
import type { FleetView, Now, OrderedNode, Plan, Rollout, RolloutEvent } from './rollout.ts'
import { plannedOf, stepOf } from './steps.ts'
import type { RolloutTransaction } from './rollout-store.ts'

export interface Move {
  readonly events: readonly RolloutEvent[]
  readonly published: readonly string[]
}

export const NO_MOVE: Move = { events: [], published: [] }

/** Appends the events and writes what they stand for. */
export async function carryOut(
  tx: RolloutTransaction,
  rollout: Rollout,
  fleet: FleetView,
  events: readonly RolloutEvent[],
  now: Now,
  claimSequence?: number,
): Promise<Move> {
  if (events.length === 0) return NO_MOVE
  await tx.rollouts.append(rollout.id, rollout.version, events, now.atMs)
  const published = new Set<string>()
  let state = rollout
  for (const event of events) {
    const before = state
    state = evolve(state, event)
    await moveLeases(tx, fleet, event, { now, claimSequence })
    // A node that was removed has nobody to read a document.
    if (!publishes(event) || !fleet.nodes.has(event.node)) continue
    const planned = plannedOf(before, event.node)
    assert(planned !== undefined, `${event.node} is not in the plan of ${rollout.id}`)
    await publish(tx, { rollout: before, planned, event })
    published.add(event.node)
  }
  return { events, published: [...published] }
}

// A lease belongs to its node and group: the claim takes it, a known end gives it back, nothing else.
async function moveLeases(
  tx: RolloutTransaction,
  { groupsOf }: FleetView,
  event: RolloutEvent,
  { now, claimSequence }: { readonly now: Now; readonly claimSequence: number | undefined },
): Promise<void> {
  if (event.kind === 'permit-claimed') {
    const taken = await takenNow(tx, event.node, now, claimSequence)
    const { node, generation } = event
    for (const group of groupsOf.get(event.node) ?? [])
      await tx.leases.take({ group, node, purpose: 'rollout', generation, ...taken })
  }
  if (GIVES_BACK.has(event.kind) && 'node' in event) await tx.leases.releaseNode(event.node)
}

const GIVES_BACK: ReadonlySet<RolloutEvent['kind']> = new Set([
  'node-done',
  'node-reverted',
  'lease-forced',
])

/** When a lease is taken, by both clocks and by the node's own count of reports. */
export async function takenNow(
  tx: RolloutTransaction,
  node: string,
  { atMs, timeMs }: Now,
  sequence?: number,
) {
  const [member] = await tx.rollouts.membersNamed([node])
  const takenSequence = Math.max(member?.report?.sequence ?? 0, sequence ?? 0)
  return { takenAtMs: atMs, takenTimeMs: timeMs, takenSequence }
}

interface Publication {
  /** Before the event. */
  readonly rollout: Rollout
  readonly planned: OrderedNode
  readonly event: { readonly kind: RolloutEvent['kind']; readonly generation: number }
}

async function publish(
  tx: RolloutTransaction,
  { rollout, planned, event }: Publication,
): Promise<void> {
  const { node, content, preview, together } = planned
  const { kind, generation } = event
  const epoch = epochIn(await tx.desired.epoch())
  if (kind === 'node-released') {
    const holds = stepOf(rollout, node)?.holds
    const old = holds === undefined ? NO_CONTENT : await tx.desired.published(node, holds)
    if (old === undefined) {
      throw new OperationalError(
        'store-corrupt',
        `could not find the content that ${node} had before ${rollout.id}`,
        {
          details: { node, digest: holds },
        },
      )
    }
    const state = sealDesiredState({
      node,
      ...epoch,
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
  const state = sealDesiredState({
    node,
    ...epoch,
    generation,
    mode,
    permit: isPermit,
    ...(isPermit && together !== undefined ? { together } : {}),
    ...(isPermit && together === undefined && isApart(rollout.plan, content)
      ? { alone: true }
      : {}),
    ...(await heldTo(tx, preview, rollout.plan.kind)),
    content,
  })
  await tx.desired.put({ state, revision: rollout.plan.revision })
}

function isApart({ apart }: Plan, { services }: DesiredContent): boolean {
  return apart === true && services.some(hasSchemeChange)
}

// Which services were planned at all is known where one of them was.
async function heldTo(
  tx: RolloutTransaction,
  preview: string | undefined,
  kind: Plan['kind'],
): Promise<Pick<DesiredState, 'planned'>> {
  const found = preview === undefined ? undefined : await tx.previews.get(preview)
  const said = found?.services.flatMap(service => service.planned ?? []) ?? []
  // A service that has gone down since is what a rollback is for: it is held to what is written, not to
  // how much that disturbs.
  const planned =
    kind === 'rollback' ? said.map(({ service, digest }) => ({ service, digest })) : said
  return planned.length === 0 ? {} : { planned }
}

// What a node is given back that had nothing before.
const NO_CONTENT: PublishedContent = { content: { services: [] }, revision: undefined }
