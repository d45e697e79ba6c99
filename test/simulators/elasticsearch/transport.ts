// Nodes talk over one port: requests and answers, a JSON value a line, plain or in TLS. A node asks over
// the connections it has opened, and answers on those that were opened to it.

import { connect, type Server, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { isIP } from 'node:net'
import { z } from 'zod'
import { ClusterError } from './cluster-state.ts'
import type { Log } from './log.ts'
import { refusePeer } from './peer-trust.ts'
import type { SslContext } from './ssl-service.ts'
import { createListener, protocolRange } from './tls-listener.ts'

const Message = z.union([
  z.object({ id: z.number(), action: z.string(), body: z.unknown() }),
  z.object({ answer: z.number(), error: z.string(), type: z.string(), status: z.number() }),
  z.object({ answer: z.number(), body: z.unknown() }),
])

export type Handler = (action: string, body: unknown) => Promise<unknown>

export interface Connection {
  readonly open: boolean
  /** Resolves when it is over, whoever ended it. */
  readonly ended: Promise<void>
  request(action: string, body: unknown, timeoutMs?: number): Promise<unknown>
  close(): void
}

export interface TransportOptions {
  /** Undefined: plain. */
  readonly ssl: SslContext | undefined
  readonly handler: Handler
  readonly log: Log
}

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 30_000
const LOGGER = 'o.e.x.c.s.t.n.SecurityNetty4Transport'
/** The first bytes of each connection; what starts otherwise is no node. */
const GREETING = 'ES'

export function createTransportServer({ ssl, handler, log }: TransportOptions): Server {
  const describe = (socket: Socket) =>
    `Netty4TcpChannel{localAddress=/${socket.localAddress}:${socket.localPort}, remoteAddress=/${socket.remoteAddress}:${socket.remotePort}}`
  return createListener({
    ssl,
    onConnection: socket => {
      socket.once('data', first => {
        if (first.toString('latin1', 0, 2) === GREETING) {
          socket.pause()
          socket.unshift(first.subarray(GREETING.length))
          serve(socket, handler)
          return
        }
        const why =
          first[0] === 0x16
            ? 'SSL/TLS request received but SSL/TLS is not enabled on this node'
            : 'invalid internal transport message format'
        log('WARN', LOGGER, `${why}, closing connection ${describe(socket)}`)
        socket.destroy()
      })
    },
    onPlaintext: socket =>
      log(
        'WARN',
        LOGGER,
        `received plaintext traffic on an encrypted channel, closing connection ${describe(socket)}`,
      ),
    onTlsError: (message, socket) =>
      log(
        'WARN',
        LOGGER,
        `client did not trust this server's certificate or was not trusted, closing connection ${describe(socket)}: ${message}`,
      ),
  })
}

function serve(socket: Socket, handler: Handler): void {
  readLines(socket, async line => {
    const message = Message.parse(JSON.parse(line))
    if (!('action' in message)) return
    const { id, action, body } = message
    try {
      send(socket, { answer: id, body: (await handler(action, body)) ?? null })
    } catch (error) {
      const known = error instanceof ClusterError
      send(socket, {
        answer: id,
        error: error instanceof Error ? error.message : String(error),
        type: known ? error.type : 'exception',
        status: known ? error.status : 500,
      })
    }
  })
}

/** Rejects where no connection comes about, in TLS also where one side does not trust the other. */
export async function openConnection(
  address: string,
  ssl: SslContext | undefined,
): Promise<Connection> {
  const socket = await openSocket(address, ssl)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let next = 1
  let open = true
  const ended = Promise.withResolvers<void>()
  const end = () => {
    open = false
    ended.resolve()
    socket.destroy()
    for (const { reject } of waiting.values()) {
      reject(new ClusterError('node_disconnected_exception', 503, `[${address}] disconnected`))
    }
    waiting.clear()
  }
  socket.on('error', end).on('close', end)
  socket.write(GREETING)
  readLines(socket, line => {
    const message = Message.parse(JSON.parse(line))
    if (!('answer' in message)) return
    const asked = waiting.get(message.answer)
    waiting.delete(message.answer)
    if ('error' in message) {
      asked?.reject(new ClusterError(message.type, message.status, message.error))
    } else {
      asked?.resolve(message.body)
    }
  })
  return {
    get open() {
      return open
    },
    ended: ended.promise,
    request: async (action, body, timeoutMs = REQUEST_TIMEOUT_MS) => {
      if (!open) {
        throw new ClusterError('node_not_connected_exception', 503, `[${address}] not connected`)
      }
      const id = next++
      const asked = Promise.withResolvers<unknown>()
      waiting.set(id, asked)
      const timer = setTimeout(() => {
        waiting.delete(id)
        asked.reject(
          new ClusterError(
            'receive_timeout_transport_exception',
            503,
            `[${address}][${action}] request timed out after [${timeoutMs}ms]`,
          ),
        )
      }, timeoutMs)
      send(socket, { id, action, body })
      try {
        return await asked.promise
      } finally {
        clearTimeout(timer)
      }
    },
    close: end,
  }
}

function openSocket(address: string, ssl: SslContext | undefined): Promise<Socket> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  const port = Number(address.slice(colon + 1))
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const refuse = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
      refuse(new Error(`connect_timeout[${CONNECT_TIMEOUT_MS}ms]`)),
    )
    socket.once('error', refuse)
    if (ssl === undefined) {
      socket.once('connect', () => {
        socket.setTimeout(0)
        resolve(socket)
      })
      return
    }
    const secure = connectTls({ socket, ...clientTls(ssl, host) })
    secure.once('error', refuse)
    secure.once('close', () => refuse(new Error('closed')))
    secure.once('secureConnect', () => {
      socket.setTimeout(0)
      const refusal = refuseServer(secure, ssl, host)
      if (refusal === undefined) resolve(secure)
      else refuse(new Error(refusal))
    })
  })
}

function refuseServer(socket: TLSSocket, ssl: SslContext, host: string): string | undefined {
  const full = ssl.configuration.verificationMode === 'full'
  return refusePeer(socket, {
    trusted: ssl.material().trusted,
    usage: 'serverAuth',
    nowMs: Date.now(),
    ...(full ? { host } : {}),
  })
}

function clientTls(context: SslContext, host: string): ConnectionOptions {
  const { identity } = context.material()
  const usable = identity !== undefined && identity.chain[0]?.checkPrivateKey(identity.key) === true
  return {
    ...protocolRange(context.configuration.protocols),
    ...(usable
      ? {
          cert: identity.chain.map(String).join(''),
          key: identity.key.export({ format: 'pem', type: 'pkcs8' }),
        }
      : {}),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Looked at by refuseServer.
    rejectUnauthorized: false,
  }
}

function readLines(socket: Socket, onLine: (line: string) => void | Promise<void>): void {
  let text = ''
  const take = async (line: string) => {
    try {
      await onLine(line)
    } catch {
      // Whoever sends something else is no node.
      socket.destroy()
    }
  }
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) void take(line)
  })
  socket.resume()
}

function send(socket: Socket, message: unknown): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`)
}
