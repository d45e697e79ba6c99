// GET desired: the long poll that carries desired states and previews to an agent.

import * as z from 'zod/mini'
import type { DesiredAnswer } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES, LONG_POLL_MS } from '../../../shared/contract/protocol.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { count, departureOf, WaitMs } from '../fields.ts'
import { longPoll } from '../wake-board.ts'

const Query = z.strictObject({
  generation: z.optional(count(0, Number.MAX_SAFE_INTEGER)),
  wait: z.optional(WaitMs),
})

// Agents that began to wait together must not come back together.
const JITTER = 0.1

export function desiredRoute(app: App, context: ApiContext): void {
  const { clock, desiredWakes, presence } = context
  app.get(
    AGENT_ROUTES.desired,
    { config: { policy: { kind: 'agent' } }, schema: { querystring: Query } },
    async (request, reply): Promise<DesiredAnswer> => {
      const { node } = agentOf(request)
      const { generation, wait = LONG_POLL_MS } = request.query
      const leave = presence.attend(node)
      try {
        const found = await longPoll({
          board: desiredWakes,
          key: node,
          waitMs: wait * (1 - JITTER * jitterOf(context)),
          clock,
          signal: AbortSignal.any([context.closing, departureOf(reply)]),
          look: () => newsFor(context, node, generation),
        })
        return { ...found, nowMs: clock.now() }
      } finally {
        leave()
      }
    },
  )
}

async function newsFor(
  { store, previews }: ApiContext,
  node: string,
  generation: number | undefined,
): Promise<Omit<DesiredAnswer, 'nowMs'> | undefined> {
  const desired = await store.transaction(tx => tx.desired.get(node))
  const isNewer = desired !== undefined && desired.state.generation > (generation ?? 0)
  const preview = previews.take(node)
  if (!isNewer && preview === undefined) return undefined
  return {
    ...(isNewer ? { document: desired.state } : {}),
    ...(preview === undefined ? {} : { preview }),
  }
}

// From 0 to 1.
function jitterOf({ random }: ApiContext): number {
  return (random(1)[0] ?? 0) / 255
}
