// Requests and answers between agent and controller, beside the desired state and the report.

import * as z from 'zod/mini'
import { DesiredContent } from './desired-state.ts'
import { Digest, Generation, Name, Pem, Reason, parser } from './schema.ts'
import { ServiceName } from './service.ts'

const PreviewRequest = z.object({
  previewId: z.string().check(z.maxLength(64)),
  content: DesiredContent,
})
export type PreviewRequest = Readonly<z.infer<typeof PreviewRequest>>

/**
 * Answer of `GET /agent/v1/desired?generation=N&wait=ms`. The envelope may grow, the document
 * inside is strict. `document` is present when its generation is above the one in the question (or
 * none was given); it is left unparsed here so that an unknown option is reported as `unsupported`
 * and not as a broken answer. `preview` asks for a plan of another content; the agent answers it
 * through POST preview and applies nothing.
 */
export const DesiredAnswer = z.object({
  document: z.optional(z.unknown()),
  preview: z.optional(PreviewRequest),
  /** Controller's wall clock, for a skew diagnostic only. */
  nowMs: z.int(),
})
export type DesiredAnswer = Readonly<z.infer<typeof DesiredAnswer>>
export const parseDesiredAnswer = parser('desired answer', DesiredAnswer)

/** POST enroll. `proof` = signProof({ purpose: 'enroll', context: [tokenId], key }). */
export const EnrollRequest = z.strictObject({
  tokenId: z.string().check(z.maxLength(64)),
  tokenSecret: z.string().check(z.maxLength(128)),
  publicKey: Pem,
  proof: z.string().check(z.maxLength(2048)),
  facts: z.record(z.string().check(z.maxLength(64)), z.string().check(z.maxLength(512))),
})
export type EnrollRequest = Readonly<z.infer<typeof EnrollRequest>>

export const EnrollAnswer = z.object({
  fleet: Name,
  node: Name,
  /** Leaf and intermediate of the identity CA. */
  certificateChain: Pem,
  /** Root(s) of the identity CA: what the agent trusts controllers by, from now on. */
  identityTrust: z.array(Pem).check(z.maxLength(8)),
  /** Base URL of the agent listener. */
  agentUrl: z.string().check(z.maxLength(512)),
})
export type EnrollAnswer = Readonly<z.infer<typeof EnrollAnswer>>
export const parseEnrollAnswer = parser('enroll answer', EnrollAnswer)

/** POST renew (mTLS): a new identity certificate for a new key. `proof` context: [node]. */
export const RenewRequest = z.strictObject({
  publicKey: Pem,
  proof: z.string().check(z.maxLength(2048)),
})
export type RenewRequest = Readonly<z.infer<typeof RenewRequest>>

/** POST sign: a leaf for a service of this node. Names come from the node record. `proof` = purpose 'sign', context [node, service]. */
export const SignRequest = z.strictObject({
  service: ServiceName,
  publicKey: Pem,
  proof: z.string().check(z.maxLength(2048)),
  /** The generation whose certificate spec is meant; must be this node's current one. */
  generation: Generation,
})
export type SignRequest = Readonly<z.infer<typeof SignRequest>>

export const SignAnswer = z.object({ certificateChain: Pem })
export type SignAnswer = Readonly<z.infer<typeof SignAnswer>>
export const parseSignAnswer = parser('sign answer', SignAnswer)

/** POST lease: claim of the permit of exactly this generation, before the point of no return. Idempotent. */
export const LeaseRequest = z.strictObject({
  purpose: z.enum(['rollout', 'renewal', 'correction']),
  generation: Generation,
  digest: Digest,
})
export type LeaseRequest = Readonly<z.infer<typeof LeaseRequest>>

export const LeaseAnswer = z.object({ granted: z.boolean(), reason: Reason })
export type LeaseAnswer = Readonly<z.infer<typeof LeaseAnswer>>
export const parseLeaseAnswer = parser('lease answer', LeaseAnswer)

/** Body of every error answer (RFC 9457 media type application/problem+json). No more than code and request id leave the server besides the message. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.optional(z.string()),
  hint: z.optional(z.string()),
  requestId: z.optional(z.string()),
  /** For documents: where what is wrong. */
  problems: z.optional(
    z.array(
      z.object({
        message: z.string(),
        line: z.optional(z.int()),
        column: z.optional(z.int()),
        path: z.optional(z.string()),
      }),
    ),
  ),
})
export type Problem = Readonly<z.infer<typeof Problem>>
