// An answer that is a file: read as it comes, never held whole.

import type { IncomingMessage } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import { Problem } from '../../shared/contract/agent-api.ts'
import { OperationalError } from '../../shared/errors.ts'
import { connectionError, problemError } from './connection-errors.ts'
import type { Context } from './context.ts'
import { authorizationOf } from './credential.ts'

export interface Download {
  readonly context: Context
  readonly agent: Agent
  readonly signal: AbortSignal
  /** Completes "could not …". */
  readonly attempt: string
  readonly path: string
}

// A snapshot of a large database takes a while before its first byte.
const SILENCE_MS_MAX = 120_000
const PROBLEM_BYTES_MAX = 64 * 1024

/** Gives the bytes to `work` and resolves with what that gives. */
export async function download<T>(
  options: Download,
  work: (content: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const { attempt, context, signal } = options
  const failed = (cause: unknown) =>
    signal.aborted
      ? new OperationalError('interrupted', 'interrupted')
      : connectionError({ attempt, url: context.url, cause })
  const response = await responseTo(options).catch((cause: unknown) => {
    throw failed(cause)
  })
  const status = response.statusCode ?? 0
  if (status !== 200) throw await refusal(options, status, response)
  return work(bytesOf(response, failed))
}

function responseTo({ context, agent, signal, path }: Download): Promise<IncomingMessage> {
  const url = new URL(path, context.url)
  const headers = authorizationOf(context)
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, { agent, signal, headers, timeout: SILENCE_MS_MAX }, resolve)
    request.once('timeout', () => request.destroy(new Error('the controller is silent')))
    request.once('error', reject)
    request.end()
  })
}

async function* bytesOf(
  response: IncomingMessage,
  failed: (cause: unknown) => OperationalError,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) if (Buffer.isBuffer(chunk)) yield chunk
  } catch (cause) {
    throw failed(cause)
  }
}

async function refusal(
  { attempt }: Download,
  status: number,
  response: IncomingMessage,
): Promise<OperationalError> {
  let text = ''
  for await (const chunk of response) {
    if (Buffer.isBuffer(chunk) && text.length < PROBLEM_BYTES_MAX) text += chunk.toString('utf8')
  }
  const problem = Problem.safeParse(parseJson(text))
  return problemError({
    attempt,
    document: undefined,
    status,
    problem: problem.success ? problem.data : undefined,
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not from a controller: the status says so.
    return undefined
  }
}
