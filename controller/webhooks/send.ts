// One attempt to deliver. Signed with the time in it, so that what was overheard cannot be played
// again later: tlsfleet-signature: t=<seconds>,v1=<hex of HMAC-SHA256 over "<seconds>.<body>">

import { createHmac } from 'node:crypto'
import { request } from 'node:https'
import { OperationalError } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import { connectionFailure } from '../connection-failure.ts'

export interface Receiver {
  readonly name: string
  readonly url: string
  readonly secret: Secret
  /** PEM; undefined: public CAs. */
  readonly ca: string | undefined
}

/**
 * `refused`: this body will never be taken. `failed`: another time, perhaps.
 */
export type Delivery =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'refused' | 'failed'; readonly why: string }

const ANSWER_TIMEOUT_MS = 10_000
// The receiver has understood and does not want it: trying again would only keep the others waiting.
const FINAL: readonly number[] = [400, 410, 413, 415, 422]

export function signatureOf(secret: Secret, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000)
  const mac = createHmac('sha256', secret.reveal()).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${mac}`
}

/** Never rejects. Redirects are not followed: who may be told was written down. */
export async function send(
  receiver: Receiver,
  notice: { readonly id: string; readonly body: string },
  { nowMs, signal }: { readonly nowMs: number; readonly signal: AbortSignal },
): Promise<Delivery> {
  try {
    const status = await post(receiver, notice, nowMs, signal)
    if (status >= 200 && status < 300) return { kind: 'delivered' }
    const why = `answered ${status}`
    return { kind: FINAL.includes(status) ? 'refused' : 'failed', why }
  } catch (error) {
    return { kind: 'failed', why: whyOf(error) }
  }
}

function post(
  { url, secret, ca }: Receiver,
  { id, body }: { readonly id: string; readonly body: string },
  nowMs: number,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const question = request(
      url,
      {
        method: 'POST',
        agent: false,
        minVersion: 'TLSv1.2',
        ...(ca === undefined ? {} : { ca }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'tlsfleet',
          'tlsfleet-delivery': id,
          'tlsfleet-signature': signatureOf(secret, body, nowMs),
        },
      },
      answer => {
        resolve(answer.statusCode ?? 0)
        // What it says beyond the status is not of interest, however long it is.
        answer.on('error', () => {})
        answer.destroy()
      },
    )
    question.on('error', reject)
    question.end(body)
  })
}

function whyOf(error: unknown): string {
  const failure = connectionFailure(error)
  switch (failure.kind) {
    case 'unreachable':
      return failure.why
    case 'no-tls':
      return `speaks no TLS (${failure.code})`
    case 'wrong-name':
    case 'expired':
    case 'not-yet-valid':
    case 'untrusted':
      return `its certificate is not accepted (${failure.kind})`
    case 'other':
      return error instanceof Error && !(error instanceof OperationalError)
        ? error.message.slice(0, 200)
        : 'unknown'
  }
}
