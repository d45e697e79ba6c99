// GET watch: one stream of what changes, for the dashboard and for whoever else stays up to date.
// Nothing is computed here but which ids to name, and nothing at all while nobody watches.

import type { FastifyRequest } from 'fastify'
import * as z from 'zod/mini'
import { EVENT_STREAM_TYPE, WATCH_ROUTE, WatchResource } from '../../../shared/contract/watch.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { operatorOf } from '../caller.ts'
import type { FeedSubscription } from '../change-feed.ts'
import type { ApiContext, App } from '../context.ts'
import { eventFrame, HEARTBEAT, HEARTBEAT_MS, RETRY, sendEvents } from '../event-stream.ts'
import { departureOf } from '../fields.ts'

/** Told at once, and then so often at most: a fleet that reports all together is one event a second. */
const GATHER_MS = 1_000

const Resources = z.pipe(
  z.string().check(z.regex(/^[a-z,]{1,200}$/)),
  z.pipe(
    z.transform((text: string) => [...new Set(text.split(','))]),
    z.array(WatchResource),
  ),
)
const Query = z.strictObject({
  resources: Resources.check(
    z.describe(`Separated by commas; of ${WatchResource.options.join(', ')}`),
  ),
})

export function watchRoute(app: App, context: ApiContext): void {
  const { changes, streams, clock, closing } = context
  app.get(
    WATCH_ROUTE,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Watch resources: server-sent events that name what has changed',
        description:
          'First `resync` for each resource: fetch its list. Then `change` with the ids of what is not as it was, once a second at most; `resync` again when there are more than can be named. `end` says why the stream is over. A comment comes every 15 seconds. There is nothing to resume: a new stream begins with `resync`.',
        querystring: Query,
        response: {
          200: {
            description: 'Events without end',
            content: { [EVENT_STREAM_TYPE]: { schema: z.string() } },
          },
        },
      },
    },
    async (request, reply) => {
      const { resources } = request.query
      const leave = streams.enter(operatorOf(request).name)
      const subscription = changes.subscribe(resources)
      const departure = departureOf(reply)
      departure.addEventListener('abort', () => {
        subscription.end()
        leave()
      })
      const signal = AbortSignal.any([closing, departure])
      const judge = () => whyRefused(context, request)
      const frames = watchFrames({ resources, subscription, clock, signal, judge })
      return sendEvents(reply, frames, clock)
    },
  )
}

export interface Watch extends Pick<ApiContext, 'clock'> {
  readonly resources: readonly WatchResource[]
  readonly subscription: Pick<FeedSubscription, 'wait' | 'take'>
  readonly signal: AbortSignal
  /** Why the caller may not watch any more. */
  readonly judge: () => Promise<StreamEnd | undefined>
}

interface StreamEnd {
  readonly code: string
  readonly message: string
}

const CLOSING: StreamEnd = { code: 'closing', message: 'the controller is closing' }

export async function* watchFrames(watch: Watch): AsyncGenerator<string> {
  const { resources, subscription, clock, signal, judge } = watch
  yield RETRY
  for (const resource of resources) yield eventFrame('resync', { resource })
  let judgedMs = clock.monotonic()
  while (!signal.aborted) {
    const hasNews = await subscription.wait(HEARTBEAT_MS, signal)
    if (signal.aborted) break
    const { changes, isToBeJudged } = subscription.take()
    // Also a token that has expired meanwhile, or whose role was changed.
    if (isToBeJudged || clock.monotonic() - judgedMs >= HEARTBEAT_MS) {
      const refused = await judge()
      if (refused !== undefined) return yield eventFrame('end', refused)
      judgedMs = clock.monotonic()
    }
    if (!hasNews) yield HEARTBEAT
    for (const { resource, ids } of changes)
      yield ids === undefined
        ? eventFrame('resync', { resource })
        : eventFrame('change', { resource, ids })
    if (changes.length > 0) await clock.sleep(GATHER_MS, signal)
  }
  yield eventFrame('end', CLOSING)
}

/** The credentials of the request, judged as they are now. */
export async function whyRefused(
  { authentication }: Pick<ApiContext, 'authentication'>,
  request: FastifyRequest,
): Promise<StreamEnd | undefined> {
  try {
    await authentication.operator(request)
    return undefined
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return { code: error.code, message: error.message }
  }
}
