// One request to the controller and its answer, parsed with the contract's schema; every failure is an
// OperationalError. A question with `onProgress` is answered by a stream, where the controller has one:
// how far it is, then the answer.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type * as z from 'zod/mini'
import { Problem } from '../../shared/contract/agent-api.ts'
import { IDENTITY_ROOTS_HEADER } from '../../shared/contract/operator-api.ts'
import { CREDENTIAL_ENDS_HEADER } from '../../shared/contract/operators.ts'
import { parser } from '../../shared/contract/schema.ts'
import { EVENT_STREAM_TYPE } from '../../shared/contract/watch.ts'
import { OperationalError } from '../../shared/errors.ts'
import { identityOf } from '../../shared/pki/identity.ts'
import { type Answer, answerOfEvents } from './answer-events.ts'
import { connectionError, problemError } from './connection-errors.ts'
import type { Context } from './context.ts'
import { authorizationOf } from './credential.ts'

// Above the largest answer: a plan of a thousand nodes with diffs.
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
// How long a controller may take beyond the time that it was asked to wait.
const ANSWER_TIMEOUT_MS = 30_000

export interface Connection {
  readonly context: Context
  readonly agent: Agent
  readonly signal: AbortSignal
  readonly onRoots: (digest: string) => void
  readonly onEnding: (at: string) => void
}

export interface Question<T> {
  /** Completes "could not …". */
  readonly attempt: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: object
  /** Version that was looked at: the controller refuses when there is another one by now. */
  readonly ifMatch?: string
  /** What the problems of an answer are about, for example `fleet.yaml`. */
  readonly document?: string
  /** How long the controller was asked to wait before it answers. */
  readonly waitMs?: number
  /** Told how far the controller is: what the contract says of it. */
  readonly onProgress?: (data: unknown) => void
  readonly answer: z.ZodMiniType<T>
}

export async function exchange<T>(connection: Connection, question: Question<T>): Promise<T> {
  const { attempt, document } = question
  let answer: Answer
  try {
    answer = await send(connection, question)
  } catch (cause) {
    if (connection.signal.aborted) throw new OperationalError('interrupted', 'interrupted')
    throw connectionError({ attempt, url: connection.context.url, cause })
  }

  const value = parseJson(answer.text)
  if (answer.status >= 300) {
    const problem = Problem.safeParse(value)
    const known = problem.success ? problem.data : undefined
    throw problemError({ attempt, document, status: answer.status, problem: known })
  }
  try {
    return parser('answer', question.answer, 'malformed-answer')(value)
  } catch (cause) {
    throw new OperationalError('malformed-answer', `could not ${attempt}`, {
      cause,
      hint: 'tlsfleet and the controller may be of different versions: tlsfleet --version',
    })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON is not what was asked for: the schema says so in its own words.
    return undefined
  }
}

function send<T>(
  { context, agent, signal, onRoots, onEnding }: Connection,
  question: Question<T>,
): Promise<Answer> {
  const body = question.body === undefined ? undefined : JSON.stringify(question.body)
  const url = new URL(question.path, context.url)
  const { onProgress } = question
  const timeoutMs = ANSWER_TIMEOUT_MS + (question.waitMs ?? 0)
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        agent,
        method: question.method,
        // Whoever tells how far it is may take as long as it needs, but must not be silent.
        ...(onProgress === undefined
          ? { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) }
          : { signal, timeout: timeoutMs }),
        headers: {
          accept: `${onProgress === undefined ? '' : `${EVENT_STREAM_TYPE}, `}application/json, application/problem+json`,
          ...authorizationOf(context),
          // Whatever passes it on twice on the way, it happens once. A stream is kept by nobody.
          ...(question.method === 'GET' || onProgress !== undefined
            ? {}
            : { 'idempotency-key': randomUUID() }),
          ...(question.ifMatch === undefined ? {} : { 'if-match': `"${question.ifMatch}"` }),
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      response => {
        const roots = response.headers[IDENTITY_ROOTS_HEADER]
        if (typeof roots === 'string' && isController(response.socket)) onRoots(roots)
        const ends = response.headers[CREDENTIAL_ENDS_HEADER]
        if (typeof ends === 'string') onEnding(ends)
        answerOf(response, onProgress).then(resolve, reject)
      },
    )
    request.once('timeout', () => request.destroy(new Error('the controller is silent')))
    request.once('error', reject)
    request.end(body)
  })
}

// Something else that ends TLS before it is known by something else, and stays so.
function isController(socket: Socket): boolean {
  const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  try {
    return leaf !== undefined && identityOf(leaf)?.kind === 'controller'
  } catch (error) {
    // Stricter readers than OpenSSL refuse it: it is not one of ours.
    if (error instanceof OperationalError) return false
    throw error
  }
}

async function answerOf(
  response: IncomingMessage,
  onProgress: Question<unknown>['onProgress'],
): Promise<Answer> {
  const isStream = (response.headers['content-type'] ?? '').startsWith(EVENT_STREAM_TYPE)
  const chunks = bounded(response)
  if (onProgress !== undefined && isStream) return answerOfEvents(chunks, onProgress)
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(chunk)
  return { status: response.statusCode ?? 0, text: Buffer.concat(all).toString('utf8') }
}

async function* bounded(response: IncomingMessage): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is above ${ANSWER_BYTES_MAX} bytes`)
    yield chunk
  }
}
