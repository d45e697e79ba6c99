// As much of HTTP/1.1 as a probe needs: one question, one answer, then the connection ends. A client of
// node:http would cost more than the TLS handshake that is being looked at.

import type { Duplex } from 'node:stream'
import { assert } from '../../shared/assert.ts'
import type { Secret } from '../../shared/secret.ts'
import type { HttpAnswer } from '../host.ts'

/** What is kept of a body; health answers are a few lines. */
export const BODY_BYTES_MAX = 64 * 1024
const HEAD_BYTES_MAX = 16 * 1024

export type HttpOutcome =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  /** Something was said that is no HTTP. */
  | { readonly kind: 'other' }
  /** The other side closed without a word. */
  | { readonly kind: 'nothing' }

export interface HttpQuestion {
  readonly path: string
  /** Sent by PUT; undefined: a GET. */
  readonly json?: string | undefined
  /** Value of the Host header. */
  readonly host: string
  readonly authorization?: Secret | undefined
}

/** Asks and reads until the answer is complete or the limit reached. Rejects with the socket's error. */
export function askOnce(
  socket: Duplex,
  { path, json, host, authorization }: HttpQuestion,
): Promise<HttpOutcome> {
  assert(/^\/[\x21-\x7e]*$/.test(path), 'the path of a probe holds no blanks or control characters')
  assert(/^[\x21-\x7e]+$/.test(host), 'the host of a probe holds no blanks or control characters')
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    let isSettled = false
    const settle = (ended: boolean) => {
      if (isSettled) return
      const outcome = parseAnswer(received, ended)
      isSettled = outcome !== undefined
      if (outcome !== undefined) resolve(outcome)
    }
    socket.on('data', (chunk: Buffer) => {
      if (isSettled) return
      received = Buffer.concat([received, chunk])
      settle(received.length > HEAD_BYTES_MAX + BODY_BYTES_MAX)
    })
    socket.once('end', () => settle(true))
    socket.once('close', () => settle(true))
    socket.once('error', reject)
    const credentials =
      authorization === undefined ? '' : `Authorization: ${authorization.reveal()}\r\n`
    assert(/^(?:[\x20-\x7e]+\r\n)?$/.test(credentials), 'a header of a probe is one line')
    const content =
      json === undefined
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n`
    socket.write(
      `${json === undefined ? 'GET' : 'PUT'} ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: tlsfleet-agent\r\nAccept: */*\r\n${credentials}${content}Connection: close\r\n\r\n${json ?? ''}`,
    )
  })
}

/** Undefined: more is to come. `ended`: nothing more will. */
export function parseAnswer(received: Buffer, ended: boolean): HttpOutcome | undefined {
  if (received.length === 0) return ended ? { kind: 'nothing' } : undefined
  const start = received.toString('latin1', 0, 5)
  if (!'HTTP/'.startsWith(start)) return { kind: 'other' }

  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd === -1)
    return ended || received.length > HEAD_BYTES_MAX ? { kind: 'other' } : undefined
  const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n')
  const status = Number(/^HTTP\/\d\.\d (\d{3})(?: |$)/.exec(statusLine)?.[1])
  if (Number.isNaN(status)) return { kind: 'other' }
  const rest = received.subarray(headEnd + 4)
  // Interim answers: the real one follows.
  if (status < 200) return parseAnswer(rest, ended)

  const headers = parseHeaders(lines)
  const body = bodyOf(status, headers, rest, ended)
  if (body === undefined) return undefined
  const text = body.subarray(0, BODY_BYTES_MAX).toString('utf8')
  return { kind: 'answer', answer: { status, headers, body: text } }
}

/** Names in lower case; a name that comes several times has its values joined. */
function parseHeaders(lines: readonly string[]): Readonly<Record<string, string>> {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(headers)
}

function bodyOf(
  status: number,
  headers: Readonly<Record<string, string>>,
  rest: Buffer,
  ended: boolean,
): Buffer | undefined {
  if (status === 204 || status === 304) return Buffer.alloc(0)
  if (/(^|,)\s*chunked\s*$/i.test(headers['transfer-encoding'] ?? '')) {
    const { body, complete } = dechunk(rest)
    return complete || ended ? body : undefined
  }
  const length = headers['content-length']
  if (length !== undefined && /^\d+$/.test(length) && rest.length >= Number(length))
    return rest.subarray(0, Number(length))
  return ended ? rest : undefined
}

function dechunk(rest: Buffer): { readonly body: Buffer; readonly complete: boolean } {
  const chunks: Buffer[] = []
  let position = 0
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', position)
    const size = /^[0-9a-fA-F]{1,8}/.exec(rest.toString('latin1', position, lineEnd))?.[0]
    if (lineEnd === -1 || size === undefined)
      return { body: Buffer.concat(chunks), complete: lineEnd !== -1 }
    const bytes = Number.parseInt(size, 16)
    if (bytes === 0) return { body: Buffer.concat(chunks), complete: true }
    const start = lineEnd + 2
    chunks.push(rest.subarray(start, start + bytes))
    position = start + bytes + 2
    if (position > rest.length) return { body: Buffer.concat(chunks), complete: false }
  }
}
