// `[metrics] listen`: the metrics without TLS and without a token, for a Prometheus or a collector on
// this machine. On loopback only, and only for whoever asks for loopback by name: a page in a browser
// whose name was made to lead here would name itself.

import { createServer, type Server } from 'node:http'
import { isIP } from 'node:net'
import { OperationalError } from '../../shared/errors.ts'
import { EXPOSITION_TYPE } from '../../shared/exposition.ts'
import type { Logger } from '../../shared/log.ts'
import type { ListenAddress } from '../config.ts'
import type { MetricsPage } from './page.ts'

export const METRICS_PATH = '/metrics'

export interface MetricsListener {
  /** Undefined: there is none. */
  readonly url: string | undefined
  close(): Promise<void>
}

export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Throws `address-unusable`. */
export async function openMetricsListener(
  address: ListenAddress | undefined,
  page: MetricsPage,
  log: Logger,
): Promise<MetricsListener> {
  if (address === undefined) return { url: undefined, close: async () => {} }
  const { host, port } = address
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' })
      response.end(text)
    }
    request.resume()
    if (!isLoopback(hostOf(request.headers.host)))
      return answer(403, 'ask for a loopback address\n')
    if (request.url !== METRICS_PATH) return answer(404, `see ${METRICS_PATH}\n`)
    if (request.method !== 'GET') return answer(405, 'only GET\n')
    page.text().then(
      text => answer(200, text, EXPOSITION_TYPE),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be gathered')
        answer(500, 'metrics could not be gathered\n')
      },
    )
  })
  server.headersTimeout = 5_000
  server.requestTimeout = 10_000
  server.maxConnections = 32
  const actual = await listening(server, host, port)
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}${METRICS_PATH}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function listening(server: Server, host: string, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
  } catch (cause) {
    throw new OperationalError('address-unusable', `could not listen on ${host} port ${port}`, {
      cause,
    })
  }
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

// Without its port; an IPv6 address without its brackets.
function hostOf(header: string | undefined): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header ?? '') ?? []
  return bracketed ?? plain ?? ''
}
