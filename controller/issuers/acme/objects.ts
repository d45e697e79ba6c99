// What a directory answers (RFC 8555, section 7.1), as far as it is used. A directory is another
// party: everything is bounded, and URLs lead to https only.

import * as z from 'zod/mini'
import { parser } from '../../../shared/contract/schema.ts'

const HttpsUrl = z.string().check(
  z.maxLength(2048),
  z.refine(text => URL.parse(text)?.protocol === 'https:', { error: 'is not an https URL' }),
)

export const DirectoryObject = z.object({
  newNonce: HttpsUrl,
  newAccount: HttpsUrl,
  newOrder: HttpsUrl,
  meta: z.optional(
    z.object({
      termsOfService: z.optional(z.string().check(z.maxLength(2048))),
      externalAccountRequired: z.optional(z.boolean()),
    }),
  ),
})
export type DirectoryObject = z.infer<typeof DirectoryObject>

const Subproblem = z.object({
  type: z.optional(z.string().check(z.maxLength(256))),
  detail: z.optional(z.string().check(z.maxLength(8192))),
  identifier: z.optional(z.object({ type: z.string(), value: z.string().check(z.maxLength(256)) })),
})

/** RFC 7807, and RFC 8555 section 6.7.1. */
export const ProblemObject = z.object({
  type: z.optional(z.string().check(z.maxLength(256))),
  detail: z.optional(z.string().check(z.maxLength(8192))),
  subproblems: z.optional(z.array(Subproblem).check(z.maxLength(200))),
})
export type ProblemObject = z.infer<typeof ProblemObject>

const Identifier = z.object({
  type: z.string().check(z.maxLength(32)),
  value: z.string().check(z.maxLength(256)),
})

const OrderObject = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  identifiers: z.array(Identifier).check(z.maxLength(200)),
  authorizations: z.array(HttpsUrl).check(z.maxLength(200)),
  finalize: HttpsUrl,
  certificate: z.optional(HttpsUrl),
  error: z.optional(ProblemObject),
})
export type OrderObject = z.infer<typeof OrderObject>

const ChallengeObject = z.object({
  type: z.string().check(z.maxLength(64)),
  url: HttpsUrl,
  status: z.enum(['pending', 'processing', 'valid', 'invalid']),
  /** Goes into a path of ours and to a program: no other character is in it (RFC 8555, 8). */
  token: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_-]{1,256}$/))),
  error: z.optional(ProblemObject),
})
export type ChallengeObject = z.infer<typeof ChallengeObject>

const AuthorizationObject = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: Identifier,
  wildcard: z.optional(z.boolean()),
  challenges: z.array(ChallengeObject).check(z.maxLength(32)),
})
export type AuthorizationObject = z.infer<typeof AuthorizationObject>

const MALFORMED = 'acme-answer-malformed'

export const parseDirectory = parser('directory', DirectoryObject, MALFORMED)
export const parseOrder = parser('order', OrderObject, MALFORMED)
export const parseAuthorization = parser('authorization', AuthorizationObject, MALFORMED)
