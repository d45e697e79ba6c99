// Secure contexts of probes. Parsing a trust bundle costs more than a handshake, so a context is
// kept for as long as the same trust and client certificate are in use.

import { hash } from 'node:crypto'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { OperationalError } from '../../shared/errors.ts'
import type { HandshakeTarget } from '../host.ts'

// Node's own list begins with a post-quantum key share, which costs as much as the rest of a hello.
// What is looked at is the certificate, so the cheapest exchange that every server of TLS 1.3 must
// or should know comes first; the others stay, for servers that know only those.
const GROUPS = 'X25519:P-256:P-384:P-521:X448:ffdhe2048:ffdhe3072'

// One per service and state of a CA rotation; a node has a handful.
const CONTEXTS_MAX = 16

export type ProbeContexts = (
  target: Pick<HandshakeTarget, 'trust' | 'clientCertificate'>,
) => SecureContext

export function createProbeContexts(): ProbeContexts {
  const contexts = new Map<string, SecureContext>()

  return ({ trust, clientCertificate }) => {
    const { chainPem = '', keyPem = '' } = clientCertificate ?? {}
    const key = hash('sha256', `${JSON.stringify(trust)}\0${chainPem}\0${keyPem}`, 'base64')
    const kept = contexts.get(key)
    // Again at the end of the order: the first one is the one that was not used for longest.
    contexts.delete(key)
    const context = kept ?? createContext(trust, clientCertificate)
    contexts.set(key, context)
    const oldest = contexts.keys().next()
    if (contexts.size > CONTEXTS_MAX && oldest.done !== true) contexts.delete(oldest.value)
    return context
  }
}

function createContext(
  trust: readonly string[],
  clientCertificate: HandshakeTarget['clientCertificate'],
): SecureContext {
  const ca = trust.length === 0 ? getCACertificates('system') : [...trust]
  const identity =
    clientCertificate === undefined
      ? {}
      : { cert: clientCertificate.chainPem, key: clientCertificate.keyPem }
  try {
    return createSecureContext({ minVersion: 'TLSv1.2', ecdhCurve: GROUPS, ca, ...identity })
  } catch (cause) {
    throw new OperationalError(
      'probe-certificate-unusable',
      'could not use the trust bundle or client certificate of a probe',
      { cause },
    )
  }
}
