// The audit log as the page shows it. Pure.

import type { AuditRecordView } from '../../../shared/contract/audit.ts'

/** `actor:eva action:rollout-abort target:n1` as the query of the API; other words are searched here. */
export function auditQuery(filter: string): {
  readonly query: string
  readonly words: readonly string[]
} {
  const query = new URLSearchParams()
  const words: string[] = []
  for (const term of filter.trim().split(/\s+/).filter(Boolean)) {
    const [, key, value] = /^(actor|action|target):(.+)$/.exec(term) ?? []
    if (key !== undefined && value !== undefined) query.set(key, value)
    else words.push(term.toLowerCase())
  }
  return { query: query.toString(), words }
}

export function mentions(entry: AuditRecordView, words: readonly string[]): boolean {
  const { actor, action, subject, reason } = entry
  const text = `${actor} ${action} ${subject} ${reason?.message ?? ''}`.toLowerCase()
  return words.every(word => text.includes(word))
}
