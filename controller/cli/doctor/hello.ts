// First contact for `doctor`: the name resolved, then one verified request whose connection is
// looked at. The controller needs no login to answer it.

import { lookup } from 'node:dns/promises'
import { Agent, request } from 'node:https'
import { isIP } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../../../shared/clock.ts'
import { OperationalError, systemErrorCode } from '../../../shared/errors.ts'
import type { DatedAnswer } from '../../../shared/clock-difference.ts'
import { connectionError } from '../connection-errors.ts'
import type { Context } from '../context.ts'
import { clientCertificateOf } from '../credential.ts'

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 8 * 1024 * 1024

/** Addresses of the name in the URL. Throws `name-unknown`. */
export async function resolveController(url: string): Promise<readonly string[]> {
  const { hostname } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0) return [host]
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch (cause) {
    throw new OperationalError('name-unknown', `could not find an address of ${host}`, {
      cause: new Error(systemErrorCode(cause) ?? 'no answer'),
      hint: `check the name in the URL of this login, and the resolver of this machine: getent hosts ${host}`,
    })
  }
}

export interface Hello extends DatedAnswer {
  readonly protocol: string
  readonly certificateEndsAtMs: number
  /** Of the controller, as its description of the API says. */
  readonly version: string | undefined
}

/** Throws what connectionError makes of it. */
export function greet(
  context: Context,
  path: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Hello> {
  const agent = new Agent({
    ca: [...context.ca],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    ...clientCertificateOf(context),
  })
  return new Promise<Hello>((resolve, reject) => {
    const askedAtMs = clock.now()
    const fail = (cause: unknown) =>
      reject(connectionError({ attempt: 'reach the controller', url: context.url, cause }))
    const outgoing = request(
      new URL(path, context.url),
      { agent, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) },
      response => {
        const answeredAtMs = clock.now()
        const { socket, headers } = response
        const tls = socket instanceof TLSSocket ? socket : undefined
        const ends = tls?.getPeerX509Certificate()?.validTo ?? ''
        const protocol = tls?.getProtocol() ?? 'no TLS'
        bodyOf(response).then(
          text =>
            resolve({
              date: headers.date,
              askedAtMs,
              answeredAtMs,
              protocol,
              certificateEndsAtMs: Date.parse(ends),
              version: versionIn(text),
            }),
          fail,
        )
      },
    )
    outgoing.once('error', fail)
    outgoing.end()
  }).finally(() => agent.destroy())
}

async function bodyOf(response: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function versionIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const info = isObject(value) ? value['info'] : undefined
    const version = isObject(info) ? info['version'] : undefined
    return typeof version === 'string' ? version : undefined
  } catch {
    // Something else answers: the request that needs a login says what.
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
