// Operators, their tokens and the audit log, as functions of the client.

import * as z from 'zod/mini'
import {
  AUDIT_ROUTES,
  AuditHead,
  AuditList,
  AuditRecordView,
  AuditVerdict,
} from '../../shared/contract/audit.ts'
import {
  OPERATOR_RECORD_ROUTES,
  type OperatorAdd,
  type OperatorChange,
  OperatorList,
  OperatorView,
  type TokenCreate,
  TokenCreated,
  TokenList,
} from '../../shared/contract/operators.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Question } from './exchange.ts'

/** As typed; times in milliseconds. */
export interface AuditQuery {
  readonly actor?: string | undefined
  readonly action?: string | undefined
  readonly target?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}

type Call = <T>(question: Question<T>) => Promise<T>

export function accessCalls(call: Call) {
  return { ...operatorCalls(call), ...tokenCalls(call), ...auditCalls(call) }
}

function operatorCalls(call: Call) {
  const { operators, operator, deniedCertificates } = OPERATOR_RECORD_ROUTES
  return {
    operators: () =>
      call({ attempt: 'list operators', method: 'GET', path: operators, answer: OperatorList }),

    operator: (name: string) =>
      call({
        attempt: `show operator ${name}`,
        method: 'GET',
        path: at(operator, name),
        answer: OperatorView,
      }),

    addOperator: (body: OperatorAdd) =>
      call({
        attempt: `add operator ${body.name}`,
        method: 'POST',
        path: operators,
        body,
        answer: OperatorView,
      }),

    changeOperator: (name: string, body: OperatorChange) =>
      call({
        attempt: `change operator ${name}`,
        method: 'PUT',
        path: at(operator, name),
        body,
        answer: OperatorView,
      }),

    removeOperator: (name: string) =>
      call({
        attempt: `remove operator ${name}`,
        method: 'DELETE',
        path: at(operator, name),
        answer: z.unknown(),
      }),

    denyCertificate: (name: string, serial: string) =>
      call({
        attempt: `deny certificate ${serial} of operator ${name}`,
        method: 'POST',
        path: at(deniedCertificates, name),
        body: { serial },
        answer: OperatorView,
      }),
  }
}

function tokenCalls(call: Call) {
  const { tokens, token } = OPERATOR_RECORD_ROUTES
  return {
    tokens: (name: string) =>
      call({
        attempt: `list tokens of operator ${name}`,
        method: 'GET',
        path: at(tokens, name),
        answer: TokenList,
      }),

    createToken: (name: string, body: TokenCreate) =>
      call({
        attempt: `make a token for operator ${name}`,
        method: 'POST',
        path: at(tokens, name),
        body,
        answer: TokenCreated,
      }),

    revokeToken: (name: string, id: string) =>
      call({
        attempt: `revoke token ${id} of operator ${name}`,
        method: 'DELETE',
        path: at(token, name).replace(':id', encodeURIComponent(id)),
        answer: z.unknown(),
      }),
  }
}

// Reading all of a long log takes its time.
const VERIFY_MS = 15 * 60_000
const EXPORT_PAGE = 1_000

function auditCalls(call: Call) {
  const list = (query: AuditQuery & { readonly after?: number; readonly limit: number }) =>
    call({
      attempt: 'search the audit log',
      method: 'GET',
      path: `${AUDIT_ROUTES.audit}?${parameters(query).toString()}`,
      answer: AuditList,
    })
  return {
    auditRecords: list,

    /** All of it, oldest first, page by page. */
    async *auditPages(): AsyncGenerator<readonly AuditRecordView[]> {
      let after = 0
      for (;;) {
        const { records, next } = await list({ after, limit: EXPORT_PAGE })
        yield records
        if (next === undefined) return
        // A controller that goes round in circles must not keep us busy for ever.
        if (next <= after)
          throw new OperationalError('malformed-answer', 'the audit log has no end')
        after = next
      }
    },

    auditRecord: (sequence: string) =>
      call({
        attempt: `show record ${sequence} of the audit log`,
        method: 'GET',
        path: AUDIT_ROUTES.record.replace(':sequence', encodeURIComponent(sequence)),
        answer: AuditRecordView,
      }),

    auditHead: () =>
      call({
        attempt: 'get the head of the audit log',
        method: 'GET',
        path: AUDIT_ROUTES.head,
        answer: AuditHead,
      }),

    verifyAudit: (head: string | undefined) =>
      call({
        attempt: 'verify the audit log',
        method: 'GET',
        path: `${AUDIT_ROUTES.verify}${head === undefined ? '' : `?head=${encodeURIComponent(head)}`}`,
        answer: AuditVerdict,
        waitMs: VERIFY_MS,
      }),
  }
}

function parameters(query: object): URLSearchParams {
  const given = new URLSearchParams()
  for (const [key, value] of Object.entries(query))
    if (value !== undefined) given.set(key, String(value))
  return given
}

function at(pattern: string, name: string): string {
  return pattern.replace(':name', encodeURIComponent(name))
}
