// GET desired: the long poll that carries desired states and previews to an agent.

import * as z from 'zod/mini'
import type { DesiredAnswer } from '../../../shared/contract/agent-api.ts'
import {
  comparePositions,
  type Position,
  positionOf,
} from '../../../shared/contract/desired-state.ts'
import { AGENT_ROUTES, LONG_POLL_MS } from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { count, departureOf, WaitMs } from '../fields.ts'
import { longPoll } from '../wake-board.ts'
import { createDebtDesk, type DebtDesk } from './debt-desk.ts'
import { createIdentityNews, type IdentityNewsDesk } from './identity-news.ts'

const Query = z.strictObject({
  /** Absent: 0, or an agent that knows of none. */
  epoch: z.optional(count(0, Number.MAX_SAFE_INTEGER)),
  generation: z.optional(count(0, Number.MAX_SAFE_INTEGER)),
  wait: z.optional(WaitMs),
})

// Agents that began to wait together must not come back together.
const JITTER = 0.1

export function desiredRoute(app: App, context: ApiContext): void {
  const { clock, desiredWakes, presence } = context
  const identityNews = createIdentityNews(context.authorities)
  const debtDesk = createDebtDesk({ clock, groupsOf: context.runner.groupsOf })
  const desks = { identityNews, debtDesk }
  app.get(
    AGENT_ROUTES.desired,
    { config: { policy: { kind: 'agent' } }, schema: { querystring: Query } },
    async (request, reply): Promise<DesiredAnswer> => {
      const { node } = agentOf(request)
      const { epoch, generation = 0, wait = LONG_POLL_MS } = request.query
      await requireEpoch(context, node, epoch ?? 0)
      const leave = presence.attend(node)
      try {
        const found = await longPoll({
          board: desiredWakes,
          key: node,
          waitMs: wait * (1 - JITTER * jitterOf(context)),
          clock,
          signal: AbortSignal.any([context.closing, departureOf(reply)]),
          look: isLast => newsFor(context, desks, node, { epoch, generation, isLast }),
        })
        return { ...found, ...(await membership(context, node)), nowMs: clock.now() }
      } finally {
        leave()
      }
    },
  )
}

// With every answer: an agent that hears nothing more must know whether others count on its node.
async function membership(
  { store, runner, closing }: ApiContext,
  node: string,
): Promise<Pick<DesiredAnswer, 'grouped'>> {
  if (closing.aborted) return {}
  return { grouped: await store.transaction(tx => runner.isGrouped(tx, node)) }
}

interface Desks {
  readonly identityNews: IdentityNewsDesk
  readonly debtDesk: DebtDesk
}

interface Known {
  readonly epoch: number | undefined
  readonly generation: number
  /** The wait is over: there is an answer in any case. */
  readonly isLast: boolean
}

async function newsFor(
  { store, previews, probes, nudges, presence }: ApiContext,
  { identityNews, debtDesk }: Desks,
  node: string,
  known: Known,
): Promise<Omit<DesiredAnswer, 'nowMs'> | undefined> {
  const { desired, debts, identity } = await store.transaction(async tx => ({
    desired: await tx.desired.get(node),
    debts: await debtDesk.debtsFor(tx, node, known.isLast),
    identity: await identityNews.newsFor(tx, node),
  }))
  const isNewer = desired !== undefined && isAfter(positionOf(desired.state), known)
  const preview = previews.take(node)
  const isNudged = nudges.take(node)
  const looks = probes.take(node)
  const isTold = identity !== undefined && (known.isLast || identityNews.isFirst(node, identity))
  const isAsked = preview !== undefined || looks.length > 0 || debts.length > 0
  if (!isNewer && !isAsked && !isNudged && !isTold) return undefined
  return {
    ...identity?.news,
    ...(identity?.news.identityIssuer === undefined
      ? {}
      : { identityWithinMs: spreadMs(presence.count()) }),
    ...(isNewer ? { document: desired.state } : {}),
    ...(preview === undefined ? {} : { preview }),
    ...(looks.length === 0 ? {} : { probes: [...looks] }),
    ...(debts.length === 0 ? {} : { debts: [...debts] }),
    ...(isNudged ? { wake: true } : {}),
  }
}

// A renewal is a handshake, a signature and a durable write on either side: so many a second are no
// burden to a controller that has other things to do.
const RENEWALS_PER_S = 20
const SPREAD_MS_MIN = 2_000
const SPREAD_MS_MAX = 300_000

function spreadMs(agents: number): number {
  return Math.min(SPREAD_MS_MAX, Math.max(SPREAD_MS_MIN, (agents * 1_000) / RENEWALS_PER_S))
}

// By the generation alone for agents that name no epoch: it is above all of earlier epochs.
function isAfter(position: Position, { epoch = position.epoch, generation }: Known): boolean {
  return comparePositions(position, { epoch, generation }) > 0
}

// An agent that has seen a later epoch would refuse all that this controller has to give, and to go
// on waiting for something newer would look like a node at rest.
async function requireEpoch({ store, log }: ApiContext, node: string, seen: number): Promise<void> {
  const epoch = await store.transaction(tx => tx.desired.epoch())
  if (seen <= epoch) return
  log.warn({ node, epoch, seen }, 'an agent has seen a later epoch: is this an old copy?')
  throw new OperationalError(
    'epoch-outdated',
    `${node} has seen epoch ${seen}, this controller is in epoch ${epoch}`,
    {
      hint: `Stop it if another one took its place; else restore its backup again, with --above-epoch ${seen}.`,
    },
  )
}

// From 0 to 1.
function jitterOf({ random }: ApiContext): number {
  return (random(1)[0] ?? 0) / 255
}
