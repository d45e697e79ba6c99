// Every error as application/problem+json: a stable code, what was attempted, the request id. What
// is not listed here is a fault of ours, and nothing about it leaves the server but the id.

import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import type { Problem } from '../../shared/contract/agent-api.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { App } from './context.ts'
import type { Logger } from '../../shared/log.ts'

/** By who must act: 4xx the caller, 503 nobody, later. */
const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ['malformed-request', 400],
  ['malformed-report', 400],
  ['protocol-unsupported', 400],
  ['key-unparsable', 400],
  ['weak-key', 400],
  ['proof-invalid', 400],
  ['name-invalid', 400],
  ['csr-missing', 400],
  ['csr-unparsable', 400],
  ['csr-signature', 400],
  ['csr-names', 400],
  ['csr-key-differs', 400],
  ['names-missing', 400],
  ['unauthenticated', 401],
  ['certificate-not-accepted', 401],
  ['role-insufficient', 403],
  ['approvals-lowered', 403],
  ['foreign-page', 403],
  ['identity-missing', 403],
  ['identity-foreign', 403],
  ['identity-denied', 403],
  ['identity-revoked', 403],
  ['identity-cloned', 403],
  ['identity-grace-over', 403],
  ['identity-expired', 403],
  ['identity-unknown', 403],
  ['identity-ca-retired', 403],
  ['identity-ca-denied', 403],
  ['provided-not-selected', 403],
  ['token-invalid', 403],
  ['token-expired', 403],
  ['token-used', 403],
  ['not-found', 404],
  ['already-exists', 409],
  ['name-reserved', 409],
  ['last-admin', 409],
  ['role-exceeds-operator', 409],
  ['too-many-tokens', 409],
  ['key-reused', 409],
  ['stale-generation', 409],
  ['epoch-outdated', 409],
  ['names-not-recorded', 409],
  ['outside-name-constraints', 409],
  ['issuer-not-internal', 409],
  ['csr-names-differ', 409],
  ['certificate-refused', 409],
  ['lifetime-too-long', 409],
  ['service-not-desired', 409],
  ['service-without-certificate', 409],
  ['provided-unknown', 409],
  ['provided-in-use', 409],
  ['preview-unknown', 409],
  ['overlapping-rollout', 409],
  ['rotation-open', 409],
  ['nothing-to-rotate', 409],
  ['fleet-unsettled', 409],
  ['stale-plan', 409],
  ['coordinated-change', 409],
  ['group-unknown', 409],
  ['together-empty', 409],
  ['illegal-transition', 409],
  ['author-confirms', 409],
  ['quorum-loss', 409],
  ['nothing-to-do', 409],
  ['idempotency-in-flight', 409],
  ['idempotency-unfinished', 409],
  ['idempotency-secret', 409],
  ['idempotency-not-kept', 409],
  ['version-mismatch', 412],
  ['idempotency-mismatch', 422],
  ['wrong-fleet', 422],
  ['provided-refused', 422],
  ['invalid-spec', 422],
  ['trust-closure', 422],
  ['too-many-requests', 429],
  ['too-many-pending', 429],
  ['too-many-streams', 429],
  ['version-conflict', 503],
  ['dashboard-unbuilt', 503],
  ['store-busy', 503],
  ['closing', 503],
])

// Of errors that the HTTP layer raises itself.
const CODE_OF_STATUS: ReadonlyMap<number, string> = new Map([
  [400, 'malformed-request'],
  [404, 'not-found'],
  [405, 'not-found'],
  [413, 'body-too-large'],
  [415, 'media-type-unsupported'],
])

/** 500 for a code that no answer has. */
export function statusOfCode(code: string): number {
  const ofLayer = [...CODE_OF_STATUS].find(([, one]) => one === code)?.[0]
  return STATUS_OF.get(code) ?? ofLayer ?? 500
}

export function answerErrors(app: App, log: Logger): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request)
    // That we close, or that a caller has gone, is nothing to put right.
    if (problem.status >= 500 && problem.code !== 'closing')
      log.error({ err: error, requestId: request.id, ...target(request) }, 'request failed')
    else if (problem.status === 403 || problem.status === 401)
      log.warn({ code: problem.code, ...target(request), remote: request.ip }, 'request refused')
    return send(reply, problem, retryAfterMs(error))
  })
  app.setNotFoundHandler((request, reply) =>
    send(reply, problem({ status: 404, code: 'not-found', requestId: request.id })),
  )
}

const RETRY_AFTER_MS = 2_000

function retryAfterMs(error: unknown): number {
  const known = error instanceof OperationalError ? error.details['retryAfterMs'] : undefined
  return typeof known === 'number' ? known : RETRY_AFTER_MS
}

function send(reply: FastifyReply, body: Problem, waitMs = RETRY_AFTER_MS): FastifyReply {
  if (body.status === 401) void reply.header('www-authenticate', 'Bearer')
  if (body.status === 429 || body.status === 503)
    void reply.header('retry-after', String(Math.max(1, Math.ceil(waitMs / 1_000))))
  return reply
    .code(body.status)
    .header('content-type', 'application/problem+json')
    .serializer(JSON.stringify)
    .send(body)
}

export function problemOf(error: unknown, request: { readonly id: string }): Problem {
  const requestId = request.id
  if (error instanceof OperationalError) {
    const status = STATUS_OF.get(error.code)
    if (status === undefined) return problem({ status: 500, code: 'internal-error', requestId })
    return {
      ...problem({ status, code: error.code, requestId }),
      detail: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...problemsIn(error),
    }
  }
  if (hasZodFastifySchemaValidationErrors(error))
    return {
      ...problem({ status: 400, code: 'malformed-request', requestId }),
      detail: 'the request is not as the API describes it',
      problems: error.validation.slice(0, PROBLEMS_MAX).map(({ instancePath, message }) => ({
        path: instancePath,
        message: message ?? 'is not valid',
      })),
    }
  const status = statusOf(error)
  const code = CODE_OF_STATUS.get(status) ?? (status < 500 ? 'malformed-request' : 'internal-error')
  return problem({ status, code, requestId })
}

const PROBLEMS_MAX = 20

// Places in a document, which `details.problems` of `invalid-spec` holds.
function problemsIn(error: OperationalError): Pick<Problem, 'problems'> {
  const { problems } = error.details
  if (error.code !== 'invalid-spec' || !Array.isArray(problems)) return {}
  return { problems }
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500
  const { statusCode } = error
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500
}

function problem(known: { status: number; code: string; requestId: string }): Problem {
  return {
    type: `urn:tlsfleet:problem:${known.code}`,
    title: STATUS_CODES[known.status] ?? 'Error',
    ...known,
  }
}

// Not the query: it holds nothing secret today, and need not be looked at again if it once does.
function target(request: FastifyRequest): { method: string; path: string } {
  return { method: request.method, path: request.url.split('?')[0] ?? '' }
}
