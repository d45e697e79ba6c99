// A client for the tests of simulators: what one connection shows.

import { Agent, request as requestHttps } from 'node:https'
import { request as requestHttp } from 'node:http'
import { connect, type Socket } from 'node:net'
import { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'

export interface Probe {
  readonly status: number
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Of the server's certificate; empty without TLS. */
  readonly fingerprint: string
}

export interface ProbeOptions {
  readonly port: number
  readonly path?: string
  readonly method?: string
  readonly body?: string | Buffer
  /** Undefined: plain HTTP. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** The name that the certificate must have. */
  readonly servername?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Keep-alive on one connection over several calls; undefined: a new connection. */
  readonly agent?: Agent
}

/** Rejects where there is no answer; the message of the error names the TLS alert. */
export function probe({
  port,
  path = '/',
  method = 'GET',
  body,
  agent,
  ...tls
}: ProbeOptions): Promise<Probe> {
  const options = {
    host: '127.0.0.1',
    port,
    path,
    method,
    servername: 'localhost',
    agent: agent ?? false,
    ...tls,
  }
  return new Promise((resolve, reject) => {
    const request = (tls.ca === undefined ? requestHttp : requestHttps)(options, answer => {
      const fingerprint = fingerprintOfPeer(answer.socket)
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          body: text,
          headers: answer.headers,
          fingerprint,
        }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** Node tells the peer's certificate only once for a connection. */
function fingerprintOfPeer(socket: Socket): string {
  const known = fingerprints.get(socket)
  if (known !== undefined) return known
  const raw = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined
  const fingerprint = raw === undefined ? '' : new X509Certificate(raw).fingerprint256
  fingerprints.set(socket, fingerprint)
  return fingerprint
}

const fingerprints = new WeakMap<Socket, string>()

export function fingerprintOf(certPem: string): string {
  return new X509Certificate(certPem).fingerprint256
}

/** What the server sends back to bytes, until it closes. */
export function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => resolve(text)).on('error', reject)
  })
}

export function keepAliveAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 })
}
