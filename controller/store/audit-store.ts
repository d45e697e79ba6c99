// The audit log: append-only, each record's hash covers the one before it.

import type { Reason } from '../../shared/contract/schema.ts'

export interface AuditRecord {
  readonly sequence: number
  readonly atMs: number
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly reason: Reason | undefined
  /** SHA-256 over the previous record's hash and this record's canonical JSON. */
  readonly hash: string
}

export interface AuditFilter {
  readonly actor?: string | undefined
  readonly action?: string | undefined
  /** This subject, and what is below it: `r7` finds `r7/node-1` too. */
  readonly target?: string | undefined
  readonly sinceMs?: number | undefined
  /** Exclusive. */
  readonly untilMs?: number | undefined
}

export interface AuditPage {
  /** Numbers above this one, oldest first. */
  readonly after?: number | undefined
  /** Numbers below this one, newest first; so it is too where neither is given. */
  readonly before?: number | undefined
  readonly limit: number
}

export interface Audit {
  append(entry: {
    readonly atMs: number
    readonly actor: string
    readonly action: string
    readonly subject: string
    readonly reason?: Reason
  }): Promise<void>
  /** Oldest first, after a sequence number. */
  list(page: { readonly after: number; readonly limit: number }): Promise<readonly AuditRecord[]>
  find(filter: AuditFilter, page: AuditPage): Promise<readonly AuditRecord[]>
  get(sequence: number): Promise<AuditRecord | undefined>
  /** Sequence number of the newest one; 0: there is none. */
  head(): Promise<number>
}
