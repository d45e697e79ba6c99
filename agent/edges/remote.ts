// The controller over mutual TLS: one kept connection or a few, TLS 1.3 only, and a server that
// must be a controller of this fleet. A certificate of a node does not pass for one.

import { X509Certificate } from 'node:crypto'
import { Agent, request as httpsRequest } from 'node:https'
import {
  parseDesiredAnswer,
  parseLeaseAnswer,
  parseProvidedAnswer,
  parseRenewAnswer,
  parseSignAnswer,
  parseWhoIsIt,
} from '../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../shared/contract/protocol.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import { type Identity, type Remote } from '../remote.ts'
import {
  type Answer,
  contentOf,
  exchange,
  headersOf,
  parsed,
  type Question,
} from './controller-request.ts'
import { isUntrustedCode, notTrusted, refuseOther } from './controller-trust.ts'
import { renewExpired } from './renew-expired.ts'

export interface RemoteOptions {
  readonly identity: Identity
  readonly clock?: Clock
  readonly requestTimeoutMs?: number
  /** Every answer, refusals too. */
  readonly onAnswer?: (answer: Answer) => void
}

const REQUEST_TIMEOUT_MS = 30_000
/** A long poll is answered within its wait; this much more for the way and a busy controller. */
const POLL_SLACK_MS = 15_000

export function createRemote(options: RemoteOptions): Remote {
  const { identity, clock = systemClock, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options
  const agent = createAgent(identity)
  let isClosed = false

  /** Sends, reads, and says what a failure means. */
  async function ask(question: Question, timeoutMs: number, signal: AbortSignal): Promise<unknown> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    let answer: Answer
    try {
      answer = await sendOnce(question, limit)
    } catch (error) {
      if (error instanceof OperationalError) throw error
      throw failure(error, identity, clock.now())
    }
    options.onAnswer?.(answer)
    return contentOf(answer, question.path)
  }

  async function sendOnce(question: Question, signal: AbortSignal): Promise<Answer> {
    const url = new URL(question.path, identity.agentUrl)
    const send = () => {
      const { method } = question
      return httpsRequest(url, { agent, method, headers: headersOf(question), signal })
    }
    const request = send()
    try {
      return await exchange(request, question.body)
    } catch (error) {
      // The server closed a kept connection just as we used it. Every route is idempotent.
      const wasStale = request.reusedSocket && systemErrorCode(error) === 'ECONNRESET'
      // Closed by us, its identity is not to be used any more.
      if (!wasStale || signal.aborted || isClosed) throw error
      return exchange(send(), question.body)
    }
  }

  const post = (path: string, content: object, signal: AbortSignal) =>
    ask({ method: 'POST', path, body: JSON.stringify(content) }, requestTimeoutMs, signal)

  return {
    async desired({ epoch = 0, generation, waitMs }, signal) {
      const query = new URLSearchParams({ wait: String(waitMs) })
      if (generation !== undefined) query.set('generation', String(generation))
      if (epoch > 0) query.set('epoch', String(epoch))
      const path = `${AGENT_ROUTES.desired}?${query.toString()}`
      const question = { method: 'GET', path, body: undefined } as const
      return parsed(parseDesiredAnswer, await ask(question, waitMs + POLL_SLACK_MS, signal))
    },
    async report(report, signal) {
      await post(AGENT_ROUTES.report, report, signal)
    },
    async preview(answer, signal) {
      await post(AGENT_ROUTES.preview, answer, signal)
    },
    async probe(answer, signal) {
      await post(AGENT_ROUTES.probe, answer, signal)
    },
    async debts(news, signal) {
      await post(AGENT_ROUTES.debts, news, signal)
    },
    async sign(request, signal) {
      const answer = parsed(parseSignAnswer, await post(AGENT_ROUTES.sign, request, signal))
      if (answer.certificateChain !== undefined) return answer.certificateChain
      const { code = 'certificate-pending', message = 'it is not signed yet' } =
        answer.pending ?? {}
      throw new OperationalError(
        'certificate-pending',
        `the certificate for ${request.service} is not there yet: ${message}`,
        { retryable: true, details: { code } },
      )
    },
    async provided(request, signal) {
      const answer = await post(AGENT_ROUTES.provided, request, signal)
      const { certificateChain, privateKey } = parsed(parseProvidedAnswer, answer)
      return { certificateChain, privateKey: new Secret(privateKey) }
    },
    async lease(request, signal) {
      return parsed(parseLeaseAnswer, await post(AGENT_ROUTES.lease, request, signal))
    },
    async renew(publicKey, proof, signal) {
      const answer = await post(AGENT_ROUTES.renew, { publicKey, proof }, signal)
      return parsed(parseRenewAnswer, answer)
    },
    renewExpired: (publicKeyPem, proof, signal) =>
      renewExpired({ identity, publicKeyPem, proof, timeoutMs: requestTimeoutMs, signal }),
    async whoami(signal) {
      const question = { method: 'GET', path: AGENT_ROUTES.whoami, body: undefined } as const
      const { node } = parsed(parseWhoIsIt, await ask(question, requestTimeoutMs, signal))
      if (node !== identity.node)
        throw new OperationalError('malformed-answer', 'controller takes this node for another one')
    },
    close() {
      isClosed = true
      agent.destroy()
    },
  }
}

function createAgent(identity: Identity): Agent {
  return new Agent({
    keepAlive: true,
    // The poll has one of its own; the rest is for reports and requests of the pass that runs.
    maxSockets: 4,
    maxFreeSockets: 2,
    // A resumed session would skip the check of the server's certificate.
    maxCachedSessions: 0,
    minVersion: 'TLSv1.3',
    ca: [...identity.identityTrust],
    cert: identity.certificateChain,
    key: identity.privateKey.reveal(),
    rejectUnauthorized: true,
    checkServerIdentity: (host, peer) => refuseOther(host, new X509Certificate(peer.raw), identity),
  })
}

/**
 * Whether this node's own certificate is the reason is judged here and not by what the socket says:
 * with TLS 1.3 a refused client certificate looks like a connection that breaks.
 */
function failure(error: unknown, identity: Identity, nowMs: number): OperationalError {
  const code = systemErrorCode(error) ?? ''
  const broken = code === 'ECONNRESET' || code === 'EPIPE' || code.startsWith('ERR_SSL_')
  if (broken) {
    const own = ownFault(identity, nowMs)
    if (own !== undefined) return identityRefused(own, 'own-clock', error)
    if (REFUSED_CERTIFICATE.test(code)) return identityRefused(code, 'handshake', error)
  }
  if (isUntrustedCode(code)) return notTrusted(code, error)
  return new OperationalError('controller-unreachable', `could not reach ${identity.agentUrl}`, {
    retryable: true,
    details: { ...(code === '' ? {} : { errno: code }), ...(broken ? { reason: 'broken' } : {}) },
    cause: error,
  })
}

const REFUSED_CERTIFICATE =
  /ALERT_(CERTIFICATE_|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/

function ownFault(identity: Identity, nowMs: number): string | undefined {
  const own = new X509Certificate(identity.certificateChain)
  if (nowMs > own.validToDate.getTime()) return `it expired on ${own.validToDate.toISOString()}`
  if (nowMs < own.validFromDate.getTime())
    return `it is not valid before ${own.validFromDate.toISOString()}, check this node's clock`
  return undefined
}

function identityRefused(
  why: string,
  reason: 'own-clock' | 'handshake',
  cause: unknown,
): OperationalError {
  return new OperationalError(
    'identity-refused',
    `controller refused the certificate of this node: ${why}`,
    { hint: 'enrol the node again with a new token', details: { reason }, cause },
  )
}
