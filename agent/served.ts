// Judges what a listener was seen serving. Pure.

import type { Served } from '../shared/contract/report.ts'
import { type CertificateFacts, certificateFacts } from '../shared/pki/facts.ts'
import type { ServedListener } from './observation.ts'
import { createMemory } from './remember.ts'

const leaves = createMemory<CertificateFacts | undefined>()

/** `expected`: SHA-256 of the leaf that should be served; undefined when there is none yet. */
export function judgeServed(
  { listener, handshake }: ServedListener,
  expected: string | undefined,
): Served {
  const { name } = listener
  if (handshake.kind === 'unreachable')
    return { listener: name, ok: false, reason: handshake.reason }
  if (handshake.kind === 'plaintext') {
    return {
      listener: name,
      ok: false,
      reason: { code: 'served-plaintext', message: `${name} answers without TLS` },
    }
  }
  const leaf = handshake.chainPem[0]
  const facts = leaf === undefined ? undefined : leaves(leaf, () => readable(leaf))
  const http = handshake.http
  const seen = {
    listener: name,
    fingerprint: handshake.fingerprint,
    protocol: handshake.protocol,
    ...(facts === undefined ? {} : { issuer: facts.issuer, notAfterMs: facts.notAfterMs }),
    ...(http === undefined ? {} : { health: `GET ${listener.healthPath} ${http.status}` }),
  }
  if (expected === undefined || handshake.fingerprint !== expected) {
    const reason = {
      code: 'served-stale',
      message: `${name} serves another certificate than the one in use`,
    }
    return { ...seen, ok: false, reason }
  }
  if (handshake.untrusted !== undefined) return { ...seen, ok: false, reason: handshake.untrusted }
  if (http === undefined) {
    return {
      ...seen,
      ok: false,
      reason: {
        code: 'health-no-answer',
        message: `${name} completes the handshake but does not answer`,
      },
    }
  }
  if (!listener.healthyStatuses.includes(http.status)) {
    return {
      ...seen,
      ok: false,
      reason: {
        code: 'unhealthy',
        message: `GET ${listener.healthPath} on ${name} answers ${http.status}`,
      },
    }
  }
  return {
    ...seen,
    ok: true,
    reason: { code: 'served-as-wanted', message: `${name} serves the certificate in use` },
  }
}

// Whatever somebody else's listener serves is only looked at.
function readable(leaf: string): CertificateFacts | undefined {
  try {
    return certificateFacts(leaf)
  } catch {
    return undefined
  }
}
