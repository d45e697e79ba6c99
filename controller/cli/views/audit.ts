// The audit log, for people. Times are in UTC, as they are in the log.

import { unreachable } from '../../../shared/assert.ts'
import type { AuditList, AuditRecordView, AuditVerdict } from '../../../shared/contract/audit.ts'
import type { Paint, Session } from '../output.ts'
import { formatTable } from '../table.ts'
import { because } from './words.ts'

export function auditText(
  { records, next }: AuditList,
  { width }: Pick<Session, 'paint' | 'width'>,
): string {
  if (records.length === 0) return 'no such records\n'
  const columns = [
    { title: 'NUMBER', align: 'right' },
    { title: 'TIME' },
    { title: 'ACTOR' },
    { title: 'ACTION' },
    { title: 'SUBJECT' },
    { title: 'HASH', wide: true },
    { title: 'REASON' },
  ] as const
  const rows = records.map(({ sequence, atMs, actor, action, subject, hash, reason }) => [
    String(sequence),
    new Date(atMs).toISOString(),
    actor,
    action,
    subject,
    hash,
    reason === undefined ? '-' : because(reason),
  ])
  const more =
    next === undefined ? '' : '\nthere are more: --limit, --until, or tlsfleet audit export\n'
  return `${formatTable(columns, rows, width)}${more}`
}

export function auditRecordText(record: AuditRecordView): string {
  const { sequence, atMs, actor, action, subject, reason, hash } = record
  return [
    `number   ${sequence}`,
    `time     ${new Date(atMs).toISOString()}`,
    `actor    ${actor}`,
    `action   ${action}`,
    `subject  ${subject}`,
    ...(reason === undefined ? [] : [`reason   ${because(reason)}`]),
    `hash     ${hash}`,
    '',
  ].join('\n')
}

export function verdictText({ verdict, message, head }: AuditVerdict, paint: Paint): string {
  const kept = head === undefined ? '' : `head ${head.sequence}:${head.hash}\n`
  switch (verdict) {
    case 'intact':
      return `${paint.green('intact')}: ${message}\n${kept}`
    case 'broken':
    case 'head-missing':
      return `${paint.red(verdict)}: ${message}\n${kept}`
    default:
      return unreachable(verdict)
  }
}
