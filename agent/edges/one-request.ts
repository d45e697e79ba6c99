// One request over a TLS connection of its own, for what is said before or after this node has an
// identity: the connection is judged first, and only then anything is sent on it.

import { isIP } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { type Answer, exchange, headersOf } from './controller-request.ts'

// As an import it would load all that Node has for fetch as well, because that is named there too:
// 33 ms of a start, and 6 MiB for as long as the agent lives.
const { request: httpRequest } = process.getBuiltinModule('node:http')

export interface OneRequest {
  readonly url: URL
  readonly tls: ConnectionOptions
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Judges the connection, and gives what to send on it. */
  readonly body: (socket: TLSSocket) => object
}

/** Throws what `body` throws, or the socket's error. */
export async function postOnce({ url, tls, timeoutMs, signal, body }: OneRequest): Promise<Answer> {
  const host = bareHost(url.hostname)
  const socket = connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.3',
    ...tls,
  })
  const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), timeoutMs)
  const stop = () => socket.destroy(new Error('stopped'))
  signal?.addEventListener('abort', stop, { once: true })
  try {
    if (signal?.aborted === true) stop()
    await secured(socket)
    return await post(socket, url, JSON.stringify(body(socket)))
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.on('error', () => {})
    socket.once('close', () => reject(new Error('the connection was closed')))
  })
}

function post(socket: TLSSocket, url: URL, body: string): Promise<Answer> {
  const question = { method: 'POST', path: url.pathname, body } as const
  const request = httpRequest({
    createConnection: () => socket,
    method: 'POST',
    host: url.hostname,
    path: url.pathname,
    headers: { ...headersOf(question), host: url.host, connection: 'close' },
  })
  return exchange(request, body)
}

export function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

export function unreachableAt(url: string, error: unknown): OperationalError {
  const errno = systemErrorCode(error)
  return new OperationalError('controller-unreachable', `could not reach ${url}`, {
    retryable: true,
    details: errno === undefined ? {} : { errno },
    cause: error,
  })
}
