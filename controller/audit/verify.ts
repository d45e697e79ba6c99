// Is the audit log what was written? The chain shows what was changed, taken out, put in or moved. That its end
// was cut off, or all of it written anew, shows only against a head that was kept elsewhere.

import type { AuditHead, AuditVerdict } from '../../shared/contract/audit.ts'
import { OperationalError } from '../../shared/errors.ts'
import { AUDIT_GENESIS, verifyAudit } from '../store/audit-chain.ts'
import type { AuditRecord } from '../store/audit-store.ts'

/** Oldest first. `unreadable`: what stands there is no record. */
export type AuditPiece =
  | { readonly kind: 'records'; readonly records: readonly AuditRecord[] }
  | { readonly kind: 'unreadable' }

/** A head that was kept: its hash, and its number where that is known. */
export interface Anchor {
  readonly sequence: number | undefined
  readonly hash: string
}

export const NO_RECORD: AuditHead = { sequence: 0, hash: AUDIT_GENESIS }

/** `NUMBER:HASH` as `audit head` prints it, or the hash alone. Undefined for anything else. */
export function parseAnchor(text: string): Anchor | undefined {
  const [, number, hash] = /^(?:(\d{1,15}):)?([0-9a-f]{64})$/.exec(text.trim().toLowerCase()) ?? []
  if (hash === undefined) return undefined
  return { sequence: number === undefined ? undefined : Number(number), hash }
}

export function requireAnchor(text: string): Anchor {
  const anchor = parseAnchor(text)
  if (anchor !== undefined) return anchor
  throw new OperationalError(
    'malformed-request',
    `${text.slice(0, 80)} is no head of an audit log`,
    {
      hint: 'A head is NUMBER:HASH, as `tlsfleet audit head` prints it.',
    },
  )
}

/** Reads to the end, or to the first record that is wrong; holds one piece at a time. */
export async function verifyPieces(
  pieces: AsyncIterable<AuditPiece>,
  {
    anchor,
    onProgress,
  }: {
    readonly anchor?: Anchor | undefined
    readonly onProgress?: (records: number) => void
  } = {},
): Promise<AuditVerdict> {
  let last: AuditRecord | undefined
  // What stands before the first record is the head of an empty log.
  let isAnchored = anchor === undefined || isAt(anchor, NO_RECORD)
  for await (const piece of pieces) {
    if (piece.kind === 'unreadable') return broken((last?.sequence ?? 0) + 1)
    const verdict = verifyAudit(piece.records, last)
    if (verdict.kind === 'broken') return broken(verdict.sequence)
    isAnchored ||= piece.records.some(record => anchor !== undefined && isAt(anchor, record))
    last = piece.records.at(-1) ?? last
    onProgress?.(last?.sequence ?? 0)
  }
  return isAnchored ? intact(last) : headMissing(anchor, last)
}

function isAt({ sequence, hash }: Anchor, head: Pick<AuditHead, 'sequence' | 'hash'>): boolean {
  return head.hash === hash && (sequence === undefined || sequence === head.sequence)
}

function broken(sequence: number): AuditVerdict {
  const message = `record ${sequence} is not what was written, or does not follow the one before it`
  return { verdict: 'broken', records: sequence, sequence, message }
}

function intact(last: AuditRecord | undefined): AuditVerdict {
  const head = headOf(last)
  const message = `the chain holds from the first record to number ${head.sequence}`
  return { verdict: 'intact', records: head.sequence, head, message }
}

function headMissing(anchor: Anchor | undefined, last: AuditRecord | undefined): AuditVerdict {
  const head = headOf(last)
  const known = anchor?.sequence
  const message =
    known !== undefined && known > head.sequence
      ? `the log ends at number ${head.sequence}: records up to ${known} were cut off`
      : 'the head that was kept is not in the log: it was cut off, or written anew'
  return { verdict: 'head-missing', records: head.sequence, head, message }
}

export function headOf(last: AuditRecord | undefined): AuditHead {
  if (last === undefined) return NO_RECORD
  const { sequence, hash, atMs } = last
  return { sequence, hash, atMs }
}
