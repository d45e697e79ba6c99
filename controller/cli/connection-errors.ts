// What went wrong between this command and the controller, in words that say what to do.

import type { Problem } from '../../shared/contract/agent-api.ts'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import { connectionFailure } from '../connection-failure.ts'

/** A request that got no answer. */
export function connectionError(attempted: {
  readonly attempt: string
  readonly url: string
  readonly cause: unknown
}): OperationalError {
  const { attempt, url, cause } = attempted
  const message = `could not ${attempt} at ${url}`
  const failure = connectionFailure(cause)
  const notTrusted = (why: string, hint: string) =>
    new OperationalError('controller-not-trusted', message, { cause: new Error(why), hint })

  switch (failure.kind) {
    case 'unreachable':
      return new OperationalError('controller-unreachable', message, {
        retryable: true,
        cause: new Error(failure.why),
        hint: 'check that tlsfleet-controller runs, and that its address and port are open from here',
      })
    case 'wrong-name':
      return notTrusted(
        `its certificate is not valid for ${new URL(url).hostname}`,
        'use a name that the controller was made with (tlsfleet init --host), then log in again',
      )
    case 'expired':
      return notTrusted('its certificate has expired', CLOCKS_HINT)
    case 'not-yet-valid':
      return notTrusted('its certificate is not valid yet', CLOCKS_HINT)
    case 'untrusted':
      return notTrusted(
        'its certificate was not issued by the CA of this login',
        'if the controller was made anew, log in again with its new pin; otherwise someone may be in between',
      )
    case 'no-tls':
      return new OperationalError('controller-tls-failed', message, {
        cause: new Error(`no TLS 1.3 connection (${failure.code})`),
        hint: 'check that the port is the operator port of tlsfleet-controller',
      })
    case 'other':
      return new OperationalError('controller-unreachable', message, { retryable: true, cause })
    default:
      return unreachable(failure)
  }
}

const CLOCKS_HINT = 'check the clocks of this machine and of the controller'

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
      cause: new Error(
        problem?.code === 'certificate-not-accepted' && problem.detail !== undefined
          ? problem.detail
          : 'the controller does not accept the token',
      ),
      hint: 'it may have been revoked or have expired; log in again with a new one: tlsfleet login --help; if no admin has one, tlsfleet-controller token NAME --role admin makes it, with the controller stopped',
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
