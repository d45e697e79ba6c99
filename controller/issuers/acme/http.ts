// One HTTPS request to a directory. Trust, timeouts and sizes are those of this connection and of no
// other: a private CA that one directory is verified by means nothing to the next one.

import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { OperationalError } from '../../../shared/errors.ts'
import { connectionFailure } from '../../connection-failure.ts'

export interface AcmeAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
  readonly nonce: string | undefined
  readonly location: string | undefined
  readonly retryAfterMs: number | undefined
}

export interface AcmeHttp {
  /** Throws `acme-unreachable`, `acme-answer-malformed`, `interrupted`. */
  ask(question: {
    readonly method: 'GET' | 'HEAD' | 'POST'
    readonly url: string
    readonly body?: string
    readonly signal: AbortSignal
  }): Promise<AcmeAnswer>
}

// A CA signs while the connection waits, and its hardware may be busy.
const ANSWER_TIMEOUT_MS = 60_000
// A chain of ten large certificates is a tenth of it.
const ANSWER_BYTES_MAX = 256 * 1024
const RETRY_AFTER_MS_MAX = 24 * 3_600_000
const CONNECTIONS_MAX = 4

/** `ca` undefined: the public CAs that Node brings. */
export function createAcmeHttp(options: {
  readonly ca: string | undefined
  readonly userAgent: string
  readonly now: () => number
}): AcmeHttp {
  const { ca, userAgent, now } = options
  const agent = new Agent({
    ...(ca === undefined ? {} : { ca }),
    // An order is a handful of requests a month: no connection is kept, and none is left to close.
    keepAlive: false,
    maxSockets: CONNECTIONS_MAX,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  })
  return {
    async ask({ method, url, body, signal }) {
      const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
      try {
        const { response, text } = await send(new URL(url), body, {
          agent,
          method,
          signal: AbortSignal.any([signal, timeout]),
          headers: {
            'user-agent': userAgent,
            ...(body === undefined
              ? {}
              : {
                  'content-type': 'application/jose+json',
                  'content-length': Buffer.byteLength(body),
                }),
          },
        })
        return toAnswer(response, text, now())
      } catch (cause) {
        if (signal.aborted) throw new OperationalError('interrupted', 'interrupted', { cause })
        if (cause instanceof OperationalError) throw cause
        throw unreachable(url, timeout.aborted ? timeout.reason : cause)
      }
    },
  }
}

function send(
  url: URL,
  body: string | undefined,
  options: Parameters<typeof request>[1] & object,
): Promise<{ readonly response: IncomingMessage; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options, response => {
      readAll(response, url).then(text => resolve({ response, text }), reject)
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

async function readAll(response: IncomingMessage, url: URL): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX)
      throw new OperationalError(
        'acme-answer-malformed',
        `the answer of ${url.href} is above ${ANSWER_BYTES_MAX} bytes`,
      )
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function toAnswer({ statusCode = 0, headers }: IncomingMessage, text: string, nowMs: number) {
  const nonce = headers['replay-nonce']
  return {
    status: statusCode,
    contentType: headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '',
    text,
    nonce: typeof nonce === 'string' && /^[A-Za-z0-9_-]{1,512}$/.test(nonce) ? nonce : undefined,
    location: headers.location,
    retryAfterMs: parseRetryAfter(headers['retry-after'], nowMs),
  }
}

/** Seconds or a date (RFC 9110), at most a day; undefined for anything else. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{1,9}$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : undefined
}

function unreachable(url: string, cause: unknown): OperationalError {
  const failure = connectionFailure(cause)
  const host = new URL(url).host
  return new OperationalError('acme-unreachable', `could not reach the directory at ${host}`, {
    retryable: true,
    cause: failure.kind === 'unreachable' ? new Error(failure.why) : cause,
    ...(failure.kind === 'untrusted'
      ? { hint: 'Give the root of a private directory as `caFile`.' }
      : {}),
  })
}
