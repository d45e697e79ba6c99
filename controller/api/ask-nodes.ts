// Asks the nodes of a rollout that nobody was shown a plan of (a child of another one, a step of a
// rotation) what they would change, and holds them to it: between now and its turn no node becomes
// another one unseen.

import type { UnheldNode } from '../../shared/contract/rollout-plan.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Asked } from '../rollout/follow.ts'
import { heldNodes, unheldNodes } from '../rollout/node-preview.ts'
import type { PlannedNode } from '../rollout/rollout.ts'
import type { NodeRecord } from '../store/store.ts'
import type { ApiContext } from './context.ts'
import { gatherPreviews } from './gather-previews.ts'

/** As long as a plan that somebody looks at waits. */
export const ASK_MS = 15_000
/** A rollback must not be kept waiting by what it is there to repair: who is silent for so long is held to nothing. */
export const ASK_ROLLBACK_MS = 5_000

export interface AskedNodes extends Asked {
  readonly unheld: readonly UnheldNode[]
}

/** `waitMs` for each node from when it is asked; 0: nobody is asked. */
export async function askNodes(
  context: Pick<ApiContext, 'store' | 'clock' | 'presence' | 'previews' | 'log'>,
  nodes: readonly PlannedNode[],
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<AskedNodes> {
  if (waitMs === 0) return { nodes, unheld: unheldNodes(nodes, new Map()) }
  const records = await recordsOf(context, nodes)
  const gathered = await gatherPreviews(context, { nodes, records, waitMs, signal })
  const views = new Map(gathered.map(view => [view.node, view]))
  requireCaller(signal)
  const held = heldNodes(nodes, views)
  return { ...held, unheld: unheldNodes(held.nodes, views) }
}

/** Who was asked for by somebody that has gone, or by a controller that closes, is begun by nobody. */
export function requireCaller(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new OperationalError(
    'closing',
    'could not ask the nodes what they would change: whoever wanted it has gone, or the controller closes; nothing was begun',
    { retryable: true },
  )
}

// Read in one transaction, which keeps polls and reports waiting.
const NODES_AT_ONCE = 100

async function recordsOf(
  { store }: Pick<ApiContext, 'store'>,
  nodes: readonly PlannedNode[],
): Promise<ReadonlyMap<string, NodeRecord>> {
  const records = new Map<string, NodeRecord>()
  for (let start = 0; start < nodes.length; start += NODES_AT_ONCE)
    await store.transaction(async tx => {
      for (const { node } of nodes.slice(start, start + NODES_AT_ONCE)) {
        const record = await tx.nodes.get(node)
        if (record !== undefined) records.set(node, record)
      }
    })
  return records
}
