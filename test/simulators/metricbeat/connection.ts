// A client of one URL as libbeat has them: connections are kept, errors are worded as Go's.

import { Agent as PlainAgent, request as requestHttp } from 'node:http'
import { Agent, request as requestHttps } from 'node:https'
import { Socket } from 'node:net'
import { connect } from 'node:tls'
import { inGoWords } from '../go/client.ts'
import { BeatError } from './ucfg.ts'
import type { Tls } from './tls.ts'

export interface Credentials {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly apiKey: string | undefined
}

export interface ConnectionSettings {
  /** Whole, with scheme and port. */
  readonly url: string
  readonly credentials: Credentials
  readonly timeoutMs: number
}

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Connection {
  readonly url: string
  /** Rejects with `Get "https://…": why` where there is no answer, and with the status from 300 on. */
  request(method: string, path: string, body?: string): Promise<Answer>
  close(): void
}

/** As common.MakeURL: a scheme in the host beats `protocol`. */
export function makeUrl(host: string, protocol: string, path: string, port: number): string {
  const url = new URL(/^[a-z]+:\/\//.test(host) ? host : `${protocol}://${host}`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new BeatError(`unsupported scheme in host ${host}`)
  }
  const stated = /:(\d+)(?:\/|$)/.exec(host.replace(/^[a-z]+:\/\//, ''))?.[1]
  const where = `${url.protocol}//${url.hostname}:${stated ?? port}`
  const suffix = url.pathname === '/' ? path : url.pathname
  return suffix === '' ? where : `${where}/${suffix.replace(/^\/|\/$/g, '')}`
}

export function createConnection(settings: ConnectionSettings, tls: Tls): Connection {
  const { url, credentials, timeoutMs } = settings
  const secure = url.startsWith('https:')
  const agent = secure ? secureAgent(tls) : new PlainAgent({ keepAlive: true })
  const authorization = authorizationOf(credentials)

  const exchange = (method: string, path: string, body: string | undefined) =>
    new Promise<Answer & { readonly statusText: string }>((resolve, reject) => {
      const request = (secure ? requestHttps : requestHttp)(`${url}${path}`, {
        agent,
        method,
        timeout: timeoutMs,
        headers: {
          accept: 'application/json',
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-type': 'application/x-ndjson' }),
        },
      })
      request.on('response', response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const status = response.statusCode ?? 0
          resolve({ status, statusText: `${status} ${response.statusMessage ?? ''}`, body: text })
        })
      })
      request.on('timeout', () => request.destroy(new Error('net/http: request canceled')))
      request.on('error', reject)
      request.end(body)
    })

  return {
    url,
    request: async (method, path, body) => {
      let answer: Awaited<ReturnType<typeof exchange>>
      try {
        answer = await exchange(method, path, body)
      } catch (error) {
        const verb = `${method[0] ?? ''}${method.slice(1).toLowerCase()}`
        throw new BeatError(`${verb} "${url}${path}": ${wordsFor(error, url)}`, { cause: error })
      }
      if (answer.status >= 300)
        throw new StatusError(`${answer.statusText}: ${answer.body}`, answer.status)
      return answer
    },
    close: () => agent.destroy(),
  }
}

/** There was an answer: the connection is one, the request was refused. */
export class StatusError extends BeatError {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** What a handshake is made with is decided when there is one. */
function secureAgent(tls: Tls): Agent {
  const agent = new Agent({ keepAlive: true, maxCachedSessions: 0 })
  agent.createConnection = (options, callback) => {
    const host = String(options.host ?? 'localhost')
    const port = Number(options.port)
    tls
      .connectionOptions(host.replace(/^\[(.*)\]$/, '$1'), port)
      .then(more => callback?.(null, connect({ host, port, ...more })))
      .catch((error: Error) => callback?.(error, new Socket()))
    return undefined
  }
  return agent
}

function authorizationOf({ username, password, apiKey }: Credentials): string | undefined {
  if (apiKey !== undefined) return `ApiKey ${Buffer.from(apiKey).toString('base64')}`
  if (username === undefined) return undefined
  return `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`
}

function wordsFor(error: unknown, url: string): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return `dial tcp ${new URL(url).host}: connect: connection refused`
  if (code === 'ENOTFOUND') return `lookup ${new URL(url).hostname}: no such host`
  if (code === 'ECONNRESET') return 'EOF'
  if (/wrong version number|packet length too long/.test(error.message)) {
    return 'http: server gave HTTP response to HTTPS client'
  }
  return inGoWords(error)
}
