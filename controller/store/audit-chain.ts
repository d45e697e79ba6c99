// The audit log's hash chain: each record's hash covers the one before it, so a record that was
// changed, removed or slipped in shows at the first place where the chain does not hold.

import { canonicalJson, sha256 } from '../../shared/digest.ts'
import type { AuditRecord } from './audit-store.ts'

/** What stands before the first record. */
export const AUDIT_GENESIS = '0'.repeat(64)

export type AuditVerdict =
  | { readonly kind: 'intact' }
  /** The first record that is not what was written, or that the one before it does not lead to. */
  | { readonly kind: 'broken'; readonly sequence: number }

/** `previous` is the record before the first of `records`; without it they begin with the first ever. */
export function verifyAudit(records: readonly AuditRecord[], previous?: AuditRecord): AuditVerdict {
  let hash = previous?.hash ?? AUDIT_GENESIS
  let sequence = previous?.sequence ?? 0
  for (const record of records) {
    sequence++
    const { hash: claimed, ...rest } = record
    if (record.sequence !== sequence || auditHash(hash, rest) !== claimed) {
      return { kind: 'broken', sequence }
    }
    hash = claimed
  }
  return { kind: 'intact' }
}

export function auditHash(previousHash: string, record: Omit<AuditRecord, 'hash'>): string {
  const { reason, ...rest } = record
  return sha256(`${previousHash}${canonicalJson({ ...rest, reason: reason && { ...reason } })}`)
}
