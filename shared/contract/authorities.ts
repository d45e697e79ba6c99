// The CAs of the controller, as the operator's API answers them.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Digest, Pem, TimeMs } from './schema.ts'

export const AuthorityKind = z.enum(['identity', 'service'])
export type AuthorityKind = z.infer<typeof AuthorityKind>

/**
 * `prepared`: exists, nobody trusts it. `trusted`: clients trust it, it does not sign. `active`: it signs.
 * `outgoing`: trusted, does not sign any more. `retired`: not trusted any more. `denied`: its keys are
 * destroyed.
 */
export const AuthorityState = z.enum([
  'prepared',
  'trusted',
  'active',
  'outgoing',
  'retired',
  'denied',
])
export type AuthorityState = z.infer<typeof AuthorityState>

export const CaCertificateView = z.object({
  fingerprint: Digest,
  subject: z.string(),
  notBeforeMs: TimeMs,
  notAfterMs: TimeMs,
  pem: Pem,
})
export type CaCertificateView = Readonly<z.infer<typeof CaCertificateView>>

export const AuthorityView = z.object({
  id: z.string(),
  kind: AuthorityKind,
  state: AuthorityState,
  /** Since when it is in this state. */
  changedAtMs: TimeMs,
  createdAtMs: TimeMs,
  /** Since when it is known to be in the wrong hands. */
  taintedAtMs: z.optional(TimeMs),
  /** `sealed`: in the store. `offline`: kept elsewhere. */
  rootKey: z.enum(['sealed', 'offline', 'destroyed']),
  root: CaCertificateView,
  /** `sha256:…` of the key of the root. */
  pin: z.string(),
  intermediate: CaCertificateView,
  /** Intermediates that signed before, oldest first. */
  former: z.array(CaCertificateView),
  /** What the intermediate may sign for; absent: everything. */
  zones: z.optional(z.object({ dns: z.array(z.string()), ip: z.array(z.string()) })),
})
export type AuthorityView = Readonly<z.infer<typeof AuthorityView>>

/** Identity CAs first, each kind in the order in which they were made. */
export const AuthorityList = z.object({ authorities: z.array(AuthorityView), next: Next })
export type AuthorityList = Readonly<z.infer<typeof AuthorityList>>
