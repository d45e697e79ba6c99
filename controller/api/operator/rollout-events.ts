// GET events of a rollout: its log, as a long poll, or as server-sent events for whoever accepts them.
// Each version comes exactly once and in order: both read the log after what was told last.

import type { FastifyRequest } from 'fastify'
import * as z from 'zod/mini'
import {
  OPERATOR_ROUTES,
  RolloutEventList,
  type RolloutView,
} from '../../../shared/contract/operator-api.ts'
import { LONG_POLL_MS } from '../../../shared/contract/protocol.ts'
import { EVENT_STREAM_TYPE } from '../../../shared/contract/watch.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { hasEnded } from '../../rollout/evolve.ts'
import type { Rollout } from '../../rollout/rollout.ts'
import type { Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import {
  acceptsStream,
  eventFrame,
  HEARTBEAT,
  HEARTBEAT_MS,
  RETRY,
  sendEvents,
} from '../event-stream.ts'
import { count, departureOf, RolloutParams, WaitMs } from '../fields.ts'
import { longPoll } from '../wake-board.ts'
import { eventView, rolloutView } from './rollout-view.ts'
import { whyRefused } from './watch.ts'

const EVENTS_MAX = 500

const Version = count(0, Number.MAX_SAFE_INTEGER)
const Query = z.strictObject({
  after: z.optional(Version.check(z.describe('The version of the last event that is known'))),
  wait: z.optional(WaitMs),
})

export function rolloutEventsRoute(app: App, context: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.rolloutEvents,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Follow a rollout: events after a version',
        description: `A long poll, answered when there is something, or the rollout has ended. With \`Accept: ${EVENT_STREAM_TYPE}\` a stream instead: \`event\` for each event, with its version as id, so that \`Last-Event-ID\` resumes without a gap; \`end\` when the rollout has ended and all is told.`,
        params: RolloutParams,
        querystring: Query,
        response: {
          200: {
            description: 'The rollout as it is now, and events after the version',
            content: {
              'application/json': { schema: RolloutEventList },
              [EVENT_STREAM_TYPE]: { schema: z.string() },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const signal = AbortSignal.any([context.closing, departureOf(reply)])
      const after = lastKnown(request) ?? request.query.after ?? 0
      if (!acceptsStream(request)) {
        const wait = request.query.wait ?? LONG_POLL_MS
        return reply.send(await poll(context, { id, after, wait, signal }))
      }
      const { rolloutWakes, streams, clock } = context
      // Before the headers are out: an unknown rollout is a 404.
      await readLog(context, id, after)
      const leave = streams.enter(operatorOf(request).name)
      reply.raw.once('close', leave)
      const frames = eventFrames({
        after,
        signal,
        read: version => readLog(context, id, version),
        judge: () => whyRefused(context, request),
        nap: async (look: () => Promise<boolean>) => {
          await longPoll({
            board: rolloutWakes,
            key: id,
            waitMs: HEARTBEAT_MS,
            clock,
            signal,
            look: async () => ((await look()) ? true : undefined),
          })
        },
      })
      return sendEvents(reply, frames, clock)
    },
  )
}

function lastKnown({ headers }: FastifyRequest): number | undefined {
  const given = headers['last-event-id']
  if (given === undefined || given === '') return undefined
  if (typeof given === 'string' && /^\d{1,15}$/.test(given)) return Number(given)
  throw new OperationalError('malformed-request', 'Last-Event-ID is the version of an event')
}

interface Poll {
  readonly id: string
  readonly after: number
  readonly wait: number
  readonly signal: AbortSignal
}

async function poll(
  context: ApiContext,
  { id, after, wait, signal }: Poll,
): Promise<RolloutEventList> {
  const found = await longPoll({
    board: context.rolloutWakes,
    key: id,
    waitMs: wait,
    clock: context.clock,
    signal,
    look: async () => {
      const seen = await read(context, id, after)
      return seen.events.length > 0 || seen.hasEnded ? seen : undefined
    },
  })
  const { rollout, events } = found ?? (await read(context, id, after))
  return { rollout, events: [...events] }
}

interface Seen {
  readonly rollout: RolloutView
  readonly events: RolloutEventList['events']
  readonly hasEnded: boolean
}

async function read({ store }: Pick<ApiContext, 'store'>, id: string, after: number) {
  return store.transaction(async (tx): Promise<Seen> => {
    const rollout = await requireRollout(tx, id)
    const stored = await tx.rollouts.events(id, { after, limit: EVENTS_MAX })
    return {
      rollout: await viewWithWaits(tx, rollout),
      events: stored.map(eventView),
      hasEnded: hasEnded(rollout),
    }
  })
}

interface Told {
  readonly events: RolloutEventList['events']
  /** Of a rollout that has ended, when there is nothing left to tell. */
  readonly end?: Pick<RolloutView, 'status' | 'reason'>
}

// The rollout itself is as large as the fleet: it is read only when its log has nothing new.
async function readLog({ store }: Pick<ApiContext, 'store'>, id: string, after: number) {
  return store.transaction(async (tx): Promise<Told> => {
    const events = (await tx.rollouts.events(id, { after, limit: EVENTS_MAX })).map(eventView)
    if (events.length > 0) return { events }
    const rollout = await requireRollout(tx, id)
    const { status, reason } = rollout
    if (!hasEnded(rollout)) return { events }
    return { events, end: { status, ...(reason === undefined ? {} : { reason }) } }
  })
}

export interface EventFrames {
  readonly after: number
  readonly signal: AbortSignal
  readonly read: (after: number) => Promise<Told>
  readonly judge: () => Promise<{ readonly code: string; readonly message: string } | undefined>
  /** Returns when `look` says so, or after a heartbeat's time. */
  readonly nap: (look: () => Promise<boolean>) => Promise<void>
}

export async function* eventFrames(stream: EventFrames): AsyncGenerator<string> {
  const { signal } = stream
  let { after } = stream
  yield RETRY
  while (!signal.aborted) {
    const { events, end } = await stream.read(after)
    for (const event of events) {
      yield eventFrame('event', event, event.version)
      after = event.version
    }
    if (events.length > 0) continue
    if (end !== undefined) return yield eventFrame('end', end)
    let hasNews = false
    await stream.nap(async () => {
      const seen = await stream.read(after)
      hasNews = seen.events.length > 0 || seen.end !== undefined
      return hasNews
    })
    if (hasNews || signal.aborted) continue
    const refused = await stream.judge()
    if (refused !== undefined) return yield eventFrame('end', refused)
    yield HEARTBEAT
  }
}

// Only while nodes prepare is there something that their reports know and the rollout does not.
export async function viewWithWaits(tx: Transaction, rollout: Rollout): Promise<RolloutView> {
  const view = rolloutView(rollout)
  const isPreparing = view.steps.some(({ state }) => state === 'assigned')
  if (hasEnded(rollout) || !isPreparing) return view
  return rolloutView(rollout, await tx.rollouts.members(rollout.id))
}

export async function requireRollout(tx: Transaction, id: string): Promise<Rollout> {
  const rollout = await tx.rollouts.get(id)
  if (rollout === undefined) throw new OperationalError('not-found', `there is no rollout ${id}`)
  return rollout
}
