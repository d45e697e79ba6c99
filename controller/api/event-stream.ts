// Server-sent events (HTML Standard, section 9.2): how they are written, for how many at once, and for
// how long they wait for a reader that does not read.

import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import { EVENT_STREAM_TYPE } from '../../shared/contract/watch.ts'
import { OperationalError } from '../../shared/errors.ts'

/** Below the idle timeouts of common proxies. */
export const HEARTBEAT_MS = 15_000
export const HEARTBEAT = ': still here\n\n'
/** What has been sent and not been read for so long is for nobody. */
const PATIENCE_MS = 30_000
/** A client that lost its connection comes back after this. */
export const RETRY = 'retry: 2000\n\n'

/** Does the caller want events in place of one answer? */
export function acceptsStream({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return (headers.accept ?? '').includes(EVENT_STREAM_TYPE)
}

/** JSON has no line breaks, so that one `data:` line is enough. */
export function eventFrame(event: string, data: object, id?: number): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}

export interface StreamOptions {
  readonly clock: Pick<Clock, 'sleep'>
  readonly patienceMs?: number
  /** Ends the connection of a reader that is too slow. */
  readonly cut: () => void
}

/** The same frames; each must be taken before the patience is over. */
export async function* insisting(
  frames: AsyncIterable<string>,
  { clock, patienceMs = PATIENCE_MS, cut }: StreamOptions,
): AsyncGenerator<string> {
  for await (const frame of frames) {
    const taken = new AbortController()
    void clock.sleep(patienceMs, taken.signal).then(() => {
      if (!taken.signal.aborted) cut()
    })
    try {
      yield frame
    } finally {
      taken.abort()
    }
  }
}

export function sendEvents(
  reply: FastifyReply,
  frames: AsyncIterable<string>,
  clock: Pick<Clock, 'sleep'>,
): FastifyReply {
  const cut = () => reply.raw.destroy()
  const content = Readable.from(insisting(frames, { clock, cut }), { objectMode: false })
  return reply.type(EVENT_STREAM_TYPE).header('x-accel-buffering', 'no').send(content)
}

export interface StreamLimits {
  /** Throws `too-many-streams`; call the result when the stream has ended. */
  enter(caller: string): () => void
}

/** Each costs a connection and some kilobytes. A person has a dashboard and some terminals. */
export const STREAMS_OF_CALLER = 8
const STREAMS_MAX = 256

export function createStreamLimits({
  ofCaller = STREAMS_OF_CALLER,
  overall = STREAMS_MAX,
}: {
  readonly ofCaller?: number
  readonly overall?: number
} = {}): StreamLimits {
  const open = new Map<string, Set<symbol>>()
  let count = 0
  return {
    enter(caller) {
      const streams = open.get(caller) ?? new Set<symbol>()
      if (streams.size >= ofCaller || count >= overall)
        throw new OperationalError('too-many-streams', `${caller} watches too much at once`, {
          retryable: true,
          hint: `${ofCaller} streams a caller, ${overall} in all; one stream takes every resource.`,
        })
      const stream = Symbol(caller)
      open.set(caller, streams.add(stream))
      count++
      return () => {
        if (!streams.delete(stream)) return
        count--
        if (streams.size === 0) open.delete(caller)
      }
    },
  }
}
