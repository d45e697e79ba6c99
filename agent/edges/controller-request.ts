// One request to a controller over a connection that was verified by whoever made it, and what its
// answer or its failure means.

import type { IncomingMessage } from 'node:http'
import type { ClientRequest } from 'node:http'
import { Problem } from '../../shared/contract/agent-api.ts'
import { PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/contract/protocol.ts'
import { parser } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'

/** A desired state with all its trust bundles stays well below it. */
export const ANSWER_BYTES_MAX = 1024 * 1024

export interface Question {
  readonly method: 'GET' | 'POST'
  /** Path and query. */
  readonly path: string
  readonly body: string | undefined
}

export interface Answer {
  readonly status: number
  readonly retryAfterS: string | undefined
  /** As the header has it. */
  readonly date: string | undefined
  readonly text: string
}

export function headersOf({ body }: Question): Readonly<Record<string, string>> {
  const common = { accept: 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL_VERSION) }
  if (body === undefined) return common
  return {
    ...common,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }
}

/** Sends the body and reads the whole answer. Rejects with what went wrong on the way. */
export function exchange(request: ClientRequest, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        chunks.push(chunk)
        if (bytes > ANSWER_BYTES_MAX)
          response.destroy(malformed('answer of the controller is too large'))
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          retryAfterS: response.headers['retry-after'],
          date: response.headers.date,
          text: Buffer.concat(chunks).toString('utf8'),
        }),
      )
    })
    request.end(body)
  })
}

/** The JSON of a good answer; undefined where it has no body. Throws `request-refused`, `identity-refused`, `malformed-answer`. */
export function contentOf(answer: Answer, path: string): unknown {
  if (answer.status < 200 || answer.status > 299) throw refused(answer, path)
  if (answer.text === '') return undefined
  try {
    return JSON.parse(answer.text)
  } catch (cause) {
    throw malformed('could not parse the answer of the controller', cause)
  }
}

/** Parses with a parser of the contract; what it finds is this side's `malformed-answer`. */
export function parsed<T>(parse: (value: unknown) => T, value: unknown): T {
  try {
    return parse(value)
  } catch (cause) {
    throw malformed('could not understand the answer of the controller', cause)
  }
}

function malformed(message: string, cause?: unknown): OperationalError {
  return new OperationalError('malformed-answer', message, { cause })
}

const parseProblem = parser('problem', Problem)

function refused(answer: Answer, path: string): OperationalError {
  const problem = problemOf(answer)
  const { status, retryAfterS } = answer
  const code = problem?.code ?? `http-${status}`
  // The path without its query: nothing that changes from call to call belongs into a message.
  const [route = path] = path.split('?')
  const details = {
    code,
    status,
    ...(problem?.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem?.requestId === undefined ? {} : { requestId: problem.requestId }),
    ...(retryAfterS !== undefined && /^\d{1,6}$/.test(retryAfterS)
      ? { retryAfterMs: Number(retryAfterS) * 1000 }
      : {}),
  }
  const hint = problem?.hint === undefined ? {} : { hint: problem.hint }
  if (status === 401 || (status === 403 && code.startsWith('identity-')))
    return new OperationalError(
      'identity-refused',
      `controller refused this node's identity: ${code}`,
      {
        details,
        ...hint,
      },
    )
  return new OperationalError('request-refused', `controller refused ${route}: ${code}`, {
    retryable: status >= 500 || status === 429 || status === 408,
    details,
    ...hint,
  })
}

function problemOf({ text }: Answer): Problem | undefined {
  try {
    return parseProblem(JSON.parse(text))
  } catch {
    // Something in between has answered; the status is all there is to tell.
    return undefined
  }
}
