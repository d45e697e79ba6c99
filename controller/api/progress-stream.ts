// An answer that takes a while, as server-sent events: how far it is, then the answer itself. For whoever
// accepts such a stream; anybody else waits for the answer alone.

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import type { Problem } from '../../shared/contract/agent-api.ts'
import { operatorOf } from './caller.ts'
import type { ApiContext } from './context.ts'
import { problemOf } from './errors.ts'
import { eventFrame, sendEvents } from './event-stream.ts'

export interface Awaited<P extends object> {
  /** The body of the answer. */
  readonly answer: Promise<object>
  /** As of now; a new object when it has changed. */
  readonly progress: () => P
}

/** Never rejects: what went wrong after the headers were out is told in the stream, as `problem`. */
export function sendProgress<P extends object>(
  { clock, streams, log }: Pick<ApiContext, 'clock' | 'streams' | 'log'>,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  awaited: Awaited<P>,
): FastifyReply {
  // Nobody may be there any more to hear how it ended.
  awaited.answer.catch(() => undefined)
  reply.raw.once('close', streams.enter(operatorOf(request).name))
  const frames = progressFrames({
    ...awaited,
    clock,
    problem(error) {
      const problem = problemOf(error, request)
      if (problem.status >= 500 && problem.code !== 'closing')
        log.error({ err: error, requestId: request.id, path: request.url }, 'request failed')
      return problem
    },
  })
  return sendEvents(reply, frames, clock)
}

export interface ProgressFrames<P extends object> extends Awaited<P> {
  readonly clock: Pick<Clock, 'sleep'>
  readonly problem: (error: unknown) => Problem
}

const LOOK_MS = 500
/** Told again although it is the same: below the idle timeouts of proxies, and a reader sees that we are there. */
const SAME_LOOKS_MAX = 10

/** Events `progress`, each when there is news; at the end one `answer` or `problem`. */
export async function* progressFrames<P extends object>({
  answer,
  progress,
  clock,
  problem,
}: ProgressFrames<P>): AsyncGenerator<string> {
  const over = new AbortController()
  const settled = answer.then(
    () => over.abort(),
    () => over.abort(),
  )
  let told: P | undefined
  let same = 0
  while (!over.signal.aborted) {
    const now = progress()
    if (now !== told || same >= SAME_LOOKS_MAX) {
      yield eventFrame('progress', now)
      told = now
      same = 0
    }
    same++
    await Promise.race([settled, clock.sleep(LOOK_MS, over.signal)])
  }
  try {
    yield* pieces('answer', JSON.stringify(await answer))
  } catch (error) {
    yield eventFrame('problem', problem(error))
  }
}

// Each piece must be taken before the patience with a reader is over: a large answer in one would cut
// off everybody whose line is slow.
const PIECE_CHARACTERS = 64 * 1024

function* pieces(event: string, data: string): Generator<string> {
  yield `event: ${event}\ndata: `
  for (let start = 0; start < data.length; start += PIECE_CHARACTERS)
    yield data.slice(start, start + PIECE_CHARACTERS)
  yield '\n\n'
}
