// First contact: this node knows nothing of the fleet but the pin in its token. The connection is
// made without trust, its chain is judged by the pin, and only then is the token sent, on the same
// connection.

import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { type EnrollRequest, parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { ENROLL_ROUTES } from '../../shared/contract/protocol.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { type EnrollmentToken, parseToken } from '../../shared/pki/enrollment-token.ts'
import { verifyPinnedChain } from '../../shared/pki/pin.ts'
import type { Enroll } from '../remote.ts'
import { type Answer, contentOf, exchange, headersOf, parsed } from './controller-request.ts'
import { chainOf } from './served-certificate.ts'

const TIMEOUT_MS = 30_000

// As an import it would load all that Node has for fetch as well, because that is named there too:
// 33 ms of a start, and 6 MiB for as long as the agent lives.
const { request: httpRequest } = process.getBuiltinModule('node:http')

export function createEnroll({
  timeoutMs = TIMEOUT_MS,
}: {
  readonly timeoutMs?: number
} = {}): Enroll {
  return async request => {
    const token = parseToken(request.token)
    const url = new URL(ENROLL_ROUTES.enroll, token.enrollUrl)
    const socket = openUnverified(url)
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), timeoutMs)
    try {
      await secured(socket)
      refuseOtherCa(socket, token, url.hostname, request.nowMs)
      const content: EnrollRequest = {
        tokenId: token.id,
        tokenSecret: token.secret.reveal(),
        publicKey: request.publicKeyPem,
        proof: request.prove(token.id),
        facts: { ...request.facts },
      }
      const answer = await post(socket, url, JSON.stringify(content))
      return parsed(parseEnrollAnswer, contentOf(answer, url.pathname))
    } catch (error) {
      throw failure(error, token.enrollUrl)
    } finally {
      clearTimeout(timer)
      socket.destroy()
    }
  }
}

function openUnverified(url: URL): TLSSocket {
  const host = bareHost(url.hostname)
  return connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.3',
    // The second exception: no root is known yet. Nothing is sent before refuseOtherCa has returned.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  })
}

function refuseOtherCa(
  socket: TLSSocket,
  { pin }: EnrollmentToken,
  hostname: string,
  nowMs: number,
): void {
  const leaf = socket.getPeerX509Certificate()
  const chain = leaf === undefined ? [] : chainOf(leaf).map(certificate => certificate.raw)
  const wrong = verifyPinnedChain(chain, pin, { host: bareHost(hostname), nowMs })
  if (wrong === undefined) return
  throw new OperationalError('wrong-ca-pin', `refused to enrol at ${hostname}: ${wrong.message}`, {
    hint: 'something else answers at this address, or the token is of another fleet; nothing was sent',
    details: { reason: wrong.code },
  })
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.on('error', () => {})
    socket.once('close', () => reject(new Error('the connection was closed')))
  })
}

function post(socket: TLSSocket, url: URL, body: string): Promise<Answer> {
  const question = { method: 'POST', path: url.pathname, body } as const
  const request = httpRequest({
    createConnection: () => socket,
    method: 'POST',
    host: url.hostname,
    path: url.pathname,
    headers: { ...headersOf(question), host: url.host, connection: 'close' },
  })
  return exchange(request, body)
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function failure(error: unknown, enrollUrl: string): OperationalError {
  if (error instanceof OperationalError) return error
  const errno = systemErrorCode(error)
  return new OperationalError('controller-unreachable', `could not reach ${enrollUrl}`, {
    retryable: true,
    details: errno === undefined ? {} : { errno },
    cause: error,
  })
}
