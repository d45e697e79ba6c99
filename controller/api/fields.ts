// Pieces of requests that several routes share.

import type { FastifyReply } from 'fastify'
import * as z from 'zod/mini'
import { LONG_POLL_MAX_MS } from '../../shared/contract/protocol.ts'
import { Name, type Reason } from '../../shared/contract/schema.ts'

/** A whole number in a query. */
export function count(minimum: number, maximum: number) {
  return z.pipe(
    z.string().check(z.regex(/^\d{1,15}$/)),
    z.pipe(z.transform(Number), z.int().check(z.minimum(minimum), z.maximum(maximum))),
  )
}

export const WaitMs = count(0, LONG_POLL_MAX_MS)
export const NodeParams = z.strictObject({ name: Name })
/** For the audit log. */
export const Why = z.string().check(z.minLength(1), z.maxLength(1024))

/** As the audit log has it: `operator-<verb>`, in the caller's words. */
export function reasonOf(verb: string, given: string | undefined): { readonly reason?: Reason } {
  return given === undefined ? {} : { reason: { code: `operator-${verb}`, message: given } }
}

/** Of rollouts and rotations. */
export const Id = z.string().check(z.regex(/^[A-Za-z0-9-]{1,64}$/))
export const RolloutParams = z.strictObject({ id: Id })
export const OperatorParams = z.strictObject({ name: Name })
export const Nothing = z.strictObject({})

/** Aborted when the caller has gone. */
export function departureOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => controller.abort())
  return controller.signal
}
