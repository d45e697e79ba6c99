// Operators and their tokens, as the operator's API answers them.

import * as z from 'zod/mini'
import { DurationMs, Name, TimeMs } from './schema.ts'

export const OPERATOR_RECORD_ROUTES = {
  operators: '/v1/operators',
  operator: '/v1/operators/:name',
  tokens: '/v1/operators/:name/tokens',
  token: '/v1/operators/:name/tokens/:id',
  deniedCertificates: '/v1/operators/:name/denied-certificates',
} as const

/** In answers to credentials that end soon: when, in the form of RFC 3339. */
export const CREDENTIAL_ENDS_HEADER = 'tlsfleet-credential-ends'

export const OperatorRole = z.enum(['viewer', 'operator', 'approver', 'admin'])
export type OperatorRole = z.infer<typeof OperatorRole>

/** In a client certificate, as alternative name: a URI, such as `spiffe://corp.example/operator/ada`, or a mail address. */
export const CertificateName = z
  .string()
  .check(z.maxLength(512), z.regex(/^([a-z][a-z0-9+.-]*:[\x21-\x7e]+|[^@\s:]+@[^@\s:]+)$/i))

/** GET whoami. `expiresAtMs`: of the token or certificate; absent: it does not end. */
export const WhoAmI = z.object({
  name: z.string(),
  role: OperatorRole,
  fleet: Name,
  credential: z.optional(
    z.object({
      kind: z.enum(['token', 'certificate']),
      /** Of the token; of a certificate its SHA-256. */
      id: z.string(),
      expiresAtMs: z.optional(TimeMs),
    }),
  ),
})
export type WhoAmI = Readonly<z.infer<typeof WhoAmI>>

const CertificateNames = z.array(CertificateName).check(z.maxLength(16))

/** POST operators. */
export const OperatorAdd = z.strictObject({
  name: Name,
  role: OperatorRole,
  certificateNames: z._default(CertificateNames, []),
})
export type OperatorAdd = Readonly<z.infer<typeof OperatorAdd>>

/** PUT operators/:name. Tokens of a role that goes beyond the new one do what both allow. */
export const OperatorChange = z.strictObject({
  role: OperatorRole,
  certificateNames: CertificateNames,
  disabled: z.boolean(),
})
export type OperatorChange = Readonly<z.infer<typeof OperatorChange>>

export const TokenView = z.object({
  id: z.string(),
  role: OperatorRole,
  createdAtMs: TimeMs,
  createdBy: z.string(),
  /** Absent: it does not end, as those that init made once. */
  expiresAtMs: z.optional(TimeMs),
  expired: z.boolean(),
  /** To the minute. */
  lastUsedAtMs: z.optional(TimeMs),
})
export type TokenView = Readonly<z.infer<typeof TokenView>>
export const TokenList = z.object({ tokens: z.array(TokenView) })
export type TokenList = Readonly<z.infer<typeof TokenList>>

export const OperatorView = z.object({
  name: Name,
  role: OperatorRole,
  disabled: z.boolean(),
  certificateNames: z.array(z.string()),
  createdAtMs: TimeMs,
  createdBy: z.string(),
  tokens: z.array(TokenView),
  /** Serials of client certificates that are not accepted any more. */
  deniedCertificates: z.array(z.object({ serial: z.string(), atMs: TimeMs, by: z.string() })),
})
export type OperatorView = Readonly<z.infer<typeof OperatorView>>
export const OperatorList = z.object({ operators: z.array(OperatorView) })
export type OperatorList = Readonly<z.infer<typeof OperatorList>>

export const TOKEN_LIFETIME_MS = 90 * 86_400_000
export const TOKEN_LIFETIME_MS_MAX = 366 * 86_400_000

/** POST operators/:name/tokens. Without a role: that of the operator. Without a lifetime: 90 days. */
export const TokenCreate = z.strictObject({
  role: z.optional(OperatorRole),
  lifetimeMs: z.optional(DurationMs.check(z.maximum(TOKEN_LIFETIME_MS_MAX))),
})
export type TokenCreate = Readonly<z.infer<typeof TokenCreate>>

/** The token is shown once, here. */
export const TokenCreated = z.object({
  token: z.string(),
  id: z.string(),
  role: OperatorRole,
  expiresAtMs: TimeMs,
})
export type TokenCreated = Readonly<z.infer<typeof TokenCreated>>

/** POST denied-certificates: the serial in hex, as OpenSSL shows it; colons may be in it. */
export const DenyCertificate = z.strictObject({
  serial: z.string().check(z.maxLength(128), z.regex(/^([0-9a-f]{1,2}:)*[0-9a-f]+$/i)),
})
export type DenyCertificate = Readonly<z.infer<typeof DenyCertificate>>
