// First contact: this node knows nothing of the fleet but the pin in its token. The connection is
// made without trust, its chain is judged by the pin, and only then is the token sent, on the same
// connection.

import type { TLSSocket } from 'node:tls'
import { type EnrollRequest, parseEnrollAnswer } from '../../shared/contract/agent-api.ts'
import { ENROLL_ROUTES } from '../../shared/contract/protocol.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type EnrollmentToken, parseToken } from '../../shared/pki/enrollment-token.ts'
import { verifyPinnedChain } from '../../shared/pki/pin.ts'
import type { Enroll } from '../remote.ts'
import { contentOf, parsed } from './controller-request.ts'
import { bareHost, postOnce, unreachableAt } from './one-request.ts'
import { chainOf } from './served-certificate.ts'

const TIMEOUT_MS = 30_000

export function createEnroll({
  timeoutMs = TIMEOUT_MS,
}: {
  readonly timeoutMs?: number
} = {}): Enroll {
  return async request => {
    const token = parseToken(request.token)
    const url = new URL(ENROLL_ROUTES.enroll, token.enrollUrl)
    const body = (socket: TLSSocket): EnrollRequest => {
      refuseOtherCa(socket, token, url.hostname, request.nowMs)
      return {
        tokenId: token.id,
        tokenSecret: token.secret.reveal(),
        publicKey: request.publicKeyPem,
        proof: request.prove(token.id),
        facts: { ...request.facts },
      }
    }
    try {
      const answer = await postOnce({ url, tls: UNVERIFIED, timeoutMs, body })
      return parsed(parseEnrollAnswer, contentOf(answer, url.pathname))
    } catch (error) {
      throw error instanceof OperationalError ? error : unreachableAt(token.enrollUrl, error)
    }
  }
}

// The second exception: no root is known yet. Nothing is sent before refuseOtherCa has returned.
const UNVERIFIED = { rejectUnauthorized: false, checkServerIdentity: () => undefined } as const

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
