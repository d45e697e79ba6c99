// HTTP as a Go program sends it to another node: own roots or the system's, the name must be a SAN,
// perhaps a certificate of its own, connections kept open. Settings are those of the time it was made.

import { type IncomingHttpHeaders, Agent as PlainAgent, request as requestHttp } from 'node:http'
import { Agent, request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { type PeerCertificate, type SecureVersion, createSecureContext } from 'node:tls'
import { lookup as lookUpName } from 'node:dns'
import { checkName, inGoWords } from './client.ts'
import { systemRoots } from './roots.ts'
import type { KeyPair } from './x509-key-pair.ts'

export interface DialerOptions {
  /** PEM certificates, trusted alone; undefined: the system's. */
  readonly roots?: readonly string[]
  readonly insecureSkipVerify?: boolean
  /** Given to a server that asks for one. */
  readonly pair?: KeyPair
  /** Instead of the host of the URL. */
  readonly serverName?: string
  readonly minVersion?: SecureVersion
}

export interface GoCall {
  readonly url: string
  readonly method?: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

export interface GoAnswer {
  readonly status: number
  readonly statusText: string
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

export interface Dialer {
  /** Rejects with what a Go program would print after the URL. */
  request(call: GoCall): Promise<GoAnswer>
  close(): void
}

const BODY_BYTES_MAX = 8 * 1024 * 1024

export function createDialer(options: DialerOptions = {}): Dialer {
  const plain = new PlainAgent({ keepAlive: true })
  let secure: Agent | undefined
  const secureAgent = () => {
    secure ??= createSecureAgent(options)
    return secure
  }
  return {
    request: call => send(call, options, call.url.startsWith('https:') ? secureAgent() : plain),
    close: () => {
      plain.destroy()
      secure?.destroy()
    },
  }
}

/** One context for all connections: the system's roots are many, and Go reads them once too. */
function createSecureAgent({ roots, insecureSkipVerify, pair, minVersion }: DialerOptions): Agent {
  const secureContext = createSecureContext({
    ca: insecureSkipVerify === true ? [] : [...(roots ?? systemRoots())],
    // Go takes whatever is among the roots for an end of the chain, an intermediate or a leaf as well.
    allowPartialTrustChain: true,
    minVersion: minVersion ?? 'TLSv1.2',
    ...(minVersion === 'TLSv1' ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    ...(pair === undefined ? {} : { cert: pair.certPem, key: pair.keyPem }),
  })
  return new Agent({
    keepAlive: true,
    secureContext,
    // A resumed session would not be verified again.
    maxCachedSessions: 0,
    rejectUnauthorized: insecureSkipVerify !== true,
  })
}

function send(
  { url, method = 'GET', body, headers = {}, timeoutMs }: GoCall,
  { serverName }: DialerOptions,
  agent: Agent | PlainAgent,
): Promise<GoAnswer> {
  const secure = url.startsWith('https:')
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')
  const name = serverName ?? host
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
  const options = {
    agent,
    method,
    headers: { ...headers, ...length },
    lookup: lookUpHost,
    ...(secure
      ? {
          servername: isIP(name) === 0 ? name : '',
          checkServerIdentity: (_: string, certificate: PeerCertificate) =>
            checkName(name, certificate),
        }
      : {}),
  }
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? requestHttps : requestHttp)(url, options, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        if (text.length > BODY_BYTES_MAX) answer.destroy(new Error('body too large'))
      })
      answer.on('end', () => {
        clearTimeout(timer)
        resolve({
          status: answer.statusCode ?? 0,
          statusText: `${answer.statusCode ?? 0} ${answer.statusMessage ?? ''}`.trim(),
          body: text,
          headers: answer.headers,
        })
      })
      answer.on('error', reject)
    })
    const timer = setTimeout(
      () => outgoing.destroy(new Error('context deadline exceeded')),
      timeoutMs,
    )
    outgoing.on('error', error => {
      clearTimeout(timer)
      reject(new Error(inGoWords(error), { cause: error }))
    })
    outgoing.end(body)
  })
}

/** SIM_HOSTS (`m1=127.0.0.1,m2=127.0.0.1`) stands in for /etc/hosts where that cannot be written. */
const lookUpHost: LookupFunction = (host, options, done) => {
  const entry = (process.env['SIM_HOSTS'] ?? '')
    .split(',')
    .find(item => item.startsWith(`${host}=`))
  if (entry === undefined) {
    lookUpName(host, options, done)
    return
  }
  const address = entry.slice(host.length + 1)
  const family = isIP(address)
  if (options.all === true) done(null, [{ address, family }])
  else done(null, address, family)
}
