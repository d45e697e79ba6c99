// GET as a Go client makes it: the certificate must carry the name as a SAN, trust is the CA given or
// else the system's, and errors are worded as Go's.

import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP } from 'node:net'
import type { PeerCertificate } from 'node:tls'

export interface GoRequest {
  readonly url: string
  readonly caPem?: string
  readonly certPem?: string
  readonly keyPem?: string
  readonly serverName?: string
  readonly insecureSkipVerify?: boolean
  readonly timeoutMs: number
}

const BODY_BYTES_MAX = 8 * 1024 * 1024

/** Rejects with an error whose message is what Go would print after `Get "URL": `. */
export function goGet(
  request: GoRequest,
): Promise<{ readonly status: number; readonly body: string }> {
  const secure = request.url.startsWith('https:')
  const host = new URL(request.url).hostname
  const serverName = request.serverName ?? host
  const options = {
    agent: false,
    timeout: request.timeoutMs,
    ...(secure
      ? {
          ...(request.caPem === undefined ? {} : { ca: request.caPem }),
          ...(request.certPem === undefined ? {} : { cert: request.certPem, key: request.keyPem }),
          ...(isIP(serverName) === 0 ? { servername: serverName } : { servername: '' }),
          rejectUnauthorized: request.insecureSkipVerify !== true,
          checkServerIdentity: (_: string, certificate: PeerCertificate) =>
            checkName(serverName, certificate),
        }
      : {}),
  }
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? requestHttps : requestHttp)(request.url, options, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
        if (body.length > BODY_BYTES_MAX) answer.destroy(new Error('body too large'))
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
      answer.on('error', reject)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('context deadline exceeded')))
    outgoing.on('error', error => reject(new Error(inGoWords(error), { cause: error })))
    outgoing.end()
  })
}

/** Undefined where the certificate carries the name, as a SAN. */
export function checkName(name: string, certificate: PeerCertificate): Error | undefined {
  const names = (certificate.subjectaltname ?? '').split(', ').filter(entry => entry !== '')
  if (names.length === 0) {
    return new Error('x509: certificate relies on legacy Common Name field, use SANs instead')
  }
  const kind = isIP(name) === 0 ? 'DNS:' : 'IP Address:'
  const valid = names.filter(entry => entry.startsWith(kind)).map(entry => entry.slice(kind.length))
  if (valid.some(pattern => fits(pattern.toLowerCase(), name.toLowerCase()))) return undefined
  if (kind === 'DNS:' && valid.length > 0) {
    return new Error(`x509: certificate is valid for ${valid.join(', ')}, not ${name}`)
  }
  if (kind === 'IP Address:' && valid.length > 0) {
    return new Error(`x509: certificate is valid for ${valid.join(', ')}, not ${name}`)
  }
  return kind === 'DNS:'
    ? new Error(`x509: certificate is not valid for any names, but wanted to match ${name}`)
    : new Error(
        `x509: cannot validate certificate for ${name} because it doesn't contain any IP SANs`,
      )
}

function fits(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === name
  const dot = name.indexOf('.')
  return dot > 0 && name.slice(dot + 1) === pattern.slice(2)
}

export function inGoWords(error: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  const words = GO_WORDS[code]
  if (words !== undefined) return words
  const alert = /alert ([a-z ]+)/.exec(error.message)?.[1]
  if (alert !== undefined) return `remote error: tls: ${alert.trim()}`
  if (code === 'EPROTO') return 'tls: first record does not look like a TLS handshake'
  return error.message
}

const UNKNOWN_AUTHORITY = 'x509: certificate signed by unknown authority'
const GO_WORDS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  INVALID_PURPOSE: 'x509: certificate specifies an incompatible key usage',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
  ECONNREFUSED: 'connect: connection refused',
  ECONNRESET: 'read: connection reset by peer',
}
