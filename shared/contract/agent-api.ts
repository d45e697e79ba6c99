// Requests and answers between agent and controller, beside the desired state and the report.

import * as z from 'zod/mini'
import { Debt, DEBTS_MAX } from './debts.ts'
import { DesiredContent } from './desired-state.ts'
import { PROBES_MAX, ProbeRequest } from './probes.ts'
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
  /** What the controller wants looked at from here; answered one by one through POST probe. */
  probes: z.optional(z.array(ProbeRequest).check(z.maxLength(PROBES_MAX))),
  /** What other members of this node's clusters owe and do not pay; answered through POST debts. */
  debts: z.optional(z.array(Debt).check(z.maxLength(DEBTS_MAX))),
  /** Roots by which the agent is to trust controllers from now on; absent: as before. */
  identityTrust: z.optional(z.array(Pem).check(z.minLength(1), z.maxLength(8))),
  /** SHA-256 of the CA certificate that identities come from now: one that another has issued is renewed at once. */
  identityIssuer: z.optional(Digest),
  /** With `identityIssuer`: over so long the agents of the fleet spread these renewals. */
  identityWithinMs: z.optional(z.int().check(z.nonnegative())),
  /** Something that the agent waits for has happened (a certificate was signed): look at once. */
  wake: z.optional(z.boolean()),
  /** Is this node in a group, so that it disturbs its services with a lease only? Absent: as before. */
  grouped: z.optional(z.boolean()),
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

/** Answer of renew and renew-expired. `identityTrust` as in the desired answer. */
export const RenewAnswer = z.object({
  certificateChain: Pem,
  identityTrust: z.optional(z.array(Pem).check(z.minLength(1), z.maxLength(8))),
})
export type RenewAnswer = Readonly<z.infer<typeof RenewAnswer>>
export const parseRenewAnswer = parser('renew answer', RenewAnswer)

/** GET whoami (mTLS): the identity of this connection is accepted. */
export const WhoIsIt = z.object({ fleet: Name, node: Name })
export type WhoIsIt = Readonly<z.infer<typeof WhoIsIt>>
export const parseWhoIsIt = parser('whoami answer', WhoIsIt)

/**
 * POST renew-expired (no client certificate): as renew, for an identity that has ended. `oldKeyProof`
 * = purpose 'renew-expired', context [node, SHA-256 of the new SPKI in hex, channel binding in
 * base64url], signed with the key of the certificate with this fingerprint.
 */
export const RenewExpiredRequest = z.strictObject({
  fingerprint: Digest,
  publicKey: Pem,
  proof: z.string().check(z.maxLength(2048)),
  oldKeyProof: z.string().check(z.maxLength(2048)),
})
export type RenewExpiredRequest = Readonly<z.infer<typeof RenewExpiredRequest>>

/** POST sign: a leaf for a service of this node. Names come from the node record. `proof` = purpose 'sign', context [node, service]. */
export const SignRequest = z.strictObject({
  service: ServiceName,
  publicKey: Pem,
  proof: z.string().check(z.maxLength(2048)),
  /** The generation whose certificate spec is meant; must be this node's current one. */
  generation: Generation,
  /** PKCS#10 request of the same key, PEM: for issuers `csr` and `acme`, whose CA wants one. */
  csr: z.optional(Pem),
})
export type SignRequest = Readonly<z.infer<typeof SignRequest>>

/** Exactly one of the two: the chain, or why there is none yet. Whoever waits asks again with the same key. */
export const SignAnswer = z.object({
  certificateChain: z.optional(Pem),
  pending: z.optional(Reason),
})
export type SignAnswer = Readonly<z.infer<typeof SignAnswer>>
export const parseSignAnswer = parser('sign answer', SignAnswer)

/**
 * POST provided: the pair that an operator has uploaded for a service of this node, of issuer
 * `provided`. Which one, the node's current document says.
 */
export const ProvidedRequest = z.strictObject({
  service: ServiceName,
  /** As in the sign request. */
  generation: Generation,
})
export type ProvidedRequest = Readonly<z.infer<typeof ProvidedRequest>>

/** The one answer of this API that holds a private key. */
export const ProvidedAnswer = z.object({
  certificateChain: Pem,
  privateKey: z.string().check(z.maxLength(16 * 1024), z.startsWith('-----BEGIN ')),
})
export type ProvidedAnswer = Readonly<z.infer<typeof ProvidedAnswer>>
export const parseProvidedAnswer = parser('provided answer', ProvidedAnswer)

/**
 * POST lease, before the point of no return: claim of the permit of exactly this generation, or of
 * the leases of the node's groups for a renewal or a correction. These name the newest document too,
 * whichever one is in force: it says what the agent knows. Idempotent.
 */
/** What the nodes of a coordinated section do one after the other, each all at once; who asks to `stop` is saved. */
export const SectionAct = z.enum(['stop', 'switch', 'start'])
export type SectionAct = z.infer<typeof SectionAct>

export const LeaseRequest = z.strictObject({
  purpose: z.enum(['rollout', 'renewal', 'correction']),
  /** Of a permit that is claimed already: what the node would do next, all before it being done. */
  act: z.optional(SectionAct),
  generation: Generation,
  digest: Digest,
  /** Of the agent's last report, sent or not: only a later one tells how this ended. */
  sequence: z.optional(z.int().check(z.nonnegative())),
})
export type LeaseRequest = Readonly<z.infer<typeof LeaseRequest>>

/** `grouped` as in the desired answer. */
export const LeaseAnswer = z.object({
  granted: z.boolean(),
  /** To an `act` that is not granted: asked again, it may be. Absent: it never will, what was done is undone. */
  again: z.optional(z.boolean()),
  reason: Reason,
  grouped: z.optional(z.boolean()),
})
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
