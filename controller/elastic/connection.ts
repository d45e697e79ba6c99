// One HTTP connection to Elasticsearch or Kibana: asks, and gives back the status and the JSON.
// Whatever a person must act on is an OperationalError from here.

import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { OperationalError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import { type Attempt, type Product, noAnswerError, refusalError } from './errors.ts'

// A cluster that elects a master answers late; one that is overloaded, never.
const ANSWER_TIMEOUT_MS = 30_000
// Far above any role, user or status; what is larger is not an answer to what was asked.
const ANSWER_BYTES_MAX = 4 * 1024 * 1024

export interface Target {
  readonly product: Product
  /** With the path that a proxy puts in front, without a slash at the end. */
  readonly url: string
  /** PEM certificates that are trusted, and no others. */
  readonly ca: readonly string[]
  /** Value of the header. */
  readonly authorization: Secret
}

export interface Question {
  /** Completes "could not …". */
  readonly attempt: string
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: object
  /** Goes into the body as `password`, and never into an error. */
  readonly password?: Secret
  /** In place of that of the target. */
  readonly authorization?: Secret
  /** Statuses that are answers to this question, besides 2xx. */
  readonly answers?: readonly number[]
}

export interface Answer {
  readonly status: number
  /** Undefined when it is not JSON. */
  readonly value: unknown
}

export interface Connection {
  readonly product: Product
  readonly url: string
  ask(question: Question): Promise<Answer>
  close(): void
}

/** `signal` ends every request. Close the connection when done, or it keeps the process. */
export function connect(target: Target, signal: AbortSignal): Connection {
  const { product, url } = target
  const agent = url.startsWith('https:')
    ? new TlsAgent({
        keepAlive: true,
        maxSockets: 1,
        ca: [...target.ca],
        // What Elasticsearch 7 with an old JVM can do. Verification is never off.
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
      })
    : new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    product,
    url,
    close: () => agent.destroy(),
    async ask(question) {
      const attempt: Attempt = { product, url, attempt: question.attempt }
      let received: { readonly status: number; readonly text: string }
      try {
        received = await send(target, agent, question, signal)
      } catch (cause) {
        if (signal.aborted) throw new OperationalError('interrupted', 'interrupted')
        throw noAnswerError(attempt, cause)
      }
      const { status } = received
      const answer = { status, value: parseJson(received.text) }
      if ((status >= 200 && status < 300) || question.answers?.includes(status) === true)
        return answer
      throw refusalError(attempt, answer, question.password)
    },
  }
}

function send(
  target: Target,
  agent: Agent,
  question: Question,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const { method, password } = question
  const content =
    question.body === undefined && password === undefined
      ? undefined
      : JSON.stringify({
          ...question.body,
          ...(password === undefined ? {} : { password: password.reveal() }),
        })
  const start = target.url.startsWith('https:') ? tlsRequest : request
  return new Promise((resolve, reject) => {
    const outgoing = start(
      new URL(target.url + question.path),
      {
        agent,
        method,
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
        headers: {
          accept: 'application/json',
          authorization: (question.authorization ?? target.authorization).reveal(),
          // Kibana takes no write without it; Elasticsearch does not look at it.
          'kbn-xsrf': 'tlsfleet',
          ...(content === undefined
            ? {}
            : {
                'content-type': 'application/json',
                'content-length': Buffer.byteLength(content),
              }),
        },
      },
      response => {
        readAll(response).then(text => resolve({ status: response.statusCode ?? 0, text }), reject)
      },
    )
    outgoing.once('error', reject)
    outgoing.end(content)
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is above ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A login page, a proxy's error: the caller says what it had asked for.
    return undefined
  }
}
