// HTTP-01: one small listener for each configured address. It knows the tokens of open orders, says
// nothing else, and takes no body.

import { createServer, type Server } from 'node:http'
import { OperationalError } from '../../../shared/errors.ts'

export interface HttpChallenges {
  /** Shown until it is removed. */
  show(token: string, keyAuthorization: string): void
  remove(token: string): void
  /** Where it listens, by `host:port` as configured. */
  readonly ports: ReadonlyMap<string, number>
  close(): Promise<void>
}

export interface ChallengeAddress {
  readonly host: string
  readonly port: number
}

const PREFIX = '/.well-known/acme-challenge/'

/** Throws `address-unusable`. */
export async function openHttpChallenges(
  addresses: readonly ChallengeAddress[],
): Promise<HttpChallenges> {
  const shown = new Map<string, string>()
  const servers = new Map<string, Server>()
  const close = async () => {
    await Promise.all([...servers.values()].map(closeServer))
  }
  const ports = new Map<string, number>()
  for (const { host, port } of addresses) {
    const name = `${host}:${port}`
    if (servers.has(name)) continue
    const server = answerTokens(shown)
    try {
      ports.set(name, await listen(server, host, port))
      servers.set(name, server)
    } catch (cause) {
      await close()
      throw new OperationalError('address-unusable', `could not listen on ${name} for HTTP-01`, {
        cause,
        hint: 'For a port below 1024, listen on another one and have a proxy or a redirect lead there.',
      })
    }
  }
  return {
    show: (token, keyAuthorization) => void shown.set(token, keyAuthorization),
    remove: token => void shown.delete(token),
    ports,
    close,
  }
}

function answerTokens(shown: ReadonlyMap<string, string>): Server {
  const server = createServer(
    { maxHeaderSize: 8 * 1024, headersTimeout: 5_000, requestTimeout: 10_000, keepAlive: false },
    (request, response) => {
      const path = request.url?.split('?')[0] ?? ''
      const token = path.startsWith(PREFIX) ? path.slice(PREFIX.length) : ''
      const answer = request.method === 'GET' ? shown.get(token) : undefined
      response.shouldKeepAlive = false
      response.setHeader('x-content-type-options', 'nosniff')
      if (answer === undefined) response.writeHead(404).end()
      else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(answer)
    },
  )
  server.maxConnections = 64
  return server
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
