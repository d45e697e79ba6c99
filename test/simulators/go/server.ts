// An HTTP server as Go's net/http is one: TLS settings are asked for at every connection, plain HTTP on
// a TLS port gets the well-known 400, and what fails before the handshake is a TLS alert.

import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, rootCertificates, type TLSSocket } from 'node:tls'
import { GoError, type KeyPair } from './x509-key-pair.ts'

/** crypto/tls.ClientAuthType. */
export type ClientAuth =
  | 'NoClientCert'
  | 'RequestClientCert'
  | 'RequireAnyClientCert'
  | 'VerifyClientCertIfGiven'
  | 'RequireAndVerifyClientCert'

export interface GoTlsConfig {
  readonly pair: KeyPair
  readonly clientAuth: ClientAuth
  /** PEM; undefined: the roots of the system. Certificates that cannot be parsed are left out. */
  readonly clientCa: string | undefined
  readonly minVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'
}

export interface GoServerOptions {
  readonly handler: RequestListener
  /** Undefined: plain HTTP. Called for each connection; what it throws ends the handshake. */
  readonly tls: (() => GoTlsConfig) | undefined
  /** `http: TLS handshake error from …` lines. */
  readonly log: (message: string, remote: string) => void
}

const HANDSHAKE_TIMEOUT_MS = 10_000

export function createGoServer({ handler, tls, log }: GoServerOptions): Server {
  const http = createHttpServer(handler)
  // Go keeps idle connections; a client must see an old certificate on one for as long as it likes.
  http.keepAliveTimeout = 60_000
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    if (tls === undefined) http.emit('connection', socket)
    else acceptTls(socket, { http, tls, log })
  })
  return server
}

interface Acceptor {
  readonly http: ReturnType<typeof createHttpServer>
  readonly tls: () => GoTlsConfig
  readonly log: GoServerOptions['log']
}

function acceptTls(socket: Socket, { http, tls, log }: Acceptor): void {
  const remote = `${socket.remoteAddress}:${socket.remotePort}`
  socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy())
  socket.once('data', first => {
    socket.pause()
    socket.unshift(first)
    if (first[0] !== TLS_HANDSHAKE) {
      log('client sent an HTTP request to an HTTPS server', remote)
      socket.end(PLAIN_ANSWER)
      return
    }
    try {
      handshake(socket, tls(), { http, log, remote })
    } catch (error) {
      log(error instanceof Error ? error.message : String(error), remote)
      // The client's hello is left unread; reading it keeps the kernel from resetting the connection
      // before the alert is through.
      socket.resume()
      socket.end(INTERNAL_ERROR_ALERT)
    }
  })
}

const OLD_VERSIONS = new Set(['TLSv1', 'TLSv1.1'])
// The first byte of a TLS record that carries a ClientHello.
const TLS_HANDSHAKE = 0x16
// A fatal alert, internal_error(80), in a record of TLS 1.0 to 1.2 form.
const INTERNAL_ERROR_ALERT = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50])
const PLAIN_ANSWER =
  'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n'

function handshake(
  socket: Socket,
  config: GoTlsConfig,
  {
    http,
    log,
    remote,
  }: { readonly http: Acceptor['http']; readonly log: Acceptor['log']; readonly remote: string },
): void {
  // A server of this one connection, because its settings are those of this moment.
  const server = createTlsServer({
    cert: config.pair.certPem,
    key: config.pair.keyPem,
    // Parsing all roots for each connection is worth it only where a client is asked for one.
    ...(config.clientAuth === 'NoClientCert' ? {} : { ca: clientRoots(config.clientCa) }),
    minVersion: config.minVersion ?? 'TLSv1.2',
    maxVersion: config.maxVersion ?? 'TLSv1.3',
    // OpenSSL knows TLS 1.0 and 1.1 at its lowest level only.
    ...(OLD_VERSIONS.has(config.minVersion ?? '') ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    requestCert: config.clientAuth !== 'NoClientCert',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  server.on('tlsClientError', error => log(error.message, remote))
  server.on('secureConnection', secure => {
    socket.setTimeout(0)
    secure.on('error', () => secure.destroy())
    const refusal = refuseClient(secure, config)
    if (refusal === undefined) {
      http.emit('connection', secure)
    } else {
      log(refusal, remote)
      secure.destroy()
    }
  })
  server.emit('connection', socket)
}

/** Why the client's certificate, or that there is none, is refused; undefined where it is not. */
function refuseClient(
  secure: TLSSocket,
  { clientAuth, clientCa }: GoTlsConfig,
): string | undefined {
  if (clientAuth === 'NoClientCert' || clientAuth === 'RequestClientCert') return undefined
  const given = Object.keys(secure.getPeerCertificate()).length > 0
  if (!given) {
    return clientAuth === 'VerifyClientCertIfGiven'
      ? undefined
      : "tls: client didn't provide a certificate"
  }
  if (clientAuth === 'RequireAnyClientCert') return undefined
  if (secure.authorized && certificates(clientCa).length > 0) return undefined
  const incompatible = String(secure.authorizationError).includes('PURPOSE')
  const why = incompatible
    ? 'certificate specifies an incompatible key usage'
    : 'certificate signed by unknown authority'
  return `tls: failed to verify client certificate: x509: ${why}`
}

function clientRoots(clientCa: string | undefined): string[] {
  const found = certificates(clientCa)
  // An empty list would mean Node's own roots; refuseClient knows the difference.
  return [...(found.length === 0 ? rootCertificates : found)]
}

function certificates(clientCa: string | undefined): readonly string[] {
  if (clientCa === undefined) return rootCertificates
  return clientCa.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? []
}

/** `host:port` of a Go listen address, where the host may be missing: all addresses. */
export function parseListenAddress(address: string): {
  readonly host: string | undefined
  readonly port: number
} {
  const colon = address.lastIndexOf(':')
  if (colon < 0) throw new GoError(`address ${address}: missing port in address`)
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host: host === '' ? undefined : host, port: Number(address.slice(colon + 1)) }
}
