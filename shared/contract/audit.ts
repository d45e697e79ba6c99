// The audit log, as the operator's API answers it.

import * as z from 'zod/mini'
import { Digest, Reason, TimeMs } from './schema.ts'

export const AUDIT_ROUTES = {
  audit: '/v1/audit',
  head: '/v1/audit/head',
  verify: '/v1/audit/verify',
  record: '/v1/audit/records/:sequence',
} as const

/** The hash covers the hash before it and this record: see docs/security.md. */
export const AuditRecordView = z.object({
  sequence: z.int().check(z.positive()),
  atMs: TimeMs,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  reason: z.optional(Reason),
  hash: Digest,
})
export type AuditRecordView = Readonly<z.infer<typeof AuditRecordView>>

/** Newest first. The next page: `?before=<next>`, or `?after=<next>` where that was asked for, which is oldest first; absent on the last one. */
export const AuditList = z.object({
  records: z.array(AuditRecordView),
  next: z.optional(z.int()),
})
export type AuditList = Readonly<z.infer<typeof AuditList>>

/** Kept elsewhere, it shows later whether the log was cut off or written anew. Sequence 0: there is no record. */
export const AuditHead = z.object({ sequence: z.int(), hash: Digest, atMs: z.optional(TimeMs) })
export type AuditHead = Readonly<z.infer<typeof AuditHead>>

/** `broken`: the first record that is not what was written. `head-missing`: the chain holds, and the head that was given is not in it. */
export const AuditVerdict = z.object({
  verdict: z.enum(['intact', 'broken', 'head-missing']),
  /** Records that were looked at. */
  records: z.int(),
  /** Of a broken one. */
  sequence: z.optional(z.int()),
  head: z.optional(AuditHead),
  message: z.string(),
})
export type AuditVerdict = Readonly<z.infer<typeof AuditVerdict>>
