// Pieces of requests that several routes share.

import type { FastifyReply } from 'fastify'
import * as z from 'zod/mini'
import { LONG_POLL_MAX_MS } from '../../shared/contract/protocol.ts'
import { Name } from '../../shared/contract/schema.ts'

/** A whole number in a query. */
export function count(minimum: number, maximum: number) {
  return z.pipe(
    z.string().check(z.regex(/^\d{1,15}$/)),
    z.pipe(z.transform(Number), z.int().check(z.minimum(minimum), z.maximum(maximum))),
  )
}

export const WaitMs = count(0, LONG_POLL_MAX_MS)
export const NodeParams = z.strictObject({ name: Name })
export const Nothing = z.strictObject({})

/** Aborted when the caller has gone. */
export function departureOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => controller.abort())
  return controller.signal
}
