// What a listener really serves: a new connection, one handshake, if asked one GET.

import { connect as connectTcp, isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { systemClock } from '../../shared/clock.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { systemErrorCode } from '../../shared/errors.ts'
import type { Handshake, HandshakeTarget, Network } from '../host.ts'
import { askOnce, type HttpOutcome } from './http-answer.ts'
import { createProbeContexts, type ProbeContexts } from './probe-context.ts'
import { servedCertificate } from './served-certificate.ts'

export interface NetworkOptions {
  /** How long who asks no question waits for the rejection of a client certificate. */
  readonly rejectionMs?: number
}

export function createNetwork({ rejectionMs = REJECTION_MS }: NetworkOptions = {}): Network {
  const contexts = createProbeContexts()
  return {
    async handshake(target) {
      const endMs = systemClock.monotonic() + target.timeoutMs
      if (target.isPlainExpected === true) {
        const plain = await speakPlainly(target, endMs)
        if (plain.kind === 'answer' && !wantsTls(plain.answer)) return plaintext(plain)
      }
      const seen = await shakeHands(target, { contexts, rejectionMs }, endMs)
      if (seen.kind !== 'failed') return seen
      const { plaintext: likelihood, reason } = explain(seen.error)
      const unreachable = { kind: 'unreachable', reason } as const
      if (likelihood === 'no') return unreachable
      const outcome = await speakPlainly(target, endMs)
      if (outcome.kind === 'answer' && wantsTls(outcome.answer)) return unreachable
      if (outcome.kind === 'answer') return plaintext(outcome)
      // What it said to our hello was no TLS, so it is no TLS listener, whatever else it is.
      if (likelihood === 'likely') return { kind: 'plaintext', http: undefined }
      return unreachable
    },
  }
}

interface Failure {
  readonly kind: 'failed'
  readonly error: unknown
}

async function shakeHands(
  target: HandshakeTarget,
  { contexts, rejectionMs }: { readonly contexts: ProbeContexts; readonly rejectionMs: number },
  endMs: number,
): Promise<Handshake | Failure> {
  const { host, port, serverName, httpGet, clientCertificate } = target
  const socket = connectTls({
    host,
    port,
    servername: isIP(serverName) === 0 ? serverName : '',
    secureContext: contexts(target),
    // The one exception of the agent's observers: an observer must see what is served even when it
    // is wrong. Nothing secret is sent, and `untrusted` carries the verdict.
    rejectUnauthorized: false,
    // The name is judged with the rest, by stricter rules.
    checkServerIdentity: () => undefined,
  })
  // Only checkServerIdentity above would get it: every certificate of the chain in an older form,
  // with three digests of each.
  Object.defineProperty(socket, 'getPeerCertificate', { value: () => ({}) })
  const timer = endAt(socket, endMs)
  try {
    await secured(socket)
    const served = servedCertificate(socket, serverName)
    const protocol = socket.getProtocol() ?? 'unknown'
    if (served === undefined)
      return { kind: 'failed', error: new Error('no certificate was shown') }
    if (httpGet === undefined) {
      if (clientCertificate !== undefined) await accepted(socket, rejectionMs)
      return { kind: 'tls', ...served, protocol, http: undefined }
    }
    const authorized = served.untrusted === undefined ? target.authorized : undefined
    const outcome = await askOnce(socket, {
      path: authorized?.httpGet ?? httpGet,
      json: authorized?.json,
      host: hostHeader(target),
      authorization: authorized?.authorization,
    })
    if (outcome.kind === 'nothing') return { kind: 'failed', error: new ClosedError() }
    const http = outcome.kind === 'answer' ? outcome.answer : undefined
    const seen = { kind: 'tls', ...served, protocol, http } as const
    return authorized === undefined ? seen : { ...seen, isAuthorized: true }
  } catch (error) {
    return { kind: 'failed', error }
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new ClosedError())
    socket.once('secureConnect', () => {
      socket.off('close', closed)
      resolve()
    })
    socket.once('error', reject)
    // Stays for as long as the socket: a late error of one that is done with is no one's business.
    socket.on('error', () => {})
    socket.once('close', closed)
  })
}

/**
 * With TLS 1.3 the client has finished before the server has looked at its certificate; a rejection
 * arrives with the first read, from some servers as nothing but the end of the connection. So who
 * asks no question has to wait a moment.
 */
