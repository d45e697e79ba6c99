// What a failure at a directory means for the request: is it over, or when is it tried again? Pure.

import type { Reason } from '../../../shared/contract/schema.ts'
import { describeError, OperationalError } from '../../../shared/errors.ts'
import type { ProblemObject } from './objects.ts'

/** An answer of a directory that is a problem document, or a status without one. */
export interface AcmeProblem {
  readonly status: number
  /** After `urn:ietf:params:acme:error:`; empty when there is none. */
  readonly type: string
  /** For people: what the directory says, names included. */
  readonly text: string
  readonly retryAfterMs: number | undefined
  /** Types of the problems inside. */
  readonly inner: readonly string[]
}

/**
 * `refused`: the same request will never be signed. `later`: it may be; `scope` says who has to
 * wait: this one, or everybody who orders there.
 */
export type Verdict =
  | { readonly kind: 'refused'; readonly reason: Reason }
  | {
      readonly kind: 'later'
      readonly reason: Reason
      readonly scope: 'request' | 'directory'
      readonly retryAfterMs: number | undefined
    }

const PREFIX = 'urn:ietf:params:acme:error:'
const DETAIL_MAX = 1_000

export function toProblem(
  object: ProblemObject | undefined,
  answer: { readonly status: number; readonly retryAfterMs: number | undefined },
): AcmeProblem {
  const inner = object?.subproblems ?? []
  const details = inner.map(({ identifier, detail, type }) =>
    [identifier?.value, detail ?? shortType(type)].filter(Boolean).join(': '),
  )
  const said = object?.detail ?? `HTTP status ${answer.status}`
  const type = shortType(object?.type)
  const text = [type === '' ? said : `${type}: ${said}`, ...details].join('; ')
  return {
    ...answer,
    type,
    text: printable(text).slice(0, DETAIL_MAX),
    inner: inner.map(one => shortType(one.type)),
  }
}

function shortType(type: string | undefined): string {
  return type?.startsWith(PREFIX) === true ? type.slice(PREFIX.length) : ''
}

// It goes to terminals and logs.
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
}

export class AcmeProblemError extends OperationalError {
  readonly problem: AcmeProblem
  /** What the directory was asked. */
  readonly about: ProblemSubject

  constructor(attempt: string, problem: AcmeProblem, about: ProblemSubject = 'order') {
    super('acme-problem', `could not ${attempt}: ${problem.text}`, { retryable: true })
    this.problem = problem
    this.about = about
  }
}

/** `validation`: that the names are ours. */
export type ProblemSubject = 'account' | 'order' | 'validation'

// Nothing but another request can change these.
const PERMANENT: ReadonlySet<string> = new Set([
  'rejectedIdentifier',
  'unsupportedIdentifier',
  'badCSR',
  'badPublicKey',
])

// The account, its terms or its binding: nobody gets anything before that is put right.
const OF_THE_ACCOUNT: ReadonlySet<string> = new Set([
  'externalAccountRequired',
  'userActionRequired',
  'accountDoesNotExist',
  'invalidContact',
  'unsupportedContact',
  'badSignatureAlgorithm',
])

/** What to make of anything that was thrown on the way to a certificate. */
export function verdictOf(error: unknown): Verdict {
  if (error instanceof AcmeProblemError) return problemVerdict(error)
  const isOurs = error instanceof OperationalError
  return {
    kind: 'later',
    reason: { code: isOurs ? error.code : 'acme-failed', message: describeError(error) },
    scope: isOurs && OF_THE_DIRECTORY.has(error.code) ? 'directory' : 'request',
    retryAfterMs: undefined,
  }
}

const OF_THE_DIRECTORY: ReadonlySet<string> = new Set([
  'acme-unreachable',
  'acme-account-refused',
  'acme-eab-unreadable',
  'acme-ca-unreadable',
])

function problemVerdict({ message, problem, about }: AcmeProblemError): Verdict {
  const { type, inner, status, retryAfterMs } = problem
  if (PERMANENT.has(type) || inner.some(one => PERMANENT.has(one)))
    return { kind: 'refused', reason: { code: 'acme-refused', message } }
  const later = (code: string, scope: 'request' | 'directory'): Verdict => ({
    kind: 'later',
    reason: { code, message },
    scope,
    retryAfterMs,
  })
  if (type === 'rateLimited') return later('acme-rate-limited', 'request')
  if (status === 429) return later('acme-rate-limited', 'directory')
  if (status >= 500) return later('acme-unavailable', 'directory')
  if (about === 'account' || OF_THE_ACCOUNT.has(type))
    return later('acme-account-refused', 'directory')
  return later(about === 'validation' ? 'acme-validation-failed' : 'acme-problem', 'request')
}
