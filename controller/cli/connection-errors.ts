// What went wrong between this command and the controller, in words that say what to do.

import type { Problem } from '../../shared/contract/agent-api.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'

/** A request that got no answer. */
export function connectionError(failure: {
  readonly attempt: string
  readonly url: string
  readonly cause: unknown
}): OperationalError {
  const { attempt, url, cause } = failure
  const code = systemErrorCode(cause) ?? ''
  const message = `could not ${attempt} at ${url}`
  const hostname = new URL(url).hostname

  if (UNREACHABLE.has(code) || isTimeout(cause))
    return new OperationalError('controller-unreachable', message, {
      retryable: true,
      cause: isTimeout(cause) ? new Error('no answer in time') : new Error(unreachableWhy(code)),
      hint: 'check that tlsfleet-controller runs, and that its address and port are open from here',
    })
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new OperationalError('controller-not-trusted', message, {
      cause: new Error(`its certificate is not valid for ${hostname}`),
      hint: 'use a name that the controller was made with (tlsfleet init --host), then log in again',
    })
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return new OperationalError('controller-not-trusted', message, {
      cause: new Error(
        code === 'CERT_HAS_EXPIRED'
          ? 'its certificate has expired'
          : 'its certificate is not valid yet',
      ),
      hint: 'check the clocks of this machine and of the controller',
    })
  if (UNTRUSTED.has(code))
    return new OperationalError('controller-not-trusted', message, {
      cause: new Error('its certificate was not issued by the CA of this login'),
      hint: 'if the controller was made anew, log in again with its new pin; otherwise someone may be in between',
    })
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return new OperationalError('controller-tls-failed', message, {
      cause: new Error(`no TLS 1.3 connection (${code})`),
      hint: 'check that the port is the operator port of tlsfleet-controller',
    })
  return new OperationalError('controller-unreachable', message, { retryable: true, cause })
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
])

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
])

function unreachableWhy(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name is unknown'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no route to it'
    case 'ETIMEDOUT':
      return 'no answer in time'
    default:
      return 'the connection was closed'
  }
}

function isTimeout(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false
  return cause.name === 'TimeoutError' || isTimeout(cause.cause)
}

/** An answer that is a refusal. `document` names what its problems are about. */
export function problemError(refusal: {
  readonly attempt: string
  readonly document: string | undefined
  readonly status: number
  readonly problem: Problem | undefined
}): OperationalError {
  const { attempt, document, status, problem } = refusal
  if (status === 401)
    return new OperationalError('token-refused', `could not ${attempt}`, {
      cause: new Error('the controller does not accept the token'),
      hint: 'it may have been revoked or have expired; log in again with a new one: tlsfleet login --help',
    })
  if (problem === undefined)
    return new OperationalError('malformed-answer', `could not ${attempt}`, {
      cause: new Error(`answer with status ${status} that is not from tlsfleet-controller`),
      hint: 'check that the URL of this login is the operator port of tlsfleet-controller',
    })
  const hint = problem.hint ?? hintFor(status, problem.requestId)
  return new OperationalError(problem.code, `could not ${attempt}`, {
    retryable: status === 429 || status === 503,
    cause: new Error(problem.detail ?? problem.title),
    ...(hint === undefined ? {} : { hint }),
    details: { document, problems: problem.problems ?? [], requestId: problem.requestId },
  })
}

function hintFor(status: number, requestId: string | undefined): string | undefined {
  if (status === 403) return 'this needs a login with a higher role'
  if (status === 500 && requestId !== undefined)
    return `the log of the controller says more under request id ${requestId}`
  return undefined
}
