// One question to a gate's server: https, or http on loopback; no redirects, bounded in time and size.

import { type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { signatureOf } from '../webhooks/send.ts'
import type { Answered } from './answers.ts'
import type { GateServer } from './external.ts'

export interface Question {
  /** Posted where there is one. */
  readonly body?: string
  readonly nowMs: number
  readonly signal: AbortSignal
}

const ANSWER_MS = 10_000
const ANSWER_BYTES_MAX = 256 * 1024

/** Throws `gate-unanswered`. */
export async function exchangeJson(
  server: GateServer,
  url: URL,
  { body, nowMs, signal }: Question,
): Promise<Answered> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    agent: false,
    signal: limit,
    headers: headersFor(server, body, nowMs),
  }
  try {
    return await new Promise((resolve, reject) => {
      const onAnswer = (answer: IncomingMessage) => {
        readAnswer(answer).then(resolve, reject)
      }
      const { ca } = server
      const tls = { minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }) }
      const question =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, ...tls }, onAnswer)
          : httpRequest(url, options, onAnswer)
      question.on('error', reject)
      question.end(body)
    })
  } catch (cause) {
    const code = limit.aborted ? 'no answer in time' : (systemErrorCode(cause) ?? 'no answer')
    throw new OperationalError('gate-unanswered', `could not ask ${url.origin}: ${code}`, { cause })
  }
}

function headersFor({ secret, token }: GateServer, body: string | undefined, nowMs: number) {
  return {
    'user-agent': 'tlsfleet',
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
    ...(body === undefined
      ? {}
      : {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        }),
    ...(body === undefined || secret === undefined
      ? {}
      : { 'tlsfleet-signature': signatureOf(secret, body, nowMs) }),
  }
}

async function readAnswer(answer: IncomingMessage): Promise<Answered> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    if (!Buffer.isBuffer(piece)) continue
    bytes += piece.length
    if (bytes > ANSWER_BYTES_MAX) {
      answer.destroy()
      throw new OperationalError('gate-unanswered', 'the answer is too long')
    }
    pieces.push(piece)
  }
  return { status: answer.statusCode ?? 0, json: jsonIn(Buffer.concat(pieces).toString('utf8')) }
}

function jsonIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
