// A port that is TLS or plain as the node is configured: the context is that of the moment, connections
// that stand keep theirs, and what is no TLS is closed without a word.

import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type SecureVersion, type TLSSocket } from 'node:tls'
import { refusePeer } from './peer-trust.ts'
import type { SslContext } from './ssl-service.ts'

export interface ListenerOptions {
  /** Undefined: plain. */
  readonly ssl: SslContext | undefined
  readonly onConnection: (socket: Socket) => void
  readonly onPlaintext: (socket: Socket) => void
  readonly onTlsError: (message: string, socket: Socket) => void
}

const TLS_HANDSHAKE = 0x16
const HANDSHAKE_TIMEOUT_MS = 10_000
const HANDSHAKE_FAILURE = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])

export function createListener(options: ListenerOptions): Server {
  const { ssl, onConnection } = options
  const server = createServer()
  if (ssl === undefined) {
    server.on('connection', socket => {
      socket.on('error', () => socket.destroy())
      onConnection(socket)
    })
    return server
  }
  let tls: { readonly generation: number; readonly server: Server | undefined } | undefined
  server.on('connection', socket => {
    socket.on('error', () => socket.destroy())
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy())
    socket.once('data', first => {
      socket.pause()
      socket.unshift(first)
      if (first[0] !== TLS_HANDSHAKE) {
        options.onPlaintext(socket)
        socket.destroy()
        return
      }
      // A new server for new files: nothing of the old one, as its tickets, is of use there.
      if (tls?.generation !== ssl.generation()) {
        tls = { generation: ssl.generation(), server: tlsServer(ssl, options) }
      }
      if (tls?.server === undefined) {
        options.onTlsError('no available authentication scheme', socket)
        socket.resume()
        socket.end(HANDSHAKE_FAILURE)
        return
      }
      tls.server.emit('connection', socket)
    })
  })
  return server
}

/** Undefined where every handshake would fail: no key, or one of another certificate. */
function tlsServer(
  context: SslContext,
  { onConnection, onTlsError }: ListenerOptions,
): Server | undefined {
  const { configuration } = context
  const { identity, trusted } = context.material()
  const [leaf] = identity?.chain ?? []
  if (identity === undefined || leaf === undefined || !leaf.checkPrivateKey(identity.key)) {
    return undefined
  }
  const { clientAuthentication } = configuration
  const server = createTlsServer({
    cert: identity.chain.map(String).join(''),
    key: identity.key.export({ format: 'pem', type: 'pkcs8' }),
    ...protocolRange(configuration.protocols),
    requestCert: clientAuthentication !== 'none',
    rejectUnauthorized: false,
  })
  server.on('tlsClientError', (error, socket) => onTlsError(error.message, socket))
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.setTimeout(0)
    socket.on('error', () => socket.destroy())
    const refusal = refusePeer(socket, {
      trusted,
      usage: 'clientAuth',
      // One that is given must be a good one all the same.
      optional: clientAuthentication !== 'required',
      nowMs: Date.now(),
    })
    if (refusal === undefined) {
      onConnection(socket)
      return
    }
    onTlsError(refusal, socket)
    socket.destroy()
  })
  return server
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

/** Java itself disables what is older than 1.2. */
export function protocolRange(protocols: readonly string[]): {
  readonly minVersion: SecureVersion
  readonly maxVersion: SecureVersion
} {
  const usable = VERSIONS.filter(
    version => protocols.includes(version) && (version === 'TLSv1.2' || version === 'TLSv1.3'),
  )
  return { minVersion: usable[0] ?? 'TLSv1.3', maxVersion: usable.at(-1) ?? 'TLSv1.3' }
}