function accepted(socket: TLSSocket, rejectionMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, rejectionMs)
    socket.once('error', reject)
    socket.once('end', () => reject(new ClosedError()))
    socket.once('close', () => {
      clearTimeout(timer)
      reject(new ClosedError())
    })
    socket.resume()
  })
}

// Ten times the way to a neighbour and back.
const REJECTION_MS = 300

type PlainOutcome = HttpOutcome & { readonly isAuthorized?: boolean }

async function speakPlainly(target: HandshakeTarget, endMs: number): Promise<PlainOutcome> {
  const socket = connectTcp({ host: target.host, port: target.port })
  const timer = endAt(socket, endMs)
  const host = hostHeader(target)
  try {
    const { authorized } = target
    if (authorized?.isPlainAllowed !== true)
      return await askOnce(socket, { path: target.httpGet ?? '/', host })
    await connected(socket)
    if (!isWithinMachine(socket))
      return await askOnce(socket, { path: target.httpGet ?? '/', host })
    const { httpGet: path, json, authorization } = authorized
    return { ...(await askOnce(socket, { path, json, host, authorization })), isAuthorized: true }
  } catch {
    // The error of the handshake is the one to tell.
    return { kind: 'nothing' }
  } finally {
    clearTimeout(timer)
    socket.on('error', () => {})
    socket.destroy()
  }
}

function plaintext({
  answer,
  isAuthorized,
}: Extract<PlainOutcome, { kind: 'answer' }>): Extract<Handshake, { kind: 'plaintext' }> {
  const seen = { kind: 'plaintext', http: answer } as const
  return isAuthorized === true ? { ...seen, isAuthorized } : seen
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
    socket.on('error', () => {})
    socket.once('close', () => reject(new ClosedError()))
  })
}

// Both ends have one address, or it is one of the loopback: what is sent does not leave the machine.
function isWithinMachine({ localAddress, remoteAddress }: Socket): boolean {
  if (remoteAddress === undefined) return false
  return remoteAddress === localAddress || remoteAddress.startsWith('127.')
}

// Go: "Client sent an HTTP request to an HTTPS server", nginx: "sent to HTTPS port".
function wantsTls({ status, body }: { readonly status: number; readonly body: string }): boolean {
  return status === 400 && /https/i.test(body)
}

function hostHeader({ serverName, port }: HandshakeTarget): string {
  return isIP(serverName) === 6 ? `[${serverName}]:${port}` : `${serverName}:${port}`
}

function endAt(socket: Duplex, endMs: number): NodeJS.Timeout {
  const remainingMs = Math.max(0, endMs - systemClock.monotonic())
  return setTimeout(() => socket.destroy(new DeadlineError()), remainingMs)
}

class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}
class ClosedError extends Error {
  override readonly name = 'ClosedError'
}

interface Explanation {
  /** Could it be that the listener speaks without TLS? */
  readonly plaintext: 'no' | 'possible' | 'likely'
  readonly reason: Reason
}

function explain(error: unknown): Explanation {
  if (error instanceof DeadlineError) return no('connection-timeout', 'no answer in time')
  if (error instanceof ClosedError)
    return possible('connection-reset', 'the connection was closed without an answer')
  const code = systemErrorCode(error) ?? 'unknown error'
  if (NOT_TLS.test(code))
    return { ...no('tls-alert', `not understood as TLS (${code})`), plaintext: 'likely' }
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return no('tls-alert', `TLS was refused (${code})`)
  switch (code) {
    case 'ECONNREFUSED':
      return no('connection-refused', 'nothing listens there')
    case 'ETIMEDOUT':
      return no('connection-timeout', 'no answer in time')
    case 'ECONNRESET':
    case 'EPIPE':
      return possible('connection-reset', 'the connection was reset')
    default:
      return no('host-unreachable', `could not connect (${code})`)
  }
}

// What OpenSSL makes of the first bytes of something else.
const NOT_TLS =
  /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNEXPECTED_MESSAGE|RECORD_LAYER/

function no(code: string, message: string): Explanation {
  return { plaintext: 'no', reason: { code, message } }
}

function possible(code: string, message: string): Explanation {
  return { plaintext: 'possible', reason: { code, message } }
}
