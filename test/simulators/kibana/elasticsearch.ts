// Kibana's client of Elasticsearch: a list of hosts with a scheme each, asked in turn, one after the
// other while connections fail; TLS settings are those of the start. And whether the cluster is there.

import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import type { ElasticsearchSettings } from './settings.ts'

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Call {
  readonly method?: string
  readonly path: string
  /** Undefined: as Kibana itself. */
  readonly authorization?: string
  readonly body?: string
}

export interface Elasticsearch {
  /** Rejects where no host answers. */
  ask(call: Call): Promise<Answer>
}

export function createElasticsearch(
  settings: ElasticsearchSettings,
  tls: ConnectionOptions,
): Elasticsearch {
  // Idle connections are kept: a certificate that was exchanged is seen with the next new one.
  const agents = {
    http: new HttpAgent({ keepAlive: true }),
    https: new HttpsAgent({ ...tls, keepAlive: true }),
  }
  let turn = 0

  const askHost = (host: string, { method = 'GET', path, authorization, body }: Call) =>
    new Promise<Answer>((resolve, reject) => {
      const url = new URL(path, host.endsWith('/') ? host : `${host}/`)
      const auth = authorization ?? ownAuthorization(settings)
      const options = {
        method,
        timeout: settings.requestTimeoutMs,
        headers: {
          ...(auth === undefined ? {} : { authorization: auth }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      }
      const secure = url.protocol === 'https:'
      const request = secure
        ? requestHttps(url, { ...options, agent: agents.https })
        : requestHttp(url, { ...options, agent: agents.http })
      request.on('response', response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
        response.on('error', reject)
      })
      request.on('timeout', () => request.destroy(new Error('Request timed out')))
      request.on('error', reject)
      request.end(body)
    })

  return {
    ask: async call => {
      const first = turn++
      let last: unknown
      for (let i = 0; i < settings.hosts.length; i++) {
        const host = settings.hosts[(first + i) % settings.hosts.length] ?? ''
        try {
          return await askHost(host, call)
        } catch (error) {
          last = error
        }
      }
      throw last
    },
  }
}

function ownAuthorization(settings: ElasticsearchSettings): string | undefined {
  const { username, password = '', serviceAccountToken } = settings
  if (serviceAccountToken !== undefined) return `Bearer ${serviceAccountToken}`
  if (username === undefined) return undefined
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** Undefined: it answers, and lets Kibana in. */
export async function problemOf(elasticsearch: Elasticsearch): Promise<string | undefined> {
  try {
    const { status, body } = await elasticsearch.ask({ path: './' })
    return status < 300 ? undefined : `${status}: ${body.trim()}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Calls `onChange` with each new problem, and with undefined when there is none any more. */
export async function watchHealth(
  elasticsearch: Elasticsearch,
  everyMs: number,
  onChange: (problem: string | undefined) => void,
): Promise<void> {
  let known: string | undefined = 'Waiting for Elasticsearch'
  for (;;) {
    const problem = await problemOf(elasticsearch)
    if (problem !== known) onChange(problem)
    known = problem
    await sleep(everyMs)
  }
}
